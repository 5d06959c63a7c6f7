"""An external model and a gateway in front of it, by a Python program and no stack."""

from modelfleet.client import (
    Config,
    ModelClient,
    ModelProxyCreateInput,
    ModelService,
    ModelServiceCreateInput,
    ModelServiceListInput,
    ModelServiceUpdateInput,
    ProviderSettings,
    ProxyConfig,
    ProxyConfigEndpoint,
    ResourceNotExistError,
)

config = Config(namespace="models")

with ModelClient(config) as client:
    mistral = client.create(
        ModelServiceCreateInput(
            model_service_name="sdk-mistral",
            provider="mistral",
            provider_settings=ProviderSettings(
                base_url="https://api.mistral.ai/v1",
                api_key="not-a-real-key",
                model_names=["mistral-large-latest"],
            ),
        )
    )
    print("created", mistral.access_name, "which is", mistral.status)

    gate = client.create(
        ModelProxyCreateInput(
            model_proxy_name="sdk-gate",
            cpu=0.5,
            memory=1024,
            proxy_config=ProxyConfig(
                endpoints=[ProxyConfigEndpoint(model_service_name="sdk-mistral")]
            ),
            api_keys={"team-a": {"generate": {}}},
        )
    )
    print("created", gate.access_names, "at", gate.base_url)
    print("a key for", ", ".join(gate.generated_api_keys), "is told once, now")

    gate.wait_until_ready_or_failed(raise_on_failure=True)
    print("the gateway is", gate.status)

    mistral.update(ModelServiceUpdateInput(description="for drafts"))
    for service in client.list(ModelServiceListInput(provider="mistral")):
        print("listed", service.model_service_name, "-", service.description)

    gate.delete_and_wait_until_finished()
    mistral.delete_and_wait_until_finished()
    try:
        ModelService.get_by_name("sdk-mistral", config)
    except ResourceNotExistError as error:
        print(error)
