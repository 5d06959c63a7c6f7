"""A model that runs at a provider: nothing is started, its address and its key are kept."""

import pulumi

from modelfleet import ModelService

mistral = ModelService(
    "mistral",
    namespace="models",
    provider="mistral",
    provider_settings={
        "base_url": "https://api.mistral.ai/v1",
        "model_names": ["mistral-large-latest"],
        "api_key": pulumi.Config().require_secret("api_key"),
    },
)

pulumi.export("base_url", mistral.base_url)
pulumi.export("models", mistral.model_names)
