"""What is mounted into the pods of a ModelService, and where. Pure."""

from __future__ import annotations

from typing import Any

from modelfleet.engines.launch import CACHE_PATH, ModelLocation
from modelfleet.render.quantities import memory_quantity
from modelfleet.spec.deployment import DeploymentSpec

MountAndVolume = tuple[dict[str, Any], dict[str, Any]]

CACHE = "cache"
MODEL = "model"


def volumes_of(deployment: DeploymentSpec, *, location: ModelLocation) -> list[MountAndVolume]:
    """Return each mount of the engine's container with its volume: cache, shared memory, model."""
    return [
        *_cache(),
        *_shared_memory(deployment),
        *_model(location),
    ]


def _cache() -> list[MountAndVolume]:
    return [({"name": CACHE, "mountPath": CACHE_PATH}, {"name": CACHE, "emptyDir": {}})]


def _shared_memory(deployment: DeploymentSpec) -> list[MountAndVolume]:
    if not deployment.shm_gib:
        return []
    size = memory_quantity(deployment.shm_gib)
    mount = {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108  (shared memory, no file)
    return [(mount, {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}})]


def _model(location: ModelLocation) -> list[MountAndVolume]:
    mount = {"name": MODEL, "mountPath": location.mount, "readOnly": True}
    if location.claim is not None:
        claim = {"claimName": location.claim, "readOnly": True}
        return [(mount, {"name": MODEL, "persistentVolumeClaim": claim})]
    if location.image is not None:
        image = {"reference": location.image, "pullPolicy": "IfNotPresent"}
        return [(mount, {"name": MODEL, "image": image})]
    return []
