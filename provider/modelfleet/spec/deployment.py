"""How a hosted ModelService runs: model, engine, hardware, resources, rollout, placement.

What a user declares, before any engine has translated it. Its parts have files of their own. No
engine's flags stand here (``engines/``), no Kubernetes object (``render/``), no I/O.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import SecretStr

from modelfleet.spec.fields import (
    ChangeClass,
    EnvName,
    Int,
    LabelValue,
    Number,
    ObjectName,
    QualifiedName,
    SpecModel,
    declared,
)
from modelfleet.spec.hardware import Architecture, Gpu, ImageKey, Parallelism
from modelfleet.spec.model_source import ModelSource
from modelfleet.spec.pods import Disruption, Storage, Strategy, Toleration
from modelfleet.spec.runtime import (
    EngineWord,
    EnvValue,
    Image,
    OptionName,
    OptionValue,
    Runtime,
    VersionTag,
)

IN_PLACE = ChangeClass.IN_PLACE
ROLLING = ChangeClass.ROLLING


class DeploymentSpec(SpecModel):
    """How a hosted service runs on Kubernetes."""

    model: ModelSource = declared(change=ROLLING, doc="The weights.")
    runtime: Runtime = declared(
        "vllm",
        change=ROLLING,
        doc="A built-in engine by its name, or a runtime given in full.",
    )
    runtime_version: VersionTag | None = declared(
        None,
        change=ROLLING,
        doc="Version of a built-in engine. Fixed at creation and kept until you change it.",
    )
    images: dict[ImageKey, Image] = declared(
        {},
        change=ROLLING,
        doc="Images that replace the engine's own: by GPU vendor (`cpu` = without GPUs), by CPU "
        "architecture, by both (`nvidia/arm64`), or `default`; the most specific is taken.",
    )
    command: tuple[str, ...] = declared(
        (), change=ROLLING, doc="Entry point; unset = the engine's."
    )
    args: dict[OptionName, OptionValue] = declared(
        {},
        change=ROLLING,
        doc="Further engine options by name without dashes; true = a bare flag, false = its "
        "`--no-` form, a list = several values.",
    )
    env: dict[EnvName, EnvValue] = declared(
        {},
        change=ROLLING,
        doc="Environment: text, or `{secret: name/key}` from an existing Secret.",
    )
    secret_env: dict[EnvName, SecretStr] = declared(
        {}, change=ROLLING, doc="Secret environment; kept in a Secret of the service."
    )
    replicas: Int = declared(1, change=IN_PLACE, doc="Pods; 0 = stopped.", ge=0, le=10_000)
    gpu: Gpu | None = declared(None, change=ROLLING, doc="GPUs of one pod; unset = none.")
    cpu: Number = declared(4, change=ROLLING, doc="CPU cores of one pod.", gt=0, le=1024)
    memory_gib: Number = declared(
        16, change=ROLLING, doc="Memory of one pod, in GiB.", gt=0, le=65_536
    )
    shm_gib: Number = declared(
        2, change=ROLLING, doc="Shared memory, in GiB; part of memory_gib.", ge=0, le=4096
    )
    cpu_architecture: Architecture | None = declared(
        None,
        change=ROLLING,
        doc="CPU architecture of the nodes; unset = any, and no image by architecture.",
    )
    storage: Storage = declared(
        Storage(), change=ROLLING, doc="Where models are cached between starts."
    )
    parallelism: Parallelism = declared(Parallelism(), change=ROLLING, doc="Spread over GPUs.")
    max_model_len: Int | None = declared(
        None, change=ROLLING, doc="Context length, in tokens; unset = the model's.", ge=1
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] | None = declared(
        None, change=ROLLING, doc="Type of weights and activations."
    )
    quantization: EngineWord | None = declared(
        None, change=ROLLING, doc="Quantisation method, such as fp8 or awq."
    )
    kv_cache_dtype: EngineWord | None = declared(
        None, change=ROLLING, doc="Type of the KV cache, such as fp8."
    )
    gpu_memory_utilization: Number | None = declared(
        None, change=ROLLING, doc="Share of GPU memory the engine takes, 0 to 1.", gt=0, le=1
    )
    startup_seconds: Int = declared(
        1800,
        change=ROLLING,
        doc="Time a pod may take to download, load and compile the model.",
        ge=10,
        le=86_400,
    )
    drain_seconds: Int = declared(
        60, change=ROLLING, doc="Time running requests get when a pod stops.", ge=0, le=3600
    )
    strategy: Strategy = declared(Strategy(), change=IN_PLACE, doc="How pods are replaced.")
    disruption: Disruption | None = declared(
        None, change=IN_PLACE, doc="What evictions must leave standing; unset = no budget."
    )
    node_selector: dict[QualifiedName, LabelValue] = declared(
        {}, change=ROLLING, doc="Labels of the nodes the pods may run on."
    )
    tolerations: tuple[Toleration, ...] = declared(
        (), change=ROLLING, doc="Taints the pods accept; the GPU vendor's is added."
    )
    affinity: dict[str, Any] = declared(
        {}, change=ROLLING, doc="Kubernetes affinity, merged with what the GPU asks for."
    )
    priority_class: ObjectName | None = declared(
        None, change=ROLLING, doc="PriorityClass of the pods."
    )
    queue: LabelValue | None = declared(
        None, change=ROLLING, doc="Kueue LocalQueue that admits the pods.", min_length=1
    )
    runtime_class_name: ObjectName | None = declared(
        None, change=ROLLING, doc="RuntimeClass of the pods, such as nvidia."
    )
    service_account: ObjectName | None = declared(
        None, change=ROLLING, doc="ServiceAccount of the pods; its token is not mounted."
    )
    pod_overrides: dict[str, Any] = declared(
        {},
        change=ROLLING,
        doc="Strategic merge patch on the pod template (`metadata`, `spec`), applied last; "
        "`{$patch: delete}` in place of a value takes it away.",
    )
