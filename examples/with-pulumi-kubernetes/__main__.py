"""A namespace, its quota and a secret by pulumi-kubernetes, and two models that live there."""

import pulumi
import pulumi_kubernetes as kubernetes

from modelfleet import ModelService

CLUSTER = "lab"

# One kubeconfig for both: a service names its cluster, and what that name means on this machine
# stands in modelfleet:clusters, where pulumi-kubernetes gets it from, too.
place = pulumi.Config("modelfleet").require_secret_object("clusters")[CLUSTER]
provider = kubernetes.Provider(CLUSTER, kubeconfig=place["kubeconfig"])
in_cluster = pulumi.ResourceOptions(provider=provider)

namespace = kubernetes.core.v1.Namespace("search", opts=in_cluster)

quota = kubernetes.core.v1.ResourceQuota(
    "gpus",
    metadata={"name": "gpus", "namespace": namespace.metadata.name},
    spec={"hard": {"requests.nvidia.com/gpu": "3"}},
    opts=in_cluster,
)

token = kubernetes.core.v1.Secret(
    "hugging-face",
    metadata={"namespace": namespace.metadata.name},
    string_data={"token": pulumi.Config().require_secret("hf_token")},
    opts=in_cluster,
)

# The namespace comes as an Output, so every service is made after it. On the quota they depend in
# so many words: none is to start before it counts.
after_quota = pulumi.ResourceOptions(depends_on=[quota])

chat = ModelService(
    "chat",
    cluster=CLUSTER,
    namespace=namespace.metadata.name,
    deployment={
        "model": {
            "uri": "hf://Qwen/Qwen3-8B",
            "credential_name": token.metadata.name.apply(lambda name: f"{name}/token"),
        },
        "gpu": {"product": "NVIDIA-L4"},
        "replicas": 2,
    },
    opts=after_quota,
)

embeddings = ModelService(
    "embeddings",
    cluster=CLUSTER,
    namespace=namespace.metadata.name,
    model_type="text-embedding",
    deployment={
        "model": {"uri": "hf://Qwen/Qwen3-Embedding-0.6B"},
        "gpu": {"product": "NVIDIA-L4"},
    },
    opts=after_quota,
)

pulumi.export("namespace", namespace.metadata.name)
pulumi.export("gpus", pulumi.Output.all(chat.gpu_total, embeddings.gpu_total).apply(sum))
pulumi.export("base_urls", {"chat": chat.base_url, "embeddings": embeddings.base_url})
