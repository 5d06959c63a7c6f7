"""The services that are measured: an everyday hosted one, as often as asked for. Pure."""

from __future__ import annotations

from typing import Any

GPU_PRODUCT = "NVIDIA-H100-80GB-HBM3"
GPU_NODES = "h100-80gb:8x150"
"""Nodes enough for 1,200 services of one GPU each."""


def names(count: int) -> list[str]:
    """Return the names of so many services."""
    return [f"svc-{number:04}" for number in range(count)]


def declaration(name: str, *, namespace: str, until: str) -> dict[str, Any]:
    """Return one service as a program declares it: one GPU, and what people commonly set."""
    return {
        "model_service_name": name,
        "namespace": namespace,
        "model_type": "llm",
        "description": "One of many, to see how long many take.",
        "workspace_id": "benchmarks",
        "tags": {"team": "benchmarks", "cost-centre": "4711"},
        "wait": {"until": until, "timeout_seconds": 600},
        "deployment": {
            "model": {
                "uri": "hf://Qwen/Qwen3-8B",
                "revision": "b968826d9c46dd6066d109eabc6255188de91218",
            },
            "runtime": "vllm",
            "args": {"max_num_seqs": 128, "enable-prefix-caching": True},
            "env": {"VLLM_LOGGING_LEVEL": "INFO"},
            "replicas": 1,
            "gpu": {"product": GPU_PRODUCT, "count": 1},
            "cpu": 8,
            "memory_gib": 64,
            "max_model_len": 32768,
            "gpu_memory_utilization": 0.9,
            "startup_seconds": 600,
        },
    }


TINY = "tiny"


def tiny_declaration(namespace: str) -> dict[str, Any]:
    """Return the service called ``tiny``, which real nodes of the local cluster can run."""
    return {
        "model_service_name": TINY,
        "namespace": namespace,
        "wait": {"timeout_seconds": 120},
        "deployment": {
            "model": {"uri": "pvc://models/tiny-chat.gguf"},
            "runtime": "llama.cpp",
            "gpu": {"product": "Local-CPU"},
            "cpu": 0.2,
            "memory_gib": 1,
            "shm_gib": 0,
            "max_model_len": 512,
            "drain_seconds": 1,
        },
    }
