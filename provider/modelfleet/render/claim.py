"""The claim with the cache of a hosted ModelService: models and compiled kernels outlive its pods.

A claim can grow and nothing else. What cannot change about it is part of its name, so that another
class or access mode is another claim, which the new pods mount while the old ones still have
theirs. Pure.
"""

from __future__ import annotations

from modelfleet import labels
from modelfleet.render.metadata import Identity, Object, metadata_of
from modelfleet.render.quantities import memory_quantity
from modelfleet.spec.pods import Storage
from modelfleet.spec.service import ModelServiceSpec


def claim_name_of(spec: ModelServiceSpec) -> str | None:
    """Return the name of the claim of the service's own, None where it has none."""
    storage = _own(spec)
    if storage is None:
        return None
    # A newline is in neither of them.
    variant = f"{storage.class_name or ''}\n{storage.access_mode}"
    return labels.cache_claim_name(spec.model_service_name, variant=variant)


def claims_of(spec: ModelServiceSpec, *, identity: Identity) -> list[Object]:
    """Return the claim of the service's own, if it has one."""
    name, storage = claim_name_of(spec), _own(spec)
    if name is None or storage is None:
        return []
    claim = {
        "accessModes": [storage.access_mode],
        "resources": {"requests": {"storage": memory_quantity(storage.size_gib or 0)}},
    }
    if storage.class_name is not None:
        claim["storageClassName"] = storage.class_name
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata_of(spec, identity=identity, name=name),
            "spec": claim,
        }
    ]


def _own(spec: ModelServiceSpec) -> Storage | None:
    storage = spec.deployment.storage if spec.deployment else None
    if storage is None or storage.kind != "pvc" or storage.claim is not None:
        return None
    return storage
