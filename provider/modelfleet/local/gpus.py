"""The GPU models that fake nodes can have, and how a person asks for them. Pure.

Labels are those that NVIDIA's GPU feature discovery and AMD's node labeller set; memory is what
they report on real machines, a little less than the number on the box.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelfleet.errors import ConfigError


@dataclass(frozen=True)
class GpuModel:
    """One GPU model. ``memory_mib`` per GPU; host CPU and memory are per GPU, too."""

    vendor: str
    product: str
    memory_mib: int
    family: str
    compute_capability: tuple[int, int] = (0, 0)
    device_id: str = ""
    compute_units: int = 0
    host_cpus: int = 24
    host_memory_gib: int = 192
    machine: str = "fake-gpu-server"


def _nvidia(
    product: str,
    memory_mib: int,
    family: str,
    capability: tuple[int, int],
    *,
    host_cpus: int = 24,
    host_memory_gib: int = 192,
) -> GpuModel:
    return GpuModel(
        "nvidia",
        product,
        memory_mib,
        family,
        capability,
        host_cpus=host_cpus,
        host_memory_gib=host_memory_gib,
    )


def _amd(product: str, memory_gib: int, device_id: str, compute_units: int) -> GpuModel:
    memory_mib = memory_gib * 1024
    return GpuModel("amd", product, memory_mib, "AI", (0, 0), device_id, compute_units)


CATALOGUE: dict[str, GpuModel] = {
    "b200-180gb": _nvidia("NVIDIA-B200", 183359, "blackwell", (10, 0)),
    "h200-141gb": _nvidia("NVIDIA-H200", 143771, "hopper", (9, 0)),
    "h100-80gb": _nvidia("NVIDIA-H100-80GB-HBM3", 81559, "hopper", (9, 0)),
    "a100-80gb": _nvidia("NVIDIA-A100-SXM4-80GB", 81920, "ampere", (8, 0)),
    "a100-40gb": _nvidia("NVIDIA-A100-SXM4-40GB", 40960, "ampere", (8, 0)),
    "l40s-48gb": _nvidia("NVIDIA-L40S", 46068, "ada-lovelace", (8, 9), host_memory_gib=96),
    "l4-24gb": _nvidia(
        "NVIDIA-L4", 23034, "ada-lovelace", (8, 9), host_cpus=12, host_memory_gib=48
    ),
    "a10-24gb": _nvidia("NVIDIA-A10", 23028, "ampere", (8, 6), host_cpus=12, host_memory_gib=48),
    "t4-16gb": _nvidia("Tesla-T4", 15360, "turing", (7, 5), host_cpus=8, host_memory_gib=32),
    "mi300x-192gb": _amd("AMD_Instinct_MI300X_OAM", 192, "74a1", 304),
    "mi325x-256gb": _amd("AMD_Instinct_MI325X_OAM", 256, "74a5", 304),
}

REAL_GPU = _nvidia("Local-CPU", 1024, "none", (0, 0))
"""What real nodes offer as GPUs: the machine's processor under another name."""


@dataclass(frozen=True)
class GpuPool:
    """So many nodes with so many GPUs of one model each."""

    model_name: str
    gpus_per_node: int
    nodes: int

    @property
    def model(self) -> GpuModel:
        """What the catalogue says about the GPUs of this pool."""
        return CATALOGUE[self.model_name]

    def __str__(self) -> str:
        return f"{self.model_name}:{self.gpus_per_node}x{self.nodes}"


_POOL = re.compile(r"(?P<model>[a-z0-9-]+):(?P<gpus>[1-9]\d?)x(?P<nodes>\d{1,5})")


def gpu_pools(text: str) -> list[GpuPool]:
    """Pools from ``model:GPUs-per-node x nodes``, as in ``h100-80gb:8x12,l4-24gb:4x6``.

    An empty text means no GPU nodes. Raises ConfigError with everything that is wrong.
    """
    pools: list[GpuPool] = []
    mistakes: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _POOL.fullmatch(part)
        if match is None:
            mistakes.append(f"{part!r} is not <model>:<GPUs per node>x<nodes>.")
        elif match["model"] not in CATALOGUE:
            mistakes.append(f"{match['model']!r} is not a known GPU model.")
        elif any(pool.model_name == match["model"] for pool in pools):
            mistakes.append(f"{match['model']!r} is named twice.")
        else:
            pools.append(GpuPool(match["model"], int(match["gpus"]), int(match["nodes"])))
    if mistakes:
        raise ConfigError(
            f"--gpus {text}: {' '.join(mistakes)}",
            hint=f"Example: h100-80gb:8x12,l4-24gb:4x6. Known models: {', '.join(CATALOGUE)}.",
        )
    return pools


def gpu_labels(model: GpuModel, *, count: int) -> dict[str, str]:
    """The node labels that the vendor's discovery sets for ``count`` GPUs of ``model``."""
    if model.vendor == "amd":
        return _amd_labels(model, count=count)
    major, minor = model.compute_capability
    return {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": model.product,
        "nvidia.com/gpu.memory": str(model.memory_mib),
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/gpu.mode": "compute",
        "nvidia.com/gpu.family": model.family,
        "nvidia.com/gpu.machine": model.machine,
        "nvidia.com/gpu.compute.major": str(major),
        "nvidia.com/gpu.compute.minor": str(minor),
        "nvidia.com/mig.capable": str(major >= 8 and model.memory_mib >= 40_000).lower(),
        "nvidia.com/cuda.driver-version.full": "580.95.05",
        "nvidia.com/cuda.driver-version.major": "580",
        "nvidia.com/cuda.driver-version.minor": "95",
        "nvidia.com/cuda.driver-version.revision": "05",
        "nvidia.com/cuda.runtime-version.full": "13.0",
        "nvidia.com/cuda.runtime-version.major": "13",
        "nvidia.com/cuda.runtime-version.minor": "0",
    }


def _amd_labels(model: GpuModel, *, count: int) -> dict[str, str]:
    facts = {
        "product-name": model.product,
        "vram": f"{model.memory_mib // 1024}G",
        "family": model.family,
        "device-id": model.device_id,
        "cu-count": str(model.compute_units),
        "simd-count": str(model.compute_units * 4),
    }
    # The labeller keeps its older names beside the newer ones, with the count in the key.
    return {f"amd.com/gpu.{key}": value for key, value in facts.items()} | {
        f"beta.amd.com/gpu.{key}.{value}": str(count) for key, value in facts.items()
    }


def gpu_resource(model: GpuModel) -> str:
    """The extended resource that the vendor's device plugin advertises."""
    return f"{model.vendor}.com/gpu"
