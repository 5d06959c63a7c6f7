"""The hardware of one pod of a hosted ModelService, and how a model is spread over it.

What vendors call things on Kubernetes is in ``engines/gpus.py``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from modelfleet.spec.fields import (
    ChangeClass,
    Int,
    LabelValue,
    Number,
    QualifiedName,
    SpecModel,
    declared,
    text,
)

ROLLING = ChangeClass.ROLLING

GpuVendorName = Literal["nvidia", "amd", "intel", "gaudi", "ascend"]
Architecture = Literal["amd64", "arm64"]
MigProfile = Annotated[
    str,
    text(
        r"^[1-7]g\.[0-9]{1,3}gb(\.me)?$",
        says="must be a MIG profile such as 1g.10gb",
    ),
]
ImageKey = Annotated[
    str,
    text(
        r"^(default|(nvidia|amd|intel|gaudi|ascend|cpu)(/(amd64|arm64))?|amd64|arm64)$",
        says="must be `default`, a GPU vendor (or `cpu`), an architecture, or `vendor/architecture`"
        " such as nvidia/arm64",
    ),
]


class Gpu(SpecModel):
    """The accelerators of one pod."""

    vendor: GpuVendorName = declared("nvidia", change=ROLLING, doc="Who makes it.")
    product: LabelValue | None = declared(
        None,
        change=ROLLING,
        doc="Product as the node label says it, such as NVIDIA-H100-80GB-HBM3.",
        min_length=1,
    )
    count: Int = declared(1, change=ROLLING, doc="GPUs per pod.", ge=1, le=64)
    min_memory_gib: Number | None = declared(
        None,
        change=ROLLING,
        doc="Least memory of each GPU, in GiB as its node reports it (an 80 GB H100: 79.6).",
        gt=0,
        le=4096,
    )
    compute_capability: Number | None = declared(
        None, change=ROLLING, doc="Least CUDA compute capability, such as 8.0.", ge=1, le=99
    )
    mig_profile: MigProfile | None = declared(
        None,
        change=ROLLING,
        doc="Slice of an NVIDIA GPU, such as 1g.10gb, on nodes whose MIG strategy is mixed; "
        "one slice per pod.",
    )
    resource_name: QualifiedName | None = declared(
        None, change=ROLLING, doc="Extended resource to request; unset = the vendor's usual one."
    )


class Parallelism(SpecModel):
    """How the model is spread over the GPUs of a pod."""

    tensor: Int | None = declared(
        None, change=ROLLING, doc="Tensor parallel size; unset = gpu.count / pipeline.", ge=1
    )
    pipeline: Int = declared(1, change=ROLLING, doc="Pipeline parallel size.", ge=1)
