# Generated from the models in modelfleet.spec. Do not edit; run `make generate`.
"""Argument types of a program: every spec as a TypedDict whose values may be Outputs.

Every field may be left out, because ``base=`` may supply it. None means unset; it takes away
what a base had set. *Change* is the least that changing the field does to a running service:
in_place (nothing restarts), rolling (pods are replaced while others serve), recreate (they are
replaced with downtime) or replace (a new resource).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import pulumi

if TYPE_CHECKING:
    from modelfleet.resources import ModelService

__all__ = [
    "ApiKeyArgs",
    "DeploymentArgs",
    "DisruptionArgs",
    "EndpointArgs",
    "FallbackArgs",
    "GeneratedKeyArgs",
    "GpuArgs",
    "GuardrailConfigArgs",
    "KeyLimitsArgs",
    "KeyModelsArgs",
    "ModelFeaturesArgs",
    "ModelInfoConfigArgs",
    "ModelParameterRuleArgs",
    "ModelPropertiesArgs",
    "ModelProxyArgs",
    "ModelServiceArgs",
    "ModelSourceArgs",
    "NetworkConfigurationArgs",
    "ParallelismArgs",
    "PeerArgs",
    "PoliciesArgs",
    "ProbePathsArgs",
    "ProviderSettingsArgs",
    "ProxyConfigArgs",
    "RedisArgs",
    "RouteArgs",
    "RuntimeArgs",
    "SecretRefArgs",
    "ServiceReferenceArgs",
    "StorageArgs",
    "StrategyArgs",
    "TargetArgs",
    "TokenRateLimiterArgs",
    "TolerationArgs",
    "WaitArgs",
]


class ModelServiceArgs(TypedDict, total=False):
    """One model offered at one OpenAI-compatible base URL.

    Hosted, with ``deployment``: runs on Kubernetes. External, with
    ``provider_settings.base_url``: runs elsewhere.
    """

    model_service_name: pulumi.Input[str | None]
    """Name of the service and of its objects: 2 to 63 lower-case letters, digits and dashes,
    beginning with a letter. Defaults to the Pulumi resource's name. Change: replace.
    """

    model_type: pulumi.Input[
        Literal["llm", "text-embedding", "rerank", "speech2text", "tts", "moderation"] | None
    ]
    """What the model does. Default: llm. Change: in_place."""

    provider: pulumi.Input[str | None]
    """Who makes or serves the model (openai, tongyi, custom, …). Change: in_place."""

    workspace_id: pulumi.Input[str | None]
    """Workspace; callers then send `<workspace_id>/<name>`. Change: in_place."""

    credential_name: pulumi.Input[str | None]
    """Existing Secret with the provider's key: `name` or `name/key` (default key api_key).
    Change: in_place.
    """

    provider_settings: pulumi.Input[ProviderSettingsArgs | None]
    """The external provider, or further names of a hosted model. Change: in_place."""

    model_info_configs: pulumi.Input[Sequence[pulumi.Input[ModelInfoConfigArgs]] | None]
    """What callers may know of the models behind the service. Default: empty. Change: in_place."""

    deployment: pulumi.Input[DeploymentArgs | None]
    """How the model runs on Kubernetes; unset = external. Change: in_place."""

    namespace: pulumi.Input[str | None]
    """Kubernetes namespace; it must exist. Default: default. Change: replace."""

    cluster: pulumi.Input[str | None]
    """Logical name of the cluster, resolved from modelfleet:clusters in the stack's
    configuration; default = the ambient kubeconfig or in-cluster account. Default: default.
    Change: replace.
    """

    description: pulumi.Input[str | None]
    """For people. Change: in_place."""

    network_configuration: pulumi.Input[NetworkConfigurationArgs | None]
    """Who may connect. Change: in_place."""

    tags: pulumi.Input[Mapping[str, pulumi.Input[str | None]] | None]
    """Free key-value pairs, recorded. Default: empty. Change: in_place."""

    deletion_protection: pulumi.Input[bool | None]
    """Refuse to delete or replace it while true. Default: false. Change: in_place."""

    adopt: pulumi.Input[bool | None]
    """Take over objects of the same name that somebody else made, instead of refusing. Default:
    false. Change: in_place.
    """

    wait: pulumi.Input[WaitArgs | None]
    """What an up waits for. Change: in_place."""


class ProviderSettingsArgs(TypedDict, total=False):
    """Where an external model is reached, and the names it answers to."""

    api_key: pulumi.Input[str | None]
    """Key sent to the provider. Always treated as a secret. Change: in_place."""

    base_url: pulumi.Input[str | None]
    """OpenAI-compatible base URL of an external provider. Change: in_place."""

    model_names: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Names the model answers to, beside the access name. Default: empty. Change: in_place."""


class ModelInfoConfigArgs(TypedDict, total=False):
    """What callers may know of one model."""

    model_name: pulumi.Input[str | None]
    """The name this describes. Required. Change: in_place."""

    model_features: pulumi.Input[ModelFeaturesArgs | None]
    """Its abilities. Change: in_place."""

    model_properties: pulumi.Input[ModelPropertiesArgs | None]
    """Its measures. Change: in_place."""

    model_parameter_rules: pulumi.Input[Sequence[pulumi.Input[ModelParameterRuleArgs]] | None]
    """The parameters it takes. Default: empty. Change: in_place."""


class ModelFeaturesArgs(TypedDict, total=False):
    """What a model can do beyond plain text."""

    agent_thought: pulumi.Input[bool | None]
    """Emits its reasoning. Change: in_place."""

    multi_tool_call: pulumi.Input[bool | None]
    """Several tools at once. Change: in_place."""

    stream_tool_call: pulumi.Input[bool | None]
    """Streams tool calls. Change: in_place."""

    tool_call: pulumi.Input[bool | None]
    """Calls tools. Change: in_place."""

    vision: pulumi.Input[bool | None]
    """Accepts images. Change: in_place."""


class ModelPropertiesArgs(TypedDict, total=False):
    """Measures of a model."""

    context_size: pulumi.Input[int | None]
    """Context window, in tokens. At least 1. Change: in_place."""


class ModelParameterRuleArgs(TypedDict, total=False):
    """One request parameter a model takes, and its bounds."""

    name: pulumi.Input[str | None]
    """Name of the request parameter. Required. Change: in_place."""

    type: pulumi.Input[str | None]
    """Type of its value. Change: in_place."""

    required: pulumi.Input[bool | None]
    """Whether callers must send it. Change: in_place."""

    default: pulumi.Input[Any | None]
    """Value used when it is not sent. Change: in_place."""

    min: pulumi.Input[float | None]
    """Least value. Change: in_place."""

    max: pulumi.Input[float | None]
    """Greatest value. Change: in_place."""


class DeploymentArgs(TypedDict, total=False):
    """How a hosted service runs on Kubernetes."""

    model: pulumi.Input[ModelSourceArgs | None]
    """The weights. Required. Change: rolling."""

    runtime: pulumi.Input[
        Literal["vllm", "sglang", "llama.cpp", "tgi", "ollama", "tei"] | RuntimeArgs | None
    ]
    """A built-in engine by its name, or a runtime given in full. Default: vllm. Change:
    rolling.
    """

    runtime_version: pulumi.Input[str | None]
    """Version of a built-in engine. Fixed at creation and kept until you change it. Change:
    rolling.
    """

    images: pulumi.Input[Mapping[str, pulumi.Input[str | None]] | None]
    """Images that replace the engine's own: by GPU vendor (`cpu` = without GPUs), by CPU
    architecture, by both (`nvidia/arm64`), or `default`; the most specific is taken. Default:
    empty. Change: rolling.
    """

    command: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Entry point; unset = the engine's. Default: empty. Change: rolling."""

    args: pulumi.Input[
        Mapping[
            str,
            pulumi.Input[
                bool | int | float | str | Sequence[pulumi.Input[bool | int | float | str]] | None
            ],
        ]
        | None
    ]
    """Further engine options by name without dashes; true = a bare flag, false = its `--no-`
    form, a list = several values. Default: empty. Change: rolling.
    """

    env: pulumi.Input[
        Mapping[str, pulumi.Input[str | int | float | bool | SecretRefArgs | None]] | None
    ]
    """Environment: text, or `{secret: name/key}` from an existing Secret. Default: empty.
    Change: rolling.
    """

    secret_env: pulumi.Input[Mapping[str, pulumi.Input[str | None]] | None]
    """Secret environment; kept in a Secret of the service. Default: empty. Change: rolling."""

    replicas: pulumi.Input[int | None]
    """Pods; 0 = stopped. At least 0, at most 10000. Default: 1. Change: in_place."""

    gpu: pulumi.Input[GpuArgs | None]
    """GPUs of one pod; unset = none. Change: rolling."""

    cpu: pulumi.Input[float | None]
    """CPU cores of one pod. More than 0, at most 1024. Default: 4. Change: rolling."""

    memory_gib: pulumi.Input[float | None]
    """Memory of one pod, in GiB. More than 0, at most 65536. Default: 16. Change: rolling."""

    shm_gib: pulumi.Input[float | None]
    """Shared memory, in GiB; part of memory_gib. At least 0, at most 4096. Default: 2. Change:
    rolling.
    """

    cpu_architecture: pulumi.Input[Literal["amd64", "arm64"] | None]
    """CPU architecture of the nodes; unset = any, and no image by architecture. Change:
    rolling.
    """

    storage: pulumi.Input[StorageArgs | None]
    """Where models are cached between starts. Change: rolling."""

    parallelism: pulumi.Input[ParallelismArgs | None]
    """Spread over GPUs. Change: rolling."""

    max_model_len: pulumi.Input[int | None]
    """Context length, in tokens; unset = the model's. At least 1. Change: rolling."""

    dtype: pulumi.Input[Literal["auto", "bfloat16", "float16", "float32"] | None]
    """Type of weights and activations. Change: rolling."""

    quantization: pulumi.Input[str | None]
    """Quantisation method, such as fp8 or awq. Change: rolling."""

    kv_cache_dtype: pulumi.Input[str | None]
    """Type of the KV cache, such as fp8. Change: rolling."""

    gpu_memory_utilization: pulumi.Input[float | None]
    """Share of GPU memory the engine takes, 0 to 1. More than 0, at most 1. Change: rolling."""

    startup_seconds: pulumi.Input[int | None]
    """Time a pod may take to download, load and compile the model. At least 10, at most 86400.
    Default: 1800. Change: rolling.
    """

    drain_seconds: pulumi.Input[int | None]
    """Time running requests get when a pod stops. At least 0, at most 3600. Default: 60.
    Change: rolling.
    """

    strategy: pulumi.Input[StrategyArgs | None]
    """How pods are replaced. Change: in_place."""

    disruption: pulumi.Input[DisruptionArgs | None]
    """What evictions must leave standing; unset = no budget. Change: in_place."""

    node_selector: pulumi.Input[Mapping[str, pulumi.Input[str | None]] | None]
    """Labels of the nodes the pods may run on. Default: empty. Change: rolling."""

    tolerations: pulumi.Input[Sequence[pulumi.Input[TolerationArgs]] | None]
    """Taints the pods accept; the GPU vendor's is added. Default: empty. Change: rolling."""

    affinity: pulumi.Input[Mapping[str, pulumi.Input[Any | None]] | None]
    """Kubernetes affinity, merged with what the GPU asks for. Default: empty. Change: rolling."""

    priority_class: pulumi.Input[str | None]
    """PriorityClass of the pods. Change: rolling."""

    queue: pulumi.Input[str | None]
    """Kueue LocalQueue that admits the pods. Change: rolling."""

    runtime_class_name: pulumi.Input[str | None]
    """RuntimeClass of the pods, such as nvidia. Change: rolling."""

    service_account: pulumi.Input[str | None]
    """ServiceAccount of the pods; its token is not mounted. Change: rolling."""

    pod_overrides: pulumi.Input[Mapping[str, pulumi.Input[Any | None]] | None]
    """Strategic merge patch on the pod template (`metadata`, `spec`), applied last; `{$patch:
    delete}` in place of a value takes it away. Default: empty. Change: rolling.
    """


class ModelSourceArgs(TypedDict, total=False):
    """Where the weights come from."""

    uri: pulumi.Input[str | None]
    """`hf://org/name` or `modelscope://org/name` (a hub; with `/path/file` one file of it),
    `hf://org/name:quantisation` (of GGUF files), `ollama://name:tag` (Ollama's library),
    `s3://bucket/path`, `gs://bucket/path`, `https://host/file` (fetched where the engine does
    not read them), `oci://registry/image:tag` (mounted; `#folder` of it), `pvc://claim/path`
    (an existing claim, mounted read-only) or `file:///path` (a path in the image). Required.
    Change: rolling.
    """

    revision: pulumi.Input[str | None]
    """Commit, tag or branch of a hub's model. Pin a commit. Change: rolling."""

    sha256: pulumi.Input[str | None]
    """Checksum of a model that is one file; a pod with another file does not start. Change:
    rolling.
    """

    credential_name: pulumi.Input[str | None]
    """Secret with what the source asks for: the token of a hub or an https:// server (`name` or
    `name/key`), or for s3:// and gs:// the `name` of a Secret whose keys are environment
    variables such as AWS_ACCESS_KEY_ID. Change: rolling.
    """


class RuntimeArgs(TypedDict, total=False):
    """An engine given in full: any image that serves the OpenAI API."""

    name: pulumi.Input[str | None]
    """Name of the runtime, for people. Required. Change: rolling."""

    image: pulumi.Input[str | None]
    """Container image, best with a digest. Required. Change: rolling."""

    command: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Entry point; unset = the image's. Default: empty. Change: rolling."""

    args: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Arguments; may use $(MODEL_PATH), $(MODEL_NAME), $(PORT), $(TP_SIZE), $(PP_SIZE).
    Default: empty. Change: rolling.
    """

    port: pulumi.Input[int | None]
    """Port the engine listens on. At least 1, at most 65535. Default: 8000. Change: rolling."""

    probes: pulumi.Input[ProbePathsArgs | None]
    """Health paths. Change: rolling."""

    metrics_path: pulumi.Input[str | None]
    """Path of Prometheus metrics, if there are any. Change: rolling."""

    min_compute_capability: pulumi.Input[float | None]
    """Least CUDA compute capability the image runs on, such as 8.0. Change: rolling."""


class ProbePathsArgs(TypedDict, total=False):
    """HTTP paths that tell whether an engine is well."""

    startup: pulumi.Input[str | None]
    """Answers 2xx once loaded. Default: /health. Change: rolling."""

    readiness: pulumi.Input[str | None]
    """Answers 2xx while it can serve. Default: /health. Change: rolling."""

    liveness: pulumi.Input[str | None]
    """Answers 2xx while it is alive. Default: /health. Change: rolling."""


class SecretRefArgs(TypedDict, total=False):
    """An environment value read from an existing Secret."""

    secret: pulumi.Input[str | None]
    """`name` or `name/key` of a Secret in the service's namespace. Required. Change: rolling."""


class GpuArgs(TypedDict, total=False):
    """The accelerators of one pod."""

    vendor: pulumi.Input[Literal["nvidia", "amd", "intel", "gaudi", "ascend"] | None]
    """Who makes it. Default: nvidia. Change: rolling."""

    product: pulumi.Input[str | None]
    """Product as the node label says it, such as NVIDIA-H100-80GB-HBM3. Change: rolling."""

    count: pulumi.Input[int | None]
    """GPUs per pod. At least 1, at most 64. Default: 1. Change: rolling."""

    min_memory_gib: pulumi.Input[float | None]
    """Least memory of each GPU, in GiB as its node reports it (an 80 GB H100: 79.6). More than
    0, at most 4096. Change: rolling.
    """

    compute_capability: pulumi.Input[float | None]
    """Least CUDA compute capability, such as 8.0. At least 1, at most 99. Change: rolling."""

    mig_profile: pulumi.Input[str | None]
    """Slice of an NVIDIA GPU, such as 1g.10gb, on nodes whose MIG strategy is mixed; one slice
    per pod. Change: rolling.
    """

    resource_name: pulumi.Input[str | None]
    """Extended resource to request; unset = the vendor's usual one. Change: rolling."""


class StorageArgs(TypedDict, total=False):
    """Where downloaded models and compiled kernels are kept between starts of a pod."""

    kind: pulumi.Input[Literal["empty_dir", "pvc", "host_path"] | None]
    """empty_dir: gone with the pod. pvc: a claim. host_path: a folder of the node. Default:
    empty_dir. Change: rolling.
    """

    size_gib: pulumi.Input[float | None]
    """Size in GiB: required for a claim of the service's own, a limit for an empty_dir. More
    than 0, at most 1048576. Change: in_place.
    """

    class_name: pulumi.Input[str | None]
    """StorageClass of the claim; unset = the cluster's default. Change: rolling."""

    access_mode: pulumi.Input[Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] | None]
    """How many nodes may mount the claim; several replicas share it as ReadWriteMany. Default:
    ReadWriteOnce. Change: rolling.
    """

    claim: pulumi.Input[str | None]
    """An existing claim to use instead of one of the service's own, which is deleted with the
    service. Change: rolling.
    """

    path: pulumi.Input[str | None]
    """Folder of the node, for host_path. The pods' user must be able to write it. Change:
    rolling.
    """


class ParallelismArgs(TypedDict, total=False):
    """How the model is spread over the GPUs of a pod."""

    tensor: pulumi.Input[int | None]
    """Tensor parallel size; unset = gpu.count / pipeline. At least 1. Change: rolling."""

    pipeline: pulumi.Input[int | None]
    """Pipeline parallel size. At least 1. Default: 1. Change: rolling."""


class StrategyArgs(TypedDict, total=False):
    """How pods are replaced when the service changes."""

    type: pulumi.Input[Literal["rolling", "recreate"] | None]
    """rolling: step by step. recreate: all at once, with downtime. Default: rolling. Change:
    in_place.
    """

    max_surge: pulumi.Input[int | None]
    """Extra pods (and GPUs) during a rollout; unset = 1 for one replica, else 0. At least 0.
    Change: in_place.
    """

    max_unavailable: pulumi.Input[int | None]
    """Replicas that may be missing during a rollout; unset = 0 for one replica, else 1. At
    least 0. Change: in_place.
    """


class DisruptionArgs(TypedDict, total=False):
    """What evictions (a node's drain) must leave standing: a PodDisruptionBudget."""

    min_available: pulumi.Input[int | None]
    """Replicas that must stay. At least 0. Change: in_place."""

    max_unavailable: pulumi.Input[int | None]
    """Replicas that may be missing; unset with min_available unset = 1. At least 0. Change:
    in_place.
    """


class TolerationArgs(TypedDict, total=False):
    """A taint that the pods accept."""

    key: pulumi.Input[str | None]
    """Taint key; unset = every taint. Change: rolling."""

    operator: pulumi.Input[Literal["Exists", "Equal"] | None]
    """How to compare. Default: Exists. Change: rolling."""

    value: pulumi.Input[str | None]
    """Taint value, for Equal. Change: rolling."""

    effect: pulumi.Input[Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None]
    """Taint effect; unset = all. Change: rolling."""


class NetworkConfigurationArgs(TypedDict, total=False):
    """Who may reach a service."""

    network_mode: pulumi.Input[Literal["PRIVATE"] | None]
    """PRIVATE: reachable inside the cluster only. (AgentRun's default is PUBLIC.) Default:
    PRIVATE. Change: in_place.
    """

    allow_from: pulumi.Input[Sequence[pulumi.Input[PeerArgs]] | None]
    """Further pods that may connect, beside proxies and neighbours. Default: empty. Change:
    in_place.
    """


class PeerArgs(TypedDict, total=False):
    """Pods that may reach a service although they live elsewhere (monitoring, an ingress)."""

    namespace_labels: pulumi.Input[Mapping[str, pulumi.Input[str | None]] | None]
    """Labels of the namespaces they live in; unset = the service's. Change: in_place."""

    pod_labels: pulumi.Input[Mapping[str, pulumi.Input[str | None]] | None]
    """Labels of the pods; unset = every pod of those namespaces. Change: in_place."""


class WaitArgs(TypedDict, total=False):
    """How long an ``up`` waits for a service, and for what."""

    until: pulumi.Input[Literal["accepted", "available", "all"] | None]
    """accepted: the API server took it. available: the rollout is over and enough replicas
    serve. all: every replica serves. Default: available. Change: in_place.
    """

    timeout_seconds: pulumi.Input[int | None]
    """How long to wait; unset = deployment.startup_seconds + 120. At least 1, at most 86400.
    Change: in_place.
    """

    on_failure: pulumi.Input[Literal["keep", "rollback"] | None]
    """keep: the objects stay, the next up goes on. rollback: what this call made is taken back.
    Default: keep. Change: in_place.
    """


class ModelProxyArgs(TypedDict, total=False):
    """One OpenAI-compatible URL in front of many models.

    Weights, fallbacks, retries, keys, limits, cache and guardrails; served by LiteLLM.
    """

    model_proxy_name: pulumi.Input[str | None]
    """Name of the proxy: 2 to 57 lower-case letters, digits and dashes, beginning with a
    letter. Defaults to the Pulumi resource's name. Required. Change: replace.
    """

    workspace_id: pulumi.Input[str | None]
    """Workspace; callers then send `<workspace_id>/<public name>`. A public name that has a
    slash in it stays as it is. Change: rolling.
    """

    model_type: pulumi.Input[
        Literal["llm", "text-embedding", "rerank", "speech2text", "tts", "moderation"] | None
    ]
    """What the models behind it do; unset = as their services say. Change: rolling."""

    routes: pulumi.Input[Mapping[str, pulumi.Input[RouteArgs | None]] | None]
    """By public name, who answers. Excludes proxy_config.endpoints. Default: empty. Change:
    rolling.
    """

    proxy_config: pulumi.Input[ProxyConfigArgs | None]
    """AgentRun's form: upstreams under one name, the proxy's own. Change: rolling."""

    proxy_mode: pulumi.Input[Literal["single", "multi"] | None]
    """Of proxy_config: multi with several endpoints, else single, where the endpoint's own
    model names are public, too. Unset = derived. Change: rolling.
    """

    policies: pulumi.Input[PoliciesArgs | None]
    """What is done with every request; a route's own win. Change: rolling."""

    credential_name: pulumi.Input[str | None]
    """Existing Secret with a key that callers may use for everything: `name` or `name/key`
    (default key api_key). Change: rolling.
    """

    api_keys: pulumi.Input[Mapping[str, pulumi.Input[ApiKeyArgs | None]] | None]
    """By name, who may call. Without any, whoever can connect may. Default: empty. Change:
    in_place.
    """

    limit_scope: pulumi.Input[Literal["proxy", "replica"] | None]
    """proxy: limits hold for all replicas together. replica: for each of them. Default: proxy.
    Change: rolling.
    """

    redis: pulumi.Input[RedisArgs | None]
    """What replicas count in, and keep cached answers in. Change: rolling."""

    replicas: pulumi.Input[int | None]
    """Pods; 0 = stopped. At least 0, at most 1000. Default: 1. Change: in_place."""

    cpu: pulumi.Input[float | None]
    """Cores of each replica. More than 0, at most 256. Default: 2. Change: rolling."""

    memory: pulumi.Input[int | None]
    """Memory of each replica, in MiB. At least 1, at most 1048576. Default: 4096. Change:
    rolling.
    """

    litellm_version: pulumi.Input[str | None]
    """Release of LiteLLM; unset = 1.108.10, fixed when created. Change: rolling."""

    image: pulumi.Input[str | None]
    """Image of the gateway; unset = LiteLLM's own of that release. Change: rolling."""

    namespace: pulumi.Input[str | None]
    """Kubernetes namespace; it must exist. Default: default. Change: replace."""

    cluster: pulumi.Input[str | None]
    """Logical name of the cluster, resolved from modelfleet:clusters in the stack's
    configuration; default = the ambient kubeconfig or in-cluster account. Default: default.
    Change: replace.
    """

    description: pulumi.Input[str | None]
    """For people. Change: in_place."""

    network_configuration: pulumi.Input[NetworkConfigurationArgs | None]
    """Who may connect. Change: in_place."""

    tags: pulumi.Input[Mapping[str, pulumi.Input[str | None]] | None]
    """Free key-value pairs, recorded. Default: empty. Change: in_place."""

    deletion_protection: pulumi.Input[bool | None]
    """Refuse to delete or replace it while true. Default: false. Change: in_place."""

    adopt: pulumi.Input[bool | None]
    """Take over objects of the same name that somebody else made, instead of refusing. Default:
    false. Change: in_place.
    """

    wait: pulumi.Input[WaitArgs | None]
    """What an up waits for. Change: in_place."""


class RouteArgs(TypedDict, total=False):
    """One public name: who answers to it, and what is done with its requests."""

    targets: pulumi.Input[Sequence[pulumi.Input[TargetArgs]] | None]
    """Who answers, each by its weight. Required. Change: rolling."""

    fallbacks: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Public names that answer where this one fails, in this order. Default: empty. Change:
    rolling.
    """

    policies: pulumi.Input[PoliciesArgs | None]
    """What is done with its requests; wins over the proxy's. Change: rolling."""

    model_type: pulumi.Input[
        Literal["llm", "text-embedding", "rerank", "speech2text", "tts", "moderation"] | None
    ]
    """What the model does; unset = the proxy's, or its services'. Change: rolling."""


class TargetArgs(TypedDict, total=False):
    """One of the upstreams that share the requests for a public name."""

    service: pulumi.Input[str | ModelService | ServiceReferenceArgs | None]
    """A ModelService: of the same program, or the name of one that is there. Change: rolling."""

    base_url: pulumi.Input[str | None]
    """An OpenAI-compatible base URL, where it is no ModelService. Change: rolling."""

    model_name: pulumi.Input[str | None]
    """The name it is asked for; unset = the service's own first one. Change: rolling."""

    weight: pulumi.Input[int | None]
    """Its share of the requests, beside the others'. At least 0, at most 1000000. Default: 1.
    Change: rolling.
    """

    credential_name: pulumi.Input[str | None]
    """Existing Secret with the key it is called with: `name` or `name/key`. Change: rolling."""


class ServiceReferenceArgs(TypedDict, total=False):
    """A ModelService, with what is known of it. A program passes the resource itself."""

    id: pulumi.Input[str | None]
    """Name, or namespace/name. Required. Change: rolling."""

    base_url: pulumi.Input[str | None]
    """Where it answers; unset = its address in the cluster. Change: rolling."""

    model_names: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Names it answers to, the one to use first; empty = its name. Default: empty. Change:
    rolling.
    """

    credential_name: pulumi.Input[str | None]
    """Secret, and key in it, that it is called with. Change: rolling."""

    model_type: pulumi.Input[
        Literal["llm", "text-embedding", "rerank", "speech2text", "tts", "moderation"] | None
    ]
    """What the model does. Change: rolling."""

    context_size: pulumi.Input[int | None]
    """Context window, in tokens. At least 1. Change: rolling."""

    cluster: pulumi.Input[str | None]
    """Logical name of its cluster. Change: rolling."""


class PoliciesArgs(TypedDict, total=False):
    """What is done with requests. On a route, each field wins over the proxy's."""

    cache: pulumi.Input[bool | None]
    """Answer equal requests from memory; unset = false. Change: rolling."""

    cache_ttl_seconds: pulumi.Input[int | None]
    """How long a cached answer is used; unset = 300. At least 1. Change: rolling."""

    concurrency_limit: pulumi.Input[int | None]
    """Requests at the same time, over all replicas. At least 1. Change: rolling."""

    num_retries: pulumi.Input[int | None]
    """How often a failed request is tried again before a fallback; unset = 2. At least 0, at
    most 10. Change: rolling.
    """

    request_timeout: pulumi.Input[int | None]
    """Seconds for an answer, for its first part where it is streamed; unset = 600. At least 1,
    at most 86400. Change: rolling.
    """

    fallbacks: pulumi.Input[Sequence[pulumi.Input[FallbackArgs]] | None]
    """Who answers where a model fails, in this order. The proxy's hold for every route without
    its own; on a route, [] is none. Change: rolling.
    """

    token_rate_limiter: pulumi.Input[TokenRateLimiterArgs | None]
    """Tokens that may pass: of the whole proxy, or of one route. Change: rolling."""

    ai_guardrail_config: pulumi.Input[GuardrailConfigArgs | None]
    """What may not pass. Change: rolling."""


class FallbackArgs(TypedDict, total=False):
    """A model that answers where the one that was asked for fails: AgentRun's way to name it."""

    model_name: pulumi.Input[str | None]
    """A public name of this proxy; beside model_service_name, the model of that service.
    Change: rolling.
    """

    model_service_name: pulumi.Input[str | ModelService | ServiceReferenceArgs | None]
    """A ModelService: of the same program, or the name of one. Its name, without a namespace,
    becomes a public name, too. Change: rolling.
    """


class TokenRateLimiterArgs(TypedDict, total=False):
    """How many tokens, in and out together, may pass in each window of the clock."""

    tps: pulumi.Input[int | None]
    """Tokens per second. At least 1. Change: rolling."""

    tpm: pulumi.Input[int | None]
    """Tokens per minute. At least 1. Change: rolling."""

    tph: pulumi.Input[int | None]
    """Tokens per hour. At least 1. Change: rolling."""

    tpd: pulumi.Input[int | None]
    """Tokens per day. At least 1. Change: rolling."""


class GuardrailConfigArgs(TypedDict, total=False):
    """What may not pass, in requests and in replies. Checked inside the gateway."""

    check_request: pulumi.Input[bool | None]
    """Refuse requests before any upstream is called. Default: false. Change: rolling."""

    check_response: pulumi.Input[bool | None]
    """Refuse replies. They are read in full first: a stream comes all at its end. Default:
    false. Change: rolling.
    """

    blocked_words: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Words that may not occur, whatever their case. Default: empty. Change: rolling."""

    blocked_patterns: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Regular expressions that may not match. Default: empty. Change: rolling."""

    block_on_sensitive_data: pulumi.Input[bool | None]
    """Block payment cards, bank accounts, identity numbers, private keys, access keys and
    e-mail addresses. Default: false. Change: rolling.
    """

    max_text_length: pulumi.Input[int | None]
    """Most characters of a request, or of a reply, in all of its texts. At least 1. Change:
    rolling.
    """


class ProxyConfigArgs(TypedDict, total=False):
    """AgentRun's form of a proxy: upstreams that share one public name, the proxy's own."""

    endpoints: pulumi.Input[Sequence[pulumi.Input[EndpointArgs]] | None]
    """The upstreams. Default: empty. Change: rolling."""

    policies: pulumi.Input[PoliciesArgs | None]
    """What is done with every request of the proxy. Change: rolling."""


class EndpointArgs(TypedDict, total=False):
    """An upstream in AgentRun's form."""

    model_service_name: pulumi.Input[str | ModelService | ServiceReferenceArgs | None]
    """A ModelService: of the same program, or the name of one. Change: rolling."""

    base_url: pulumi.Input[str | None]
    """An OpenAI-compatible base URL, where it is no ModelService. Change: rolling."""

    model_names: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Names it is asked for, the first one under the proxy's name. Default: empty. Change:
    rolling.
    """

    weight: pulumi.Input[int | None]
    """Its share of the requests; unset = 1. At least 0, at most 1000000. Change: rolling."""

    credential_name: pulumi.Input[str | None]
    """Existing Secret with the key it is called with: `name` or `name/key`. Change: rolling."""


class ApiKeyArgs(TypedDict, total=False):
    """One caller: its key, what it may use and how much of it."""

    key: pulumi.Input[str | None]
    """The key, at least 16 characters. Always treated as a secret. Change: in_place."""

    generate: pulumi.Input[GeneratedKeyArgs | None]
    """Have the key made; it is an output then. Change: in_place."""

    expires_at: pulumi.Input[str | None]
    """Moment from which the key is refused, as RFC 3339. Change: in_place."""

    models: pulumi.Input[KeyModelsArgs | None]
    """Which models it may use. Change: in_place."""

    limits: pulumi.Input[KeyLimitsArgs | None]
    """How much it may use. Change: in_place."""


class GeneratedKeyArgs(TypedDict, total=False):
    """A key that is made here. It is an output, `generated_keys`, and stays the same."""

    rotation: pulumi.Input[int | None]
    """Another number makes another key. At least 1, at most 1000000. Default: 1. Change:
    in_place.
    """

    overlap_seconds: pulumi.Input[int | None]
    """How long the former key is good after a rotation. At least 0, at most 31536000. Default:
    86400. Change: in_place.
    """


class KeyModelsArgs(TypedDict, total=False):
    """Which models a key may use. What is denied is denied, whatever is allowed."""

    allow: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Access names, with * for any characters; empty = all. Default: empty. Change: in_place."""

    deny: pulumi.Input[Sequence[pulumi.Input[str]] | None]
    """Access names that may not be used; wins over allow. Default: empty. Change: in_place."""


class KeyLimitsArgs(TypedDict, total=False):
    """How much of everything one key may use in each window of the clock."""

    rpm: pulumi.Input[int | None]
    """Requests per minute. At least 1. Change: in_place."""

    tps: pulumi.Input[int | None]
    """Tokens per second. At least 1. Change: in_place."""

    tpm: pulumi.Input[int | None]
    """Tokens per minute. At least 1. Change: in_place."""

    tph: pulumi.Input[int | None]
    """Tokens per hour. At least 1. Change: in_place."""

    tpd: pulumi.Input[int | None]
    """Tokens per day. At least 1. Change: in_place."""

    token_quota: pulumi.Input[int | None]
    """Tokens altogether, for the life of the key; needs Redis. At least 1. Change: in_place."""


class RedisArgs(TypedDict, total=False):
    """Where replicas count together. Without it each replica counts on its own."""

    managed: pulumi.Input[bool | None]
    """Run a small one beside the proxy, with a password and a disk. Default: false. Change:
    rolling.
    """

    host: pulumi.Input[str | None]
    """Host of an existing Redis (7 or later). Change: rolling."""

    port: pulumi.Input[int | None]
    """Its port. At least 1, at most 65535. Default: 6379. Change: rolling."""

    tls: pulumi.Input[bool | None]
    """Whether it is spoken to over TLS. Default: false. Change: rolling."""

    credential_name: pulumi.Input[str | None]
    """Existing Secret with its password: `name` or `name/key` (default key api_key). Change:
    rolling.
    """

    storage_gib: pulumi.Input[float | None]
    """Size of the managed one's disk, in GiB; fixed once it is made. More than 0, at most 1024.
    Default: 1. Change: in_place.
    """

    storage_class: pulumi.Input[str | None]
    """Storage class of the managed one's disk; unset = the default. Fixed once it is made.
    Change: in_place.
    """

    image: pulumi.Input[str | None]
    """Image of the managed one; unset = redis:7.0.15. Change: rolling."""

    on_failure: pulumi.Input[Literal["closed", "per_replica"] | None]
    """While it cannot be reached: refuse what has limits, or count per replica. Default:
    closed. Change: rolling.
    """
