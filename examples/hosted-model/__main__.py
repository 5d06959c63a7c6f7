"""One open model, served by vLLM on two GPUs, one per replica."""

import pulumi

from modelfleet import ModelService

qwen = ModelService(
    "qwen",
    namespace="models",
    deployment={
        "model": {"uri": "hf://Qwen/Qwen3-8B"},
        "gpu": {"product": "NVIDIA-L4"},
        "replicas": 2,
        "max_model_len": 8192,
    },
)

pulumi.export("base_url", qwen.base_url)
pulumi.export("model", qwen.access_name)
