"""One open model whose weights are downloaded once, into a claim that all of its pods share."""

import pulumi

from modelfleet import ModelService

config = pulumi.Config()

qwen = ModelService(
    "qwen-cached",
    namespace="models",
    deployment={
        "model": {"uri": "hf://Qwen/Qwen3-8B"},
        "gpu": {"product": "NVIDIA-L4"},
        "replicas": 2,
        "storage": {
            "kind": "pvc",
            "size_gib": config.get_float("size_gib") or 50,
            "class_name": "shared-models",
            "access_mode": "ReadWriteMany",
        },
        "disruption": {"max_unavailable": 1},
    },
)

pulumi.export("base_url", qwen.base_url)
pulumi.export("model", qwen.access_name)
