"""What is wrong with one pod, if anything, told in terms of what was declared.

Reads a pod the way the kubelet writes it: scheduling first, then init containers in their order
(sidecars among them), then containers. Pure; ``readiness`` decides what the findings of all pods
mean for the service, ``diagnosis`` adds what only logs and events know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelfleet.cluster.container_state import Container, container_finding
from modelfleet.cluster.objects import Object
from modelfleet.cluster.others_words import short
from modelfleet.cluster.reasons import Code, FieldNames, Finding, Reason
from modelfleet.cluster.scheduling import unschedulable


def finding(pod: Object, *, fields: FieldNames, old_pods: int = 0) -> Finding | None:
    """Return what keeps ``pod`` from being ready, None for one that is, or that is going.

    ``old_pods`` is how many pods of the former version still run, for the hints.
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    if metadata.get("deletionTimestamp") or is_ready(pod):
        return None
    found = _scheduling(pod, fields, old_pods) or _ended(status) or _first_obstacle(pod, fields)
    return replace(found, reason=replace(found.reason, pod=metadata["name"]))


def is_ready(pod: Object) -> bool:
    """Return whether the pod counts as ready for its Service."""
    return condition(pod, "Ready").get("status") == "True"


def is_over(pod: Object) -> bool:
    """Return whether the pod has ended for good; such pods stay listed for a while."""
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def condition(obj: Object, kind: str) -> Mapping[str, Any]:
    """Return the condition of that type, empty where the object has none."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


def containers(pod: Object) -> Iterator[Container]:
    """Yield the containers that have a status, in the order in which they start."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    for init, specs, statuses in (
        (True, "initContainers", "initContainerStatuses"),
        (False, "containers", "containerStatuses"),
    ):
        by_name = {each["name"]: each for each in spec.get(specs) or ()}
        for each in status.get(statuses) or ():
            yield Container(each, by_name.get(each.get("name"), {}), init)


def _scheduling(pod: Object, fields: FieldNames, old_pods: int) -> Finding | None:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return None
    message = str(scheduled.get("message", ""))
    if scheduled.get("reason") == "SchedulingGated":
        hint = f"It goes on when the queue admits it; check {fields.queue} and the queue's quota."
        text = "held back from scheduling by a gate"
        return Finding(Reason(Code.GATED, text, fields.queue, hint))
    return Finding(unschedulable(message, pod.get("spec") or {}, fields=fields, old_pods=old_pods))


def _ended(status: Mapping[str, Any]) -> Finding | None:
    """Return a finding for a pod that is over: evicted, refused by its node. It is replaced."""
    if status.get("phase") != "Failed":
        return None
    reason, message = status.get("reason") or "it failed", status.get("message") or ""
    return Finding(
        Reason(
            Code.POD_FAILED,
            f"ended: {reason}" + (f" ({short(message)})" if message else ""),
            hint="A new pod takes its place; if that goes on, look at the node.",
        )
    )


def _first_obstacle(pod: Object, fields: FieldNames) -> Finding:
    """Return what holds up a scheduled pod: a fatal container, else the first that is not done."""
    found = [container_finding(each, fields=fields) for each in containers(pod) if not each.done]
    if found:
        return next((each for each in found if each.fatal), found[0])
    node = (pod.get("spec") or {}).get("nodeName")
    if not (pod.get("status") or {}).get("containerStatuses"):
        where = f"on node {node}" if node else "the scheduler has not looked at it yet"
        return Finding(Reason(Code.STARTING, f"about to start, {where}"))
    message = condition(pod, "Ready").get("message") or "its node has not reported it ready"
    text = f"running, but not ready: {short(message)}"
    return Finding(Reason(Code.PROBE_FAILING, text, fields.probes))
