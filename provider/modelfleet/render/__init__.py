"""From a spec to Kubernetes objects: one file per kind of object. Pure, deterministic to the byte.

Writes only what it cares about and nothing that the API server would rewrite, so that an object
that nobody touched compares equal to what is desired. Knows no cluster.
"""

from modelfleet.render.history import FIRST_RENDERER, RENDERER_VERSION
from modelfleet.render.metadata import Identity, Object
from modelfleet.render.objects import (
    Address,
    claim_ref_of,
    object_refs_of,
    objects_of,
    primary_of,
)
from modelfleet.render.planned import planned_of
from modelfleet.render.pod import pod_template_hash, pod_template_of
from modelfleet.render.record_spec import record_spec_of

__all__ = [
    "FIRST_RENDERER",
    "RENDERER_VERSION",
    "Address",
    "Identity",
    "Object",
    "claim_ref_of",
    "object_refs_of",
    "objects_of",
    "planned_of",
    "pod_template_hash",
    "pod_template_of",
    "primary_of",
    "record_spec_of",
]
