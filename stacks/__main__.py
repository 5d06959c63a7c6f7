"""One fleet for every environment: six services on Kubernetes, one elsewhere, one URL for all.

What differs between dev, staging and prod stands in Pulumi.<stack>.yaml and is checked by
environment.py; everything else is said here, once.
"""

from __future__ import annotations

import pulumi
from environment import Environment

from modelfleet import ModelProxy, ModelService, ModelServiceArgs, RouteArgs

environment = Environment.of_this_stack()
services = environment.services

# Where all of them live, and when an `up` is over: once every replica serves.
place: ModelServiceArgs = {
    "cluster": environment.cluster,
    "namespace": environment.namespace,
    "wait": {"until": "all"},
}

# Two profiles, one of a GPU and one of an engine. A profile is a partial spec that services share
# through `base=`: it is merged deeply, a later one wins, and what a service says itself wins most.
large_gpu: ModelServiceArgs = {
    "deployment": {
        "gpu": {"product": environment.gpus.large},
        "cpu": 16,
        "memory_gib": 128,
        "shm_gib": 16,
    },
}
vllm: ModelServiceArgs = {
    "deployment": {
        "runtime": "vllm",
        "runtime_version": "v0.30.0",
        "gpu_memory_utilization": 0.9,
        "startup_seconds": 1200,
        "drain_seconds": 120,
    },
}

chat = ModelService(
    "chat",
    base=[place, large_gpu, vllm],
    description="General assistant, with tools.",
    deployment={
        "model": {"uri": services.chat.model},
        "replicas": services.chat.replicas,
        "max_model_len": 32_768,
        "kv_cache_dtype": "fp8",
        "args": {"enable-auto-tool-choice": True, "tool-call-parser": "hermes"},
    },
)

code = ModelService(
    "code",
    base=[place, large_gpu, vllm],
    description="Completes and reviews code; two GPUs per replica, for long files.",
    deployment={
        "model": {"uri": services.code.model},
        "replicas": services.code.replicas,
        "gpu": {"count": 2},
        "max_model_len": 131_072,
    },
)

embeddings = ModelService(
    "embeddings",
    base=[place, vllm],
    model_type="text-embedding",
    description="Vectors for search.",
    deployment={
        "model": {"uri": services.embeddings.model},
        "replicas": services.embeddings.replicas,
        "gpu": {"product": environment.gpus.small},
    },
)

rerank = ModelService(
    "rerank",
    base=[place, vllm],
    model_type="rerank",
    description="Puts what search found in order.",
    deployment={
        "model": {"uri": services.rerank.model},
        "replicas": services.rerank.replicas,
        "gpu": {"product": environment.gpus.small},
    },
)

# Another engine, on CPUs alone: on the local cluster, these two really run.
on_cpus: ModelServiceArgs = {
    "deployment": {"runtime": "llama.cpp", "max_model_len": 2048, "memory_gib": 4},
}

titles = ModelService(
    "titles",
    base=[place, on_cpus],
    description="Names conversations. Small enough to need no GPU.",
    deployment={
        "model": {"uri": services.titles.model},
        "replicas": services.titles.replicas,
        "cpu": services.titles.cpu,
    },
)

titles_next = ModelService(
    "titles-next",
    base=[place, on_cpus],
    description="What is to become titles: one request in five tries it.",
    deployment={
        "model": {"uri": services.titles_next.model},
        "replicas": services.titles_next.replicas,
        "cpu": services.titles_next.cpu,
    },
)

# A model that runs elsewhere: known by the same name and address book as the others. Its key is
# this stack's secret, or lies in the cluster already, where somebody else put it.
frontier = ModelService(
    "frontier",
    base=place,
    provider="openai",
    description="For what our own models cannot do.",
    credential_name=environment.frontier.credential_name,
    provider_settings={
        "base_url": environment.frontier.base_url,
        "model_names": environment.frontier.model_names,
        "api_key": pulumi.Config().get_secret("frontier_key"),
    },
)

# One URL in front of them, and one key for each team. A public name may have several services
# behind it, by weight, and others to fall back on; which names there are is the environment's.
routes: dict[str, RouteArgs] = {
    "chat": {"targets": [{"service": chat}], "fallbacks": ["frontier"]},
    "code": {"targets": [{"service": code}], "policies": {"request_timeout": 300}},
    "embeddings": {"targets": [{"service": embeddings}], "policies": {"cache": True}},
    "rerank": {"targets": [{"service": rerank}]},
    "titles": {
        "targets": [
            {"service": titles, "weight": 80},
            {"service": titles_next, "weight": 20},
        ],
        "fallbacks": ["frontier"],
    },
    "titles-stable": {"targets": [{"service": titles}]},
    "frontier": {"targets": [{"service": frontier}]},
}
front = ModelProxy(
    "front",
    cluster=environment.cluster,
    namespace=environment.namespace,
    description="What every team calls.",
    routes={name: routes[name] for name in environment.front.names},
    api_keys={
        "assistant": {"generate": {}, "limits": {"rpm": 600, "tpm": 200_000}},
        "reports": {"generate": {}, "models": {"allow": ["titles*"]}},
    },
    redis={"managed": True} if environment.front.replicas > 1 else None,
    replicas=environment.front.replicas,
    cpu=environment.front.cpu,
    memory=environment.front.memory,
)

hosted = (chat, code, embeddings, rerank, titles, titles_next)
pulumi.export("gpus", pulumi.Output.all(*(service.gpu_total for service in hosted)).apply(sum))
pulumi.export(
    "base_urls",
    {
        "chat": chat.base_url,
        "code": code.base_url,
        "embeddings": embeddings.base_url,
        "rerank": rerank.base_url,
        "titles": titles.base_url,
        "titles-next": titles_next.base_url,
        "frontier": frontier.base_url,
        "front": front.base_url,
    },
)
pulumi.export("access_names", front.access_names)
pulumi.export("keys", front.generated_keys)
