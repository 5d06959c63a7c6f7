"""What is mounted into the pods of a ModelService, and where. Pure."""

from __future__ import annotations

from typing import Any

from modelfleet.engines.launch import CACHE_PATH, ModelLocation
from modelfleet.render.claim import claim_name_of
from modelfleet.render.quantities import memory_quantity
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.service import ModelServiceSpec

MountAndVolume = tuple[dict[str, Any], dict[str, Any]]

CACHE = "cache"
MODEL = "model"


def volumes_of(
    spec: ModelServiceSpec, deployment: DeploymentSpec, *, location: ModelLocation
) -> list[MountAndVolume]:
    """Return each mount of the engine's container with its volume: cache, shared memory, model."""
    return [
        (
            {"name": CACHE, "mountPath": CACHE_PATH},
            {"name": CACHE, **_cache(spec, deployment)},
        ),
        *_shared_memory(deployment),
        *_model(location),
    ]


def _cache(spec: ModelServiceSpec, deployment: DeploymentSpec) -> dict[str, Any]:
    """Return what the cache is kept on."""
    storage = deployment.storage
    if storage.kind == "pvc":
        return {"persistentVolumeClaim": {"claimName": storage.claim or claim_name_of(spec)}}
    if storage.kind == "host_path":
        return {"hostPath": {"path": storage.path, "type": "DirectoryOrCreate"}}
    if storage.size_gib is not None:
        return {"emptyDir": {"sizeLimit": memory_quantity(storage.size_gib)}}
    return {"emptyDir": {}}


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
