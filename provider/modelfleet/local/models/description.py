"""What a tiny model is, read from ``<name>.toml``. Makes nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

DESCRIPTIONS = Path(__file__).parent


class TinyModel(BaseModel):
    """One model file: it answers everything with ``sentence``.

    All of its layers add nothing, so that ``width``, ``layers`` and the feed-forward part say only
    how much there is to compute for each token. ``context_length`` is in tokens.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sentence: str
    context_length: int = 4096
    width: int = 64
    layers: int = 1
    feed_forward_length: int = 64
    feed_forward_type: str = "F16"


def described_models(folder: Path = DESCRIPTIONS) -> Mapping[str, TinyModel]:
    """Return the described models by name, which is also that of the file, without ``.gguf``.

    Raises ValueError for a description that is wrong.
    """
    return {
        path.stem: TinyModel.model_validate(tomllib.loads(path.read_text()))
        for path in sorted(folder.glob("*.toml"))
    }
