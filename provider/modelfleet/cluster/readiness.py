"""Whether a Deployment and its pods serve what was declared: a pure function of what is seen.

``Ready`` is decided by the Deployment's status alone, and only once its controller has seen the
present generation: pods may be those of yesterday's version. Pods tell *why* it is not ready, and
only pods of the present version do. Nothing here reads a clock: time limits are the caller's, and
whatever a node or a person may still mend is ``Waiting``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from modelfleet.cluster.objects import Object
from modelfleet.cluster.reasons import (
    Code,
    Failed,
    FieldNames,
    Outcome,
    Ready,
    Reason,
    Waiting,
)

__all__ = [
    "Code",
    "Failed",
    "FieldNames",
    "Outcome",
    "Ready",
    "Reason",
    "Until",
    "Waiting",
    "current_hash",
    "readiness",
]

Until = Literal["accepted", "available", "all"]

TEMPLATE_HASH_LABEL: Final = "pod-template-hash"

_QUOTA: Final = re.compile(r"exceeded quota: (?P<name>[^,]+), (?P<numbers>.*)")
_WEBHOOK_DOWN: Final = re.compile(
    r"failed calling webhook|timed? ?out|connection refused", re.IGNORECASE
)
_DENIED_FIELDS: Final = (
    (re.compile(r"serviceaccount \S+ not found|service account"), "service_account"),
    (re.compile(r"no PriorityClass"), "priority_class"),
    (re.compile(r"RuntimeClass"), "runtime_class"),
    (re.compile(r"memory usage per|memory max limit"), "memory"),
    (re.compile(r"cpu usage per|cpu max limit"), "cpu"),
)
_PATIENT: Final = frozenset({Code.UNSCHEDULABLE, Code.GATED, Code.STARTING, Code.QUOTA})
"""What may last as long as it likes: a progress deadline says nothing about it."""


def readiness(
    deployment: Object | None,
    pods: Sequence[Object],
    *,
    until: Until,
    fields: FieldNames | None = None,
    current_hash: str | None = None,
) -> Outcome:
    """Return whether ``deployment`` is ready, and if not, why, one reason per cause.

    ``until``: ``accepted`` asks nothing more than that it exists; ``available`` that every pod is
    of the present version and enough of them serve (replicas less what the strategy lets be
    unavailable, never none); ``all`` that every pod serves. ``pods`` are the service's pods of any
    version; ``current_hash`` (see :func:`current_hash`) tells which are of the present one, None
    means all.
    """
    fields = fields or FieldNames()
    if deployment is None or deployment["metadata"].get("deletionTimestamp"):
        hint = "Somebody deleted it; run the deployment again to create it anew."
        state = "does not exist any more" if deployment is None else "is being deleted"
        return Failed((Reason(Code.MISSING, f"the Deployment {state}", hint=hint),))
    if until == "accepted":
        return Ready()
    counts = Counts.of(deployment)
    if not counts.observed:
        text = "the Deployment controller has not seen the last change yet"
        return Waiting((Reason(Code.NOT_OBSERVED, text),))
    mine = [pod for pod in pods if current_hash is None or _hash_of(pod) == current_hash]
    if counts.replicas == 0:
        return _stopped(counts, left=len(mine))
    reasons, fatal = _reasons(deployment, mine, counts, fields=fields, current_hash=current_hash)
    if counts.serves(until):
        return Ready(reasons)
    return (Failed if fatal else Waiting)(reasons or (_rolling_out(deployment, counts),))


def current_hash(deployment: Object, replica_sets: Sequence[Object]) -> str:
    """Return the ``pod-template-hash`` of the pods of the present version.

    It is that of the ReplicaSet whose pod template equals the Deployment's, which is how the
    Deployment controller itself finds it; ``""`` while there is none. Revision annotations would
    not do: during a rollback they lag behind the observed generation.
    """
    wanted = template_digest(deployment)
    same = [each for each in replica_sets if template_digest(each) == wanted]
    oldest = min(same, key=lambda each: each["metadata"]["creationTimestamp"], default=None)
    return _hash_of(oldest) if oldest else ""


def template_digest(obj: Object) -> str:
    """Return what two pod templates have in common exactly when they make the same pods."""
    if digest := obj.get(DIGEST_KEY):
        return str(digest)
    template = (obj.get("spec") or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {
        key: value
        for key, value in (metadata.get("labels") or {}).items()
        if key != TEMPLATE_HASH_LABEL
    }
    annotations = metadata.get("annotations") or {}
    canonical = json.dumps([labels, annotations, template.get("spec")], sort_keys=True)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
