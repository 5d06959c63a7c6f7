"""One open model on an engine that is not built in: any image that serves the OpenAI API."""

import pulumi

from modelfleet import ModelService, RuntimeArgs

LMDEPLOY: RuntimeArgs = {
    "name": "lmdeploy",
    "image": "openmmlab/lmdeploy:v0.12.2-cu12.8",
    "command": ["lmdeploy", "serve", "api_server"],
    "args": [
        "$(MODEL_PATH)",
        "--model-name=$(MODEL_NAME)",
        "--server-port=$(PORT)",
        "--tp=$(TP_SIZE)",
    ],
    "port": 23333,
    "min_compute_capability": 7.0,
}

qwen = ModelService(
    "qwen-lmdeploy",
    namespace="models",
    deployment={
        "runtime": LMDEPLOY,
        "model": {"uri": "hf://Qwen/Qwen3-8B"},
        "gpu": {"product": "NVIDIA-L4", "count": 2},
        "args": {"session-len": 8192, "cache-max-entry-count": 0.8},
        "drain_seconds": 30,
    },
)

pulumi.export("base_url", qwen.base_url)
pulumi.export("model", qwen.access_name)
