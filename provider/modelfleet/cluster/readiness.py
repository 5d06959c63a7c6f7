"""Whether a Deployment and its pods serve what was declared: a pure function of what is seen.

``Ready`` is decided by the Deployment's status alone, and only once its controller has seen the
present generation: pods may be those of yesterday's version. Pods tell *why* it is not ready, and
only pods of the present version do. Nothing here reads a clock: time limits are the caller's, and
whatever a node or a person may still mend is ``Waiting``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modelfleet.cluster.objects import Object
from modelfleet.cluster.pod_state import condition, finding, is_over
from modelfleet.cluster.reasons import (
    Code,
    Failed,
    FieldNames,
    Finding,
    Outcome,
    Ready,
    Reason,
    Waiting,
    folded,
)
from modelfleet.cluster.refused_pods import refused_pod
from modelfleet.cluster.revisions import hash_of
from modelfleet.cluster.rollout import Rollout, Until, pods_in_words

__all__ = [
    "Code",
    "Failed",
    "FieldNames",
    "Outcome",
    "Ready",
    "Reason",
    "Until",
    "Waiting",
    "readiness",
]

_PATIENT: Final = frozenset({Code.UNSCHEDULABLE, Code.GATED, Code.STARTING, Code.QUOTA})
"""What may last as long as it likes: a progress deadline says nothing against it."""


def readiness(
    deployment: Object | None,
    pods: Sequence[Object],
    *,
    until: Until,
    fields: FieldNames | None = None,
    current_hash: str | None = None,
) -> Outcome:
    """Return whether ``deployment`` is ready, and if not, why, one reason per cause.

    ``until``: ``accepted`` asks nothing more than that it exists; ``available`` that all pods are
    of the present version and enough of them serve (replicas less what the strategy lets be
    unavailable, but never none); ``all`` that every pod serves. ``pods`` are the service's pods,
    of any version; ``current_hash`` (see ``revisions``) tells which are of the present one, None
    means all of them.
    """
    fields = fields or FieldNames()
    if deployment is None or deployment["metadata"].get("deletionTimestamp"):
        state = "does not exist any more" if deployment is None else "is being deleted"
        hint = "Somebody deleted it; run this again to create it anew."
        return Failed((Reason(Code.MISSING, f"The Deployment {state}", hint=hint),))
    if until == "accepted":
        return Ready()
    rollout = Rollout.of(deployment)
    if not rollout.observed:
        text = "The Deployment controller has not seen the last change yet"
        return Waiting((Reason(Code.NOT_OBSERVED, text),))
    mine = [pod for pod in pods if current_hash is None or hash_of(pod) == current_hash]
    if rollout.replicas == 0:
        return _stopped(rollout, left=sum(not is_over(pod) for pod in mine))
    findings = [
        found for pod in mine if (found := finding(pod, fields=fields, old_pods=rollout.old))
    ]
    if rollout.serves(until):
        # A pod that is over stays listed for hours after another has taken its place.
        present = [found for found in findings if found.reason.code is not Code.POD_FAILED]
        return Ready(folded(present, pods=rollout.replicas))
    pod_reasons = folded(findings, pods=max(len(findings), rollout.replicas))
    blocked = _blocked(deployment, rollout, fields=fields, current_hash=current_hash)
    reasons = (*(each.reason for each in blocked), *pod_reasons)
    if _deadline_passed(deployment, reasons, current_hash=current_hash):
        text = "The rollout made no progress within its deadline"
        hint = f"Raise {fields.startup} if its pods only need longer to start."
        return _failed((*reasons, Reason(Code.PROGRESS_DEADLINE, text, fields.startup, hint)))
    lost = sum(each.fatal for each in findings)
    if lost > rollout.spare(until) or any(each.fatal for each in blocked):
        return _failed(reasons)
    return Waiting(reasons or (Reason(Code.ROLLING_OUT, rollout.told),))


def _failed(reasons: Sequence[Reason]) -> Failed:
    """Return the failure without the pods that are merely on their way."""
    return Failed(tuple(reason for reason in reasons if reason.code is not Code.STARTING))


def _stopped(rollout: Rollout, *, left: int) -> Outcome:
    left = max(left, rollout.old + rollout.updated, rollout.terminating)
    if left == 0:
        return Ready()
    return Waiting((Reason(Code.STOPPING, f"{pods_in_words(left)} still to stop"),))


def _blocked(
    deployment: Object, rollout: Rollout, *, fields: FieldNames, current_hash: str | None
) -> list[Finding]:
    """Return what keeps pods from even being made, fatal first: refused, no quota, paused."""
    found: list[Finding] = []
    if failure := _message(deployment, "ReplicaFailure", "True", current_hash):
        found.append(refused_pod(failure, fields=fields, old_pods=rollout.old))
    if deployment["spec"].get("paused"):
        hint = "Somebody paused it; resume it with kubectl rollout resume."
        found.append(Finding(Reason(Code.PAUSED, "The rollout is paused", hint=hint)))
    return found


def _deadline_passed(
    deployment: Object, reasons: Sequence[Reason], *, current_hash: str | None
) -> bool:
    """Return whether the controller gave up on it, and nothing is known that may yet resolve."""
    if not _message(deployment, "Progressing", "False", current_hash):
        return False
    return not reasons or any(reason.code not in _PATIENT for reason in reasons)


def _message(deployment: Object, kind: str, status: str, current_hash: str | None) -> str:
    """Return the message of a condition if it holds and is about the present version.

    Conditions outlive the version they were written for; both kinds read here name its ReplicaSet.
    """
    found = condition(deployment, kind)
    message = str(found.get("message", ""))
    if found.get("status") != status:
        return ""
    if current_hash is None:
        return message
    return message if current_hash and f"-{current_hash}" in message else ""
