"""Where pods may run: what the GPU asks for, merged with what is declared. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from modelfleet.engines.gpus import VENDORS, GpuVendor
from modelfleet.engines.launch import Launch
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.hardware import Gpu
from modelfleet.spec.pod_rules import ARCHITECTURE_LABEL
from modelfleet.spec.pods import Toleration

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"

Term = dict[str, Any]


def placement_of(deployment: DeploymentSpec, *, launch: Launch) -> dict[str, Any]:
    """Return the fields of a pod spec that decide its node; none is empty."""
    gpu = deployment.gpu
    fields = {
        "nodeSelector": {
            **_product(gpu),
            **_architecture(deployment),
            **dict(sorted(deployment.node_selector.items())),
        },
        "affinity": _affinity(deployment, terms=_gpu_terms(gpu, launch=launch)),
        "tolerations": _tolerations(deployment),
        "priorityClassName": deployment.priority_class,
        "runtimeClassName": deployment.runtime_class_name,
        "serviceAccountName": deployment.service_account,
    }
    return {name: value for name, value in fields.items() if value}


def _product(gpu: Gpu | None) -> dict[str, str]:
    if gpu is None or gpu.product is None:
        return {}
    label = VENDORS[gpu.vendor].product_label
    return {} if label is None else {label: gpu.product}


def _architecture(deployment: DeploymentSpec) -> dict[str, str]:
    architecture = deployment.cpu_architecture
    return {} if architecture is None else {ARCHITECTURE_LABEL: architecture}


def _tolerations(deployment: DeploymentSpec) -> list[dict[str, Any]]:
    declared = list(deployment.tolerations)
    if deployment.gpu is not None:
        vendors = Toleration(key=VENDORS[deployment.gpu.vendor].taint)
        declared = [vendors, *(each for each in declared if each != vendors)]
    return [each.model_dump(exclude_none=True) for each in declared]


def _gpu_terms(gpu: Gpu | None, *, launch: Launch) -> list[Term]:
    """Return the node selector terms of which one must hold; none where any node will do."""
    if gpu is None:
        return []
    vendor = VENDORS[gpu.vendor]
    memory = _memory(gpu, vendor=vendor)
    least = max(gpu.compute_capability or 0, launch.min_compute_capability or 0)
    capability = _capability(least, vendor=vendor)
    return [{"matchExpressions": [*memory, *each]} for each in capability if memory or each]


def _memory(gpu: Gpu, *, vendor: GpuVendor) -> list[Term]:
    if gpu.min_memory_gib is None or vendor.memory_mib_label is None:
        return []
    return [_at_least(vendor.memory_mib_label, math.ceil(round(gpu.min_memory_gib * 1024, 6)))]


def _capability(least: float, *, vendor: GpuVendor) -> list[list[Term]]:
    """Return alternatives: a greater major version, or the same and at least the minor one."""
    major_label, minor_label = vendor.compute_major_label, vendor.compute_minor_label
    if not least or major_label is None or minor_label is None:
        return [[]]
    major, minor = divmod(round(least * 10), 10)
    if minor == 0:
        return [[_at_least(major_label, major)]]
    same = {"key": major_label, "operator": "In", "values": [str(major)]}
    return [[_at_least(major_label, major + 1)], [same, _at_least(minor_label, minor)]]


def _at_least(label: str, number: int) -> Term:
    # Node affinity has no "at least", only a strict "more than" for whole numbers.
    return {"key": label, "operator": "Gt", "values": [str(number - 1)]}


def _affinity(deployment: DeploymentSpec, *, terms: list[Term]) -> dict[str, Any]:
    """Return the declared affinity in which every alternative also meets one of ``terms``.

    Terms are alternatives and the expressions within one all hold, so both are multiplied out.
    """
    declared = deployment.affinity
    if terms:
        node = declared.get("nodeAffinity") or {}
        own = (node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
        both = [_joined(mine, gpus) for mine in own for gpus in terms]
        node = {**node, _REQUIRED: {"nodeSelectorTerms": both}}
        declared = {**declared, "nodeAffinity": node}
    result: dict[str, Any] = _copied(declared)
    return result


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> Term:
    return {
        key: [*(first.get(key) or []), *(second.get(key) or [])]
        for key in ("matchExpressions", "matchFields")
        if first.get(key) or second.get(key)
    }


def _copied(value: Any) -> Any:
    """Return a copy of free-form ``value`` with 8.0 as 8: programs send numbers as floats."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
