"""What each GPU vendor calls things on Kubernetes: resources, node labels, taints.

The one table of those names, and the rules on what can be asked of which vendor. Sources, as of
November 2026: NVIDIA's device plugin and GPU feature discovery, AMD's device plugin and node
labeller, Intel's GPU plugin and its node feature rules, Intel Gaudi's device plugin, which brings
no label of the product, and Huawei's Ascend device plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.hardware import Gpu
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.tree import dotted


@dataclass(frozen=True)
class GpuVendor:
    """Names of one vendor. A label that is None is one the vendor's nodes do not carry.

    ``memory_mib_label`` holds a number of MiB; ``compute_major_label`` and
    ``compute_minor_label`` the CUDA compute capability. ``taint`` is the key that keeps other pods
    away from GPU nodes.
    """

    resource: str
    taint: str
    product_label: str | None = None
    memory_mib_label: str | None = None
    compute_major_label: str | None = None
    compute_minor_label: str | None = None


VENDORS: Final[Mapping[str, GpuVendor]] = {
    "nvidia": GpuVendor(
        resource="nvidia.com/gpu",
        taint="nvidia.com/gpu",
        product_label="nvidia.com/gpu.product",
        memory_mib_label="nvidia.com/gpu.memory",
        compute_major_label="nvidia.com/gpu.compute.major",
        compute_minor_label="nvidia.com/gpu.compute.minor",
    ),
    # AMD's amd.com/gpu.vram is text such as 192G: nothing a node affinity could compare.
    "amd": GpuVendor(
        resource="amd.com/gpu",
        taint="amd.com/gpu",
        product_label="amd.com/gpu.product-name",
    ),
    # The xe driver's devices are gpu.intel.com/xe: deployment.gpu.resource_name.
    "intel": GpuVendor(
        resource="gpu.intel.com/i915",
        taint="gpu.intel.com/i915",
        product_label="gpu.intel.com/product",
    ),
    "gaudi": GpuVendor(
        resource="habana.ai/gaudi",
        taint="habana.ai/gaudi",
    ),
    "ascend": GpuVendor(
        resource="huawei.com/Ascend910",
        taint="huawei.com/Ascend910",
        product_label="node.kubernetes.io/npu.chip.name",
    ),
}


@rule("deployment.gpu.vendor", "deployment.gpu.min_memory_gib")
def _memory_can_be_compared(vendor: str | None, min_memory_gib: float | None) -> Problems:
    known = VENDORS.get(vendor or "")
    if min_memory_gib is not None and known is not None and known.memory_mib_label is None:
        yield Problem(
            "deployment.gpu.min_memory_gib",
            f"{vendor} nodes carry no label to compare it with; set deployment.gpu.product",
        )


@rule("deployment.gpu.vendor", "deployment.gpu.compute_capability")
def _capability_can_be_compared(vendor: str | None, capability: float | None) -> Problems:
    known = VENDORS.get(vendor or "")
    if capability is not None and known is not None and known.compute_major_label is None:
        yield Problem(
            "deployment.gpu.compute_capability",
            f"is a measure of NVIDIA's GPUs, not of {vendor}'s; set deployment.gpu.product",
        )


@rule("deployment.gpu.resource_name")
def _resource_has_a_domain(resource_name: str | None) -> Problems:
    if resource_name is not None and "/" not in resource_name:
        yield Problem(
            "deployment.gpu.resource_name",
            "must have its domain before it, such as nvidia.com/gpu.shared",
        )


@rule("deployment.gpu.vendor", "deployment.gpu.product", "deployment.node_selector")
def _product_is_said_once(
    vendor: str | None, product: str | None, node_selector: Mapping[str, Any] | None
) -> Problems:
    known = VENDORS.get(vendor or "")
    if product is None or known is None:
        return
    if known.product_label is None:
        yield Problem(
            "deployment.gpu.product",
            f"{vendor} nodes carry no label to compare it with; set deployment.node_selector",
        )
    elif (node_selector or {}).get(known.product_label, product) != product:
        path = ("deployment", "node_selector", known.product_label)
        yield Problem(
            dotted(path), f"contradicts deployment.gpu.product, which is {product}; remove one"
        )


@rule(
    "deployment.gpu.mig_profile",
    "deployment.gpu.vendor",
    "deployment.gpu.resource_name",
    "deployment.gpu.count",
    "deployment.gpu.min_memory_gib",
)
def _slices_are_of_nvidia(
    profile: str | None,
    vendor: str | None,
    resource_name: str | None,
    count: float | None,
    min_memory_gib: float | None,
) -> Problems:
    if profile is None:
        return
    path = "deployment.gpu.mig_profile"
    if vendor != "nvidia":
        yield Problem(path, f"is a slice of an NVIDIA GPU, and deployment.gpu.vendor is {vendor}")
    if resource_name is not None:
        yield Problem(path, "excludes deployment.gpu.resource_name; keep one of them")
    if (count or 1) > 1:
        yield Problem(
            "deployment.gpu.count",
            "must be 1 with mig_profile: a process can use one slice only; set "
            "deployment.replicas, or a larger profile",
        )
    if min_memory_gib is not None:
        yield Problem(
            "deployment.gpu.min_memory_gib",
            "would be compared with the whole GPU; the memory of a slice is in its profile",
        )


def gpu_resource_of(gpu: Gpu) -> str:
    """Return the extended resource that a pod requests for ``gpu``."""
    if gpu.mig_profile is not None:
        return f"nvidia.com/mig-{gpu.mig_profile}"
    return gpu.resource_name or VENDORS[gpu.vendor].resource


GPU_RULES: Final[tuple[Rule, ...]] = (
    _memory_can_be_compared,
    _capability_can_be_compared,
    _resource_has_a_domain,
    _product_is_said_once,
    _slices_are_of_nvidia,
)
