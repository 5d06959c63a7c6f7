"""Container images for real pods, made on this machine: no registry is ever asked.

::

    missing_requirements()      # () or the programs that a build would lack
    for image in built_images():
        image.archive, image.names, image.key
    pause_program()             # init of a node, and the container that holds a pod
    litellm_packages()          # a folder for PYTHONPATH: LiteLLM without a container

Every image is described in a folder here, as :mod:`~modelfleet.local.images.description` says.
"""

from __future__ import annotations

from modelfleet.local.images.built import (
    BuiltImage,
    built_images,
    missing_requirements,
    pause_program,
)
from modelfleet.local.images.packages import litellm_packages

__all__ = [
    "BuiltImage",
    "built_images",
    "litellm_packages",
    "missing_requirements",
    "pause_program",
]
