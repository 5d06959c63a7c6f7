"""One URL in front of two models and a provider elsewhere, with a key for each team."""

import pulumi

from modelfleet import ModelProxy, ModelService, ModelServiceArgs

on_a_cpu: ModelServiceArgs = {
    "namespace": "models",
    "deployment": {"runtime": "llama.cpp", "cpu": 0.2, "memory_gib": 4},
}
present = ModelService(
    "present", base=on_a_cpu, deployment={"model": {"uri": "pvc://models/tiny-chat.gguf"}}
)
candidate = ModelService(
    "candidate", base=on_a_cpu, deployment={"model": {"uri": "pvc://models/tiny-chat-b.gguf"}}
)
elsewhere = ModelService(
    "elsewhere",
    namespace="models",
    provider_settings={
        "base_url": "https://api.openai.com/v1",
        "model_names": ["gpt-5-mini"],
        "api_key": pulumi.Config().get_secret("provider_key") or "not-a-real-key",
    },
)

gate = ModelProxy(
    "gate",
    namespace="models",
    routes={
        # One request in five tries the candidate; where both fail, the provider answers.
        "assistant": {
            "targets": [
                {"service": present, "weight": 80},
                {"service": candidate, "weight": 20},
            ],
            "fallbacks": ["provider"],
            "policies": {"num_retries": 1, "request_timeout": 60},
        },
        "provider": {"targets": [{"service": elsewhere}]},
    },
    api_keys={
        "web-team": {"generate": {}, "limits": {"rpm": 300, "tpm": 100_000}},
        "batch-team": {"generate": {}, "models": {"allow": ["assistant"]}},
    },
    cpu=0.5,
    memory=1024,
)

pulumi.export("base_url", gate.base_url)
pulumi.export("models", gate.access_names)
pulumi.export("keys", gate.generated_keys)
