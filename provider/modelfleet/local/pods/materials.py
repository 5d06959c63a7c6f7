"""What nodes are made from, built once per machine: their images, their models, their init."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelfleet.local.images import BuiltImage, built_images, pause_program
from modelfleet.local.models import tiny_models
from modelfleet.local.pods.image_store import image_store
from modelfleet.local.progress import Progress


@dataclass(frozen=True)
class Materials:
    """``pause`` holds a node; ``images`` are what its pods run; ``models`` is a folder of files.

    ``image_store`` is what the containerd of a new node begins with: all of ``images``.
    """

    pause: Path
    images: Sequence[BuiltImage]
    image_store: Path
    models: Path


def prepare(*, progress: Progress) -> Materials:
    """Build what is not in the user's cache yet. Raises LocalError naming what failed."""
    images = built_images(progress=progress)
    return Materials(
        pause=pause_program(progress=progress),
        images=images,
        image_store=image_store(images, progress=progress),
        models=tiny_models(progress=progress),
    )
