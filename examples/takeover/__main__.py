"""Deployment models/mistral-ready, as modelfleet import found it."""

# From then on pods of its namespace and proxies reach it, and others only by
# network_configuration.allow_from.
# It runs vllm by a command line of its own, which is declared word for word so that no
# pod restarts; runtime "vllm" with its fields instead is a rolling update.
# Callers have to go on sending the model mistralai/Mistral-7B-Instruct-v0.3: its engine
# knows no other name.

from modelfleet import ModelService

ModelService(
    "mistral-ready",
    namespace="models",
    adopt=True,
    provider_settings={"model_names": ["mistralai/Mistral-7B-Instruct-v0.3"]},
    deployment={
        "model": {"uri": "hf://mistralai/Mistral-7B-Instruct-v0.3"},
        "runtime": {
            "name": "vllm",
            "image": "vllm/vllm-openai:latest",
            "command": ["/bin/sh", "-c"],
            "args": [
                (
                    "vllm serve mistralai/Mistral-7B-Instruct-v0.3 --trust-remote-code "
                    "--enable-chunked-prefill --max_num_batched_tokens 1024"
                ),
            ],
        },
        "env": {"HUGGING_FACE_HUB_TOKEN": {"secret": "hf-token-secret/token"}},
        "gpu": {"count": 1},
        "cpu": 2,
        "memory_gib": 18.6265,
        "drain_seconds": 0,
        "pod_overrides": {
            "metadata": {"labels": {"app": "mistral-ready"}},
            "spec": {
                "terminationGracePeriodSeconds": 30,
                "securityContext": {"$patch": "delete"},
                "containers": [
                    {
                        "name": "engine",
                        "resources": {
                            "requests": {"memory": "6G"},
                            "limits": {"memory": "20G", "cpu": "10"},
                        },
                        "terminationMessagePolicy": "File",
                        "imagePullPolicy": "Always",
                        "env": [
                            {"name": "DO_NOT_TRACK", "$patch": "delete"},
                            {"name": "HF_HUB_DISABLE_TELEMETRY", "$patch": "delete"},
                            {"name": "HOME", "$patch": "delete"},
                            {"name": "USER", "$patch": "delete"},
                            {"name": "HF_HOME", "$patch": "delete"},
                            {"name": "MODEL_NAME", "$patch": "delete"},
                            {"name": "MODEL_PATH", "$patch": "delete"},
                            {"name": "PORT", "$patch": "delete"},
                            {"name": "PP_SIZE", "$patch": "delete"},
                            {"name": "TP_SIZE", "$patch": "delete"},
                        ],
                        "ports": [
                            {"containerPort": 8000, "name": {"$patch": "delete"}},
                        ],
                        "startupProbe": {"$patch": "delete"},
                        "readinessProbe": {
                            "timeoutSeconds": 1,
                            "httpGet": {"port": 8000},
                            "initialDelaySeconds": 60,
                        },
                        "livenessProbe": {
                            "timeoutSeconds": 1,
                            "failureThreshold": 3,
                            "httpGet": {"port": 8000},
                            "initialDelaySeconds": 60,
                        },
                        "securityContext": {"$patch": "delete"},
                        "volumeMounts": [
                            {"$patch": "replace"},
                            {
                                "name": "cache-volume",
                                "mountPath": "/root/.cache/huggingface",
                            },
                            {"name": "shm", "mountPath": "/dev/shm"},
                        ],
                    },
                ],
                "volumes": [
                    {"$patch": "replace"},
                    {
                        "name": "cache-volume",
                        "persistentVolumeClaim": {"claimName": "mistral-ready"},
                    },
                    {
                        "name": "shm",
                        "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"},
                    },
                ],
                "automountServiceAccountToken": {"$patch": "delete"},
                "enableServiceLinks": {"$patch": "delete"},
            },
        },
    },
)
