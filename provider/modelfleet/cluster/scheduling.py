"""Why no node takes a pod: the scheduler's message, told in terms of what was declared.

The scheduler counts nodes by the first thing that ruled each one out, in a fixed order: taints,
then selector and affinity, then resources. So the nodes that lack *resources* fit in every other
way and are the ones to talk about; only where there are none do selectors, and then taints, decide.
Pure: one message and one pod spec in, one reason out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.cluster.neighbours import called
from modelfleet.cluster.reasons import Code, FieldNames, Reason

_COUNTED: Final = re.compile(r"\d+/(?P<total>\d+) nodes are available: (?P<body>.*)", re.DOTALL)
_CLAUSE: Final = re.compile(r"(?P<nodes>\d+) (?P<reason>.*)", re.DOTALL)
_TAINT: Final = re.compile(r"untolerated taint \{(?P<key>[^:}]+):? ?(?P<value>[^}]*)\}")
_MISSING_CLAIM: Final = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')


@dataclass(frozen=True)
class Obstacle:
    """One thing that rules out nodes: how many, in what words, and what to do about it.

    ``rank`` orders obstacles by how near their nodes are to fitting: the lowest is told first, and
    names the field.
    """

    rank: int
    nodes: int
    phrase: str
    field: str
    hint: str


def unschedulable(
    message: str, pod_spec: Mapping[str, Any], *, fields: FieldNames, old_pods: int = 0
) -> Reason:
    """Return why the scheduler's ``message`` says that no node takes ``pod_spec``.

    ``old_pods`` is how many pods of the former version still run: a new pod may only be waiting for
    their GPUs, and the hint then says how to let go of them first. The text has no subject.
    """
    counted = _COUNTED.match(message)
    if counted is None:
        return _not_counted(message, fields)
    total = int(counted["total"])
    # What follows the first sentence (preemption, claims) repeats the node counts in other words.
    body = counted["body"].split(". ", 1)[0].rstrip(".")
    obstacles = sorted(
        (obstacle(clause, pod_spec, fields) for clause in _clauses(body, total)),
        key=lambda obstacle: (obstacle.rank, -obstacle.nodes),
    )
    first = obstacles[0]
    told = ", ".join(f"{each.nodes} {each.phrase}" for each in obstacles)
    hint = first.hint
    second = next((each for each in obstacles if each.field not in ("", first.field)), None)
    if second is not None and second.rank > first.rank:
        # Nodes without any GPU lack a GPU, too: the first may not be what was thought of.
        hint += f" {second.hint}"
    if old_pods and first.field in (fields.gpu_count, fields.cpu, fields.memory):
        hint += (
            f" Pods of the former version ({old_pods}) still hold theirs; {fields.strategy} can "
            "make them stop first."
        )
    return Reason(
        Code.UNSCHEDULABLE,
        f"cannot be scheduled, none of {_nodes(total)} fits: {told}",
        field=first.field,
        hint=hint,
    )


def _clauses(body: str, total: int) -> Iterator[tuple[int, str]]:
    """Yield (how many nodes, the scheduler's reason); a reason without a count concerns all."""
    for part in re.split(r", (?=\d+ )", body):
        clause = _CLAUSE.match(part)
        yield (int(clause["nodes"]), clause["reason"]) if clause else (total, part)


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _not_counted(message: str, fields: FieldNames) -> Reason:
    """Return the reason for the messages that name no node."""
    if "no nodes available" in message:
        return Reason(
            Code.UNSCHEDULABLE,
            "cannot be scheduled, the cluster has no nodes",
            hint="Add nodes to the cluster.",
        )
    if "Pod's priority" in message or "preempt" in message:
        return Reason(
            Code.UNSCHEDULABLE,
            f"cannot be scheduled yet: {message.rstrip('.')}",
            field=fields.priority_class,
            hint="It takes the place of pods of lower priority once those have stopped.",
        )
    return Reason(
        Code.UNSCHEDULABLE,
        f"cannot be scheduled: {message.rstrip('.') or 'the scheduler gave no reason'}",
    )


def obstacle(clause: tuple[int, str], pod_spec: Mapping[str, Any], fields: FieldNames) -> Obstacle:
    """Return what one counted clause of the message says; unknown ones are passed on verbatim."""
    nodes, reason = clause
    if reason.startswith("Insufficient "):
        return _shortage(nodes, reason.removeprefix("Insufficient "), pod_spec, fields)
    if taint := _TAINT.search(reason):
        return _tainted(nodes, taint["key"].strip(), taint["value"].strip(), fields)
    if claim := _MISSING_CLAIM.search(reason):
        wanted = called("PersistentVolumeClaim", claim["name"])
        hint = f"Create {wanted}, or change {fields.storage}."
        return Obstacle(0, nodes, f"waiting for volume claim {claim['name']}", fields.storage, hint)
    for known, build in _BUILDERS:
        if known in reason:
            return build(nodes, pod_spec, fields)
    return Obstacle(4, nodes, f"saying {reason!r}", "", "Ask whoever runs the cluster.")


def _shortage(
    nodes: int, resource: str, pod_spec: Mapping[str, Any], fields: FieldNames
) -> Obstacle:
    asked = requested(pod_spec, resource)
    phrase = f"short of {resource}" + (f" ({asked} asked per pod)" if asked else "")
    field = {
        "cpu": fields.cpu,
        "memory": fields.memory,
        "ephemeral-storage": fields.storage,
    }.get(resource, fields.gpu_count)
    more = f"dd or free nodes with {resource}."
    return Obstacle(0, nodes, phrase, field, f"Lower {field}, or a{more}" if field else f"A{more}")


def _tainted(nodes: int, key: str, value: str, fields: FieldNames) -> Obstacle:
    if key.startswith(("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")):
        # Put there by Kubernetes itself: the node is ill, and tolerating that helps nobody.
        state = key.split("/", 1)[1]
        return Obstacle(3, nodes, state, "", "Wait for the nodes, or mend them.")
    taint = f"{key}={value}" if value else key
    hint = f"Add a toleration of {taint} to {fields.tolerations} to use these nodes."
    if not fields.tolerations:
        hint = _NONE_TOLERATED
    return Obstacle(2, nodes, f"with taint {taint}", fields.tolerations, hint)


def _unknown_taints(nodes: int, _spec: Mapping[str, Any], fields: FieldNames) -> Obstacle:
    hint = (
        f"Compare {fields.tolerations} with the taints of the nodes (kubectl describe nodes), and "
        "look for nodes that are not ready."
    )
    if not fields.tolerations:
        hint = _NONE_TOLERATED
    phrase = "with taints that are not tolerated"
    return Obstacle(2, nodes, phrase, fields.tolerations, hint)


def _mismatched(nodes: int, pod_spec: Mapping[str, Any], fields: FieldNames) -> Obstacle:
    wanted = node_requirements(pod_spec)
    field = _field_of_requirement(wanted, pod_spec, fields)
    told = ", ".join(wanted.values())
    return Obstacle(
        1,
        nodes,
        f"without {told}" if told else "not matching selector and affinity",
        field,
        f"Compare {field} with the labels of the nodes, or add nodes that carry them.",
    )


def _field_of_requirement(
    wanted: Mapping[str, str], pod_spec: Mapping[str, Any], fields: FieldNames
) -> str:
    """Return the field that most likely rendered the labels a pod wants of its node."""
    for part, field in (
        ("mig", fields.gpu_mig),
        ("product", fields.gpu_product),
        ("compute.", fields.gpu_capability),
        (".memory", fields.gpu_memory),
        (".vram", fields.gpu_memory),
    ):
        if any(_is_gpu_label(key) and part in key for key in wanted):
            return field
    return fields.node_selector if pod_spec.get("nodeSelector") else fields.affinity


def _is_gpu_label(key: str) -> bool:
    return key.split("/", 1)[0] in ("nvidia.com", "amd.com", "gpu.intel.com", "habana.ai")


def _fixed(rank: int, phrase: str, field: str, hint: str) -> Callable[..., Obstacle]:
    """Return a builder for obstacles whose words do not depend on the pod."""

    def build(nodes: int, _pod_spec: Mapping[str, Any], fields: FieldNames) -> Obstacle:
        name = getattr(fields, field) if field else ""
        return Obstacle(rank, nodes, phrase, name, hint.format(field=name))

    return build


_NONE_TOLERATED: Final = "These pods tolerate no taints: add nodes without one, or take one off."
_ASK_STORAGE: Final = "Check {field} and where its volume is."
_ASK_CLASS: Final = (
    f"See why its claim is not bound (kubectl describe pvc): the {called('StorageClass')} that "
    "{field} names must exist, and its provisioner run."
)
_ASK_AFFINITY: Final = "Relax {field}, or add nodes."
_BUILDERS: Final[tuple[tuple[str, Callable[..., Obstacle]], ...]] = (
    ("Too many pods", _fixed(0, "full, with as many pods as a node may run", "", "Add nodes.")),
    ("node affinity/selector", _mismatched),
    ("untolerated taint", _unknown_taints),
    ("taints that the pod didn't tolerate", _unknown_taints),
    ("were unschedulable", _fixed(3, "cordoned", "", "Uncordon the nodes, or add others.")),
    ("anti-affinity", _fixed(1, "with a pod that this one avoids", "affinity", _ASK_AFFINITY)),
    (
        "pod affinity",
        _fixed(1, "without the pod that this one wants beside it", "affinity", _ASK_AFFINITY),
    ),
    ("topology spread", _fixed(1, "against the topology spread", "affinity", _ASK_AFFINITY)),
    ("free ports", _fixed(1, "with the host port in use", "pod_overrides", _ASK_AFFINITY)),
    ("unbound immediate", _fixed(0, "waiting for a volume to be bound", "storage", _ASK_CLASS)),
    ("volume node affinity", _fixed(1, "out of reach of the volume", "storage", _ASK_STORAGE)),
    ("volume", _fixed(1, "unable to mount the volume", "storage", _ASK_STORAGE)),
    ("pvc(s)", _fixed(1, "unable to mount the volume", "storage", _ASK_STORAGE)),
    ("storage", _fixed(1, "short of storage", "storage", _ASK_STORAGE)),
)
"""By a part of the scheduler's reason; the first match decides, so the more special come first."""


def requested(pod_spec: Mapping[str, Any], resource: str) -> str:
    """Return what one container of the pod asks of ``resource`` (the largest), or ``""``."""
    asked = [
        str(amount)
        for container in pod_spec.get("containers") or ()
        for amounts in [container.get("resources") or {}]
        for amount in [
            (amounts.get("requests") or {}).get(resource)
            or (amounts.get("limits") or {}).get(resource)
        ]
        if amount
    ]
    return max(asked, key=lambda amount: (len(amount), amount), default="")


def node_requirements(pod_spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels a pod wants of its node: key -> the requirement in words."""
    wanted = {
        key: f"{key}={value}" for key, value in sorted((pod_spec.get("nodeSelector") or {}).items())
    }
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for rule in term.get("matchExpressions") or ():
            values = ", ".join(rule.get("values") or ())
            told = f"{rule['key']} {rule['operator']}" + (f" ({values})" if values else "")
            wanted.setdefault(rule["key"], told)
    return wanted
