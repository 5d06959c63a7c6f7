"""What calls are given and objects show: which fields, and that nothing is lost or leaked."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from modelfleet.agentrun import shapes
from modelfleet.agentrun.fields import FIELDS
from modelfleet.client import (
    Config,
    ModelProxy,
    ModelProxyCreateInput,
    ModelProxyListInput,
    ModelProxyUpdateInput,
    ModelService,
    ModelServiceCreateInput,
    ModelServiceListInput,
    ModelServiceUpdateInput,
    NetworkConfig,
    ProviderSettings,
    ProxyConfig,
    ProxyConfigEndpoint,
    Status,
)
from modelfleet.client.inputs import PROXY, SERVICE, Given, Wanted, given, wanted
from modelfleet.spec.policies import Policies
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.resource import NetworkConfiguration
from modelfleet.spec.routing import Endpoint
from modelfleet.spec.routing import ProxyConfig as ProxyConfigSpec
from modelfleet.spec.service import ModelInfoConfig, ModelServiceSpec
from modelfleet.spec.service import ProviderSettings as ProviderSettingsSpec


def test_what_is_not_said_is_not_given_and_none_says_nothing() -> None:
    update = ModelProxyUpdateInput(description=None, replicas=2)
    assert given(update, ModelProxyUpdateInput, verb="update") == Given(PROXY, {"replicas": 2})
    settings = ProviderSettings(model_names=["a"], base_url=None)
    create = ModelServiceCreateInput(model_service_name="a", provider_settings=settings)
    asked = given(create, ModelServiceCreateInput, verb="create")
    assert asked == Given(
        SERVICE, {"model_service_name": "a", "provider_settings": {"model_names": ["a"]}}
    )
    assert asked.name == "a"


def test_what_was_assigned_later_is_given_too_and_the_input_stays_as_it_is() -> None:
    endpoints = [ProxyConfigEndpoint(base_url="http://a"), ProxyConfigEndpoint(base_url="http://b")]
    create = ModelProxyCreateInput(proxy_config=ProxyConfig(endpoints=endpoints))
    create.model_proxy_name = "gate"
    before = create.model_dump()
    fields = given(create, ModelProxyCreateInput, verb="create").fields
    assert fields["model_proxy_name"] == "gate"
    assert "proxy_mode" not in fields
    fields["proxy_config"]["endpoints"].clear()
    assert create.model_dump() == before


@pytest.mark.parametrize("value", [ModelProxyUpdateInput(), {"description": "x"}, None])
def test_an_input_of_another_class_is_refused_by_name(value: Any) -> None:
    told = f"update takes a ModelServiceUpdateInput, not a {type(value).__name__}"
    with pytest.raises(TypeError, match=told):
        given(value, ModelServiceUpdateInput, verb="update")


def test_a_list_input_says_which_page_and_of_what() -> None:
    assert wanted(ModelServiceListInput()) == Wanted(SERVICE, {}, page_number=1, page_size=20)
    asked = ModelProxyListInput(page_number=3, page_size=5, status=Status.READY, proxy_mode=None)
    assert wanted(asked) == Wanted(PROXY, {"status": "READY"}, page_number=3, page_size=5)
    with pytest.raises(TypeError, match="not a NoneType"):
        wanted(None)


def test_a_field_that_is_unknown_is_refused_and_never_dropped() -> None:
    unknown: dict[str, Any] = {
        "model_service_nam": "hush",
        "provider_settings": {"apiKy": "hush", "base_url": 1},
    }
    with pytest.raises(ValidationError) as caught:
        ModelServiceCreateInput(**unknown)
    told = {".".join(map(str, each["loc"])): each["msg"] for each in caught.value.errors()}
    assert told["model_service_nam"] == "unknown field; did you mean model_service_name?"
    assert told["provider_settings.apiKy"] == "unknown field; did you mean api_key?"
    assert told["provider_settings.base_url"] == "Input should be a valid string"
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("kind", "cls"), [(SERVICE, ModelService), (PROXY, ModelProxy)])
def test_an_object_has_every_field_that_is_told(kind: str, cls: type[BaseModel]) -> None:
    assert set(FIELDS[kind]) <= set(cls.model_fields)


PARTS: dict[type[BaseModel], type[BaseModel]] = {
    ProviderSettingsSpec: shapes.ProviderSettings,
    ModelInfoConfig: shapes.ModelInfoConfig,
    NetworkConfiguration: shapes.NetworkConfig,
    ProxyConfigSpec: shapes.ProxyConfig,
    Endpoint: shapes.ProxyConfigEndpoint,
    Policies: shapes.ProxyConfigPolicies,
    **{
        Policies.model_fields[name].annotation.__args__[0]: shape  # type: ignore[union-attr]
        for name, shape in (
            ("token_rate_limiter", shapes.ProxyConfigTokenRateLimiter),
            ("ai_guardrail_config", shapes.ProxyConfigAIGuardrailConfig),
        )
    },
}


@pytest.mark.parametrize("spec", PARTS, ids=lambda spec: spec.__name__)
def test_a_part_that_a_stack_declared_can_be_shown_whole(spec: type[BaseModel]) -> None:
    assert set(spec.model_fields) <= set(PARTS[spec].model_fields)


@pytest.mark.parametrize(
    ("spec", "create"),
    [(ModelServiceSpec, ModelServiceCreateInput), (ModelProxySpec, ModelProxyCreateInput)],
    ids=["service", "proxy"],
)
def test_whatever_a_program_can_declare_can_be_created(
    spec: type[BaseModel], create: type[BaseModel]
) -> None:
    # Where it is made is said by the Config, and a call never waits.
    assert set(spec.model_fields) - {"namespace", "cluster", "wait"} <= set(create.model_fields)


def test_objects_are_dumped_as_on_the_wire_and_made_by_names_of_python() -> None:
    service = ModelService(model_service_name="a", provider_settings=ProviderSettings())
    dumped = service.model_dump()
    assert dumped["modelServiceName"] == "a"
    assert dumped["providerSettings"] == {"apiKey": None, "baseUrl": None, "modelNames": None}
    assert ModelProxy(model_proxy_name="p").cpu == 2
    assert NetworkConfig().network_mode == "PRIVATE"


def test_nothing_that_is_shown_holds_a_secret() -> None:
    create = ModelServiceCreateInput(
        provider_settings=ProviderSettings(api_key="hush"),
        deployment={"secret_env": {"TOKEN": "hush"}, "env": {"A": "1"}},
    )
    keys = {"app": {"key": "hush"}}
    shown = [
        create,
        ModelService(provider_settings=ProviderSettings(api_key="hush"), deployment={}),
        ModelProxyCreateInput(api_keys=keys),
        ModelProxyUpdateInput(api_keys=keys),
        ModelProxy(api_keys=keys).set_config(Config(api_key="hush")),
        given(create, ModelServiceCreateInput, verb="create"),
    ]
    assert "hush" not in f"{shown!r}{[str(each) for each in shown]}"
    assert "'TOKEN': '***'" in repr(create)
    assert create.deployment == {"secret_env": {"TOKEN": "hush"}, "env": {"A": "1"}}
    with pytest.raises(ValidationError) as caught:
        ProviderSettings(api_key=["hush"])  # type: ignore[arg-type]
    assert "hush" not in str(caught.value)


def test_copies_of_an_object_are_independent_and_remember_what_it_did() -> None:
    service = ModelService(model_service_name="a", tags={"x": "1"})
    service.set_config(Config(namespace="n"))
    for twin in (
        copy.deepcopy(service),
        service.model_copy(deep=True),
        pickle.loads(pickle.dumps(service)),  # noqa: S301
    ):
        assert twin == service
        assert twin._called(None).namespace == "n"
        twin.tags["x"] = "2"
        twin._config.update(Config(namespace="other"))
    assert service.tags == {"x": "1"}
    assert service._called(None).namespace == "n"


def test_one_object_can_show_what_another_one_does() -> None:
    service = ModelService(model_service_name="a")
    assert service.update_self(ModelService(model_service_name="a", description="x")) is service
    assert service.update_self(None).description == "x"
