"""How a hosted ModelService runs: model, engine, GPUs, resources, rollout, placement.

What a user declares, before any engine has translated it. No engine's flags stand here
(``engines/``), no Kubernetes object (``render/``), no I/O.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, SecretStr, Tag

from modelfleet.spec.fields import (
    ChangeClass,
    EnvName,
    Int,
    LabelValue,
    Number,
    ObjectName,
    QualifiedName,
    ResourceName,
    SecretName,
    SpecModel,
    declared,
    text,
)

IN_PLACE = ChangeClass.IN_PLACE
ROLLING = ChangeClass.ROLLING

Image = Annotated[
    str,
    text(
        r"^[a-z0-9][-._a-zA-Z0-9:/]*[a-zA-Z0-9](@sha256:[0-9a-f]{64})?$",
        says="must be a container image such as vllm/vllm-openai:v1.0.0",
        max_length=512,
    ),
]
VersionTag = Annotated[
    str, text(r"^[A-Za-z0-9_][-._A-Za-z0-9]{0,127}$", says="must be an image tag such as v1.0.0")
]
OptionName = Annotated[
    str,
    text(
        r"^[a-z0-9][-.a-z0-9_]*$",
        says="must be an engine option in lower case without leading dashes",
    ),
]
HttpPath = Annotated[str, text(r"^/\S*$", says="must be a path that begins with /")]
HostPath = Annotated[
    str,
    text(
        r"^/[^\s:]*[^\s:/]$",
        says="must be an absolute path of the node, such as /var/lib/models",
        max_length=1024,
    ),
]
ModelUri = Annotated[
    str,
    text(
        r"^[a-z0-9]+://\S+$",
        says="must be a URI such as hf://org/name, s3://bucket/path or pvc://claim/path",
        max_length=2048,
    ),
]
Revision = Annotated[
    str, text(r"^[-._/a-zA-Z0-9]+$", says="must be a commit, tag or branch", max_length=256)
]
Sha256 = Annotated[str, text(r"^[0-9a-f]{64}$", says="must be 64 lower-case hexadecimal digits")]
EngineWord = Annotated[
    str, text(r"^[a-z0-9_-]+$", says="must be a lower-case word of the engine", max_length=64)
]
Port = Int


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


EnvText = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int | float | bool)]


class SecretRef(SpecModel):
    """An environment value read from an existing Secret."""

    secret: SecretName = declared(
        change=ROLLING, doc="`name` or `name/key` of a Secret in the service's namespace."
    )


def _env_kind(value: object) -> str:
    return "<ref>" if isinstance(value, dict | SecretRef) else "<text>"


EnvValue = Annotated[
    Annotated[EnvText, Tag("<text>")] | Annotated[SecretRef, Tag("<ref>")],
    Discriminator(_env_kind),
]


def _scalar(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("must be text, a number, true or false")
    return value


def _option_kind(value: object) -> str:
    return "<list>" if isinstance(value, list | tuple) else "<scalar>"


OptionScalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]
OptionValue = Annotated[
    Annotated[OptionScalar, Tag("<scalar>")] | Annotated[tuple[OptionScalar, ...], Tag("<list>")],
    Discriminator(_option_kind),
]


class ModelSource(SpecModel):
    """Where the weights come from."""

    uri: ModelUri = declared(
        change=ROLLING,
        doc="`hf://org/name` or `modelscope://org/name` (a hub; with `/path/file` one file of it), "
        "`hf://org/name:quantisation` (of GGUF files), `ollama://name:tag` (Ollama's library), "
        "`s3://bucket/path`, `gs://bucket/path`, `https://host/file` (fetched where the engine "
        "does not read them), `oci://registry/image:tag` (mounted; `#folder` of it), "
        "`pvc://claim/path` (an existing claim, mounted read-only) or `file:///path` (a path in "
        "the image).",
    )
    revision: Revision | None = declared(
        None, change=ROLLING, doc="Commit, tag or branch of a hub's model. Pin a commit."
    )
    sha256: Sha256 | None = declared(
        None,
        change=ROLLING,
        doc="Checksum of a model that is one file; a pod with another file does not start.",
    )
    credential_name: SecretName | None = declared(
        None,
        change=ROLLING,
        doc="Secret with what the source asks for: the token of a hub or an https:// server "
        "(`name` or `name/key`), or for s3:// and gs:// the `name` of a Secret whose keys are "
        "environment variables such as AWS_ACCESS_KEY_ID.",
    )


class ProbePaths(SpecModel):
    """HTTP paths that tell whether an engine is well."""

    startup: HttpPath = declared("/health", change=ROLLING, doc="Answers 2xx once loaded.")
    readiness: HttpPath = declared("/health", change=ROLLING, doc="Answers 2xx while it can serve.")
    liveness: HttpPath = declared("/health", change=ROLLING, doc="Answers 2xx while it is alive.")


class RuntimeSpec(SpecModel):
    """An engine given in full: any image that serves the OpenAI API."""

    name: ResourceName = declared(change=ROLLING, doc="Name of the runtime, for people.")
    image: Image = declared(change=ROLLING, doc="Container image, best with a digest.")
    command: tuple[str, ...] = declared((), change=ROLLING, doc="Entry point; unset = the image's.")
    args: tuple[str, ...] = declared(
        (),
        change=ROLLING,
        doc="Arguments; may use $(MODEL_PATH), $(MODEL_NAME), $(PORT), $(TP_SIZE), $(PP_SIZE).",
    )
    port: Port = declared(8000, change=ROLLING, doc="Port the engine listens on.", ge=1, le=65535)
    probes: ProbePaths = declared(ProbePaths(), change=ROLLING, doc="Health paths.")
    metrics_path: HttpPath | None = declared(
        None, change=ROLLING, doc="Path of Prometheus metrics, if there are any."
    )
    min_compute_capability: Number | None = declared(
        None, change=ROLLING, doc="Least CUDA compute capability the image runs on, such as 8.0."
    )


BuiltIn = Literal["vllm", "sglang", "llama.cpp", "tgi", "ollama", "tei"]
"""The engines that are built in; ``engines/`` has a file for each."""


def _runtime_kind(value: object) -> str:
    return "<name>" if isinstance(value, str) else "<full>"


Runtime = Annotated[
    Annotated[BuiltIn, Tag("<name>")] | Annotated[RuntimeSpec, Tag("<full>")],
    Discriminator(_runtime_kind),
]


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


class Strategy(SpecModel):
    """How pods are replaced when the service changes."""

    type: Literal["rolling", "recreate"] = declared(
        "rolling",
        change=IN_PLACE,
        doc="rolling: step by step. recreate: all at once, with downtime.",
    )
    max_surge: Int | None = declared(
        None,
        change=IN_PLACE,
        doc="Extra pods (and GPUs) during a rollout; unset = 1 for one replica, else 0.",
        ge=0,
    )
    max_unavailable: Int | None = declared(
        None,
        change=IN_PLACE,
        doc="Replicas that may be missing during a rollout; unset = 0 for one replica, else 1.",
        ge=0,
    )


class Storage(SpecModel):
    """Where downloaded models and compiled kernels are kept between starts of a pod."""

    kind: Literal["empty_dir", "pvc", "host_path"] = declared(
        "empty_dir",
        change=ROLLING,
        doc="empty_dir: gone with the pod. pvc: a claim. host_path: a folder of the node.",
    )
    size_gib: Number | None = declared(
        None,
        change=IN_PLACE,
        doc="Size in GiB: required for a claim of the service's own, a limit for an empty_dir.",
        gt=0,
        le=1_048_576,
    )
    class_name: ObjectName | None = declared(
        None, change=ROLLING, doc="StorageClass of the claim; unset = the cluster's default."
    )
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] = declared(
        "ReadWriteOnce",
        change=ROLLING,
        doc="How many nodes may mount the claim; several replicas share it as ReadWriteMany.",
    )
    claim: ObjectName | None = declared(
        None,
        change=ROLLING,
        doc="An existing claim to use instead of one of the service's own, which is deleted with "
        "the service.",
    )
    path: HostPath | None = declared(
        None,
        change=ROLLING,
        doc="Folder of the node, for host_path. The pods' user must be able to write it.",
    )


class Disruption(SpecModel):
    """What evictions (a node's drain) must leave standing: a PodDisruptionBudget."""

    min_available: Int | None = declared(
        None, change=IN_PLACE, doc="Replicas that must stay.", ge=0
    )
    max_unavailable: Int | None = declared(
        None,
        change=IN_PLACE,
        doc="Replicas that may be missing; unset with min_available unset = 1.",
        ge=0,
    )


class Toleration(SpecModel):
    """A taint that the pods accept."""

    key: QualifiedName | None = declared(
        None, change=ROLLING, doc="Taint key; unset = every taint."
    )
    operator: Literal["Exists", "Equal"] = declared("Exists", change=ROLLING, doc="How to compare.")
    value: LabelValue | None = declared(None, change=ROLLING, doc="Taint value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = declared(
        None, change=ROLLING, doc="Taint effect; unset = all."
    )


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
