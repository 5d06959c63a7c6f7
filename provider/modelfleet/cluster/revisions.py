"""Which pods are of a Deployment's present version.

During a rollout pods of two versions share one service. A crash of the old one must not be told as
a failure of the new one, so the question is answered exactly or not at all. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from modelfleet.cluster.objects import Object

DIGEST_KEY: Final = "podTemplateDigest"
"""Where a cached object that has been stripped of its template keeps the digest of it."""

HASH_LABEL: Final = "pod-template-hash"
"""The label by which the Deployment controller tells the pods of its versions apart."""


def current_hash(deployment: Object, replica_sets: Sequence[Object]) -> str:
    """Return the ``pod-template-hash`` of the pods of the present version, ``""`` while unknown.

    It is that of the ReplicaSet whose pod template equals the Deployment's: the rule by which the
    Deployment controller finds it, oldest first where there are several. Revision annotations and
    conditions would not do, they lag behind the observed generation during a rollback.
    """
    wanted = template_digest(deployment)
    same = (each for each in replica_sets if template_digest(each) == wanted)
    oldest = min(same, key=lambda each: each["metadata"]["creationTimestamp"], default=None)
    return hash_of(oldest) if oldest else ""


def hash_of(obj: Object) -> str:
    """Return the version a pod or a ReplicaSet belongs to, ``""`` where it has no such label."""
    return str((obj["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


def template_digest(obj: Object) -> str:
    """Return what two pod templates share exactly when they make the same pods."""
    if kept := obj.get(DIGEST_KEY):
        return str(kept)
    template = (obj.get("spec") or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {
        key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL
    }
    canonical = json.dumps(
        [labels, metadata.get("annotations") or {}, template.get("spec")],
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
