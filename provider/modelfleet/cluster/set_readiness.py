"""Whether a StatefulSet of one pod is ready, and why not. Pure, as ``readiness`` is of Deployments.

Its controller says nothing of pods that it cannot make, so a set without a pod only waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modelfleet.cluster.objects import Object
from modelfleet.cluster.pod_state import finding
from modelfleet.cluster.reasons import (
    Code,
    Failed,
    FieldNames,
    Outcome,
    Ready,
    Reason,
    Waiting,
    folded,
)

REVISION_LABEL: Final = "controller-revision-hash"
"""The label by which the StatefulSet controller tells the pods of its versions apart."""


def set_readiness(
    stateful_set: Object | None, pods: Sequence[Object], *, fields: FieldNames
) -> Outcome:
    """Return whether every pod of ``stateful_set`` is of the present version and serves."""
    if stateful_set is None or stateful_set["metadata"].get("deletionTimestamp"):
        state = "does not exist any more" if stateful_set is None else "is being deleted"
        hint = "Somebody deleted it; run this again to create it anew."
        return Failed((Reason(Code.MISSING, f"The StatefulSet {state}", hint=hint),))
    metadata, status = stateful_set["metadata"], stateful_set.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 1):
        text = "The StatefulSet controller has not seen the last change yet"
        return Waiting((Reason(Code.NOT_OBSERVED, text),))
    wanted = int(stateful_set["spec"].get("replicas", 1))
    version = status.get("updateRevision")
    mine = [pod for pod in pods if _version_of(pod) == version]
    if min(int(status.get("readyReplicas") or 0), _updated(status)) >= wanted:
        return Ready()
    findings = [found for pod in mine if (found := finding(pod, fields=fields))]
    reasons = folded(findings, pods=max(len(findings), wanted))
    if any(found.fatal for found in findings):
        return Failed(reasons)
    return Waiting(reasons or (Reason(Code.ROLLING_OUT, "Its pod is not there yet"),))


def _updated(status: Object) -> int:
    """Return how many pods are of the present version; all, where there is but one."""
    if status.get("currentRevision") == status.get("updateRevision"):
        return int(status.get("currentReplicas") or 0)
    return int(status.get("updatedReplicas") or 0)


def _version_of(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))
