"""The SDK has AgentRun's call shapes: name, place and default of every argument, in both forms."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import modelfleet.client
from modelfleet.client import ModelClient, ModelProxy, ModelService

CREATE = "input, config=None"
WAIT = "callback=None, interval_seconds=5, timeout_seconds=300"

OF_A_CLIENT = {
    "create": CREATE,
    "delete": "name, backend_type=None, config=None",
    "update": "name, input, config=None",
    "get": "name, backend_type=None, config=None",
    "list": "input, config=None",
}
OF_BOTH = {
    "create": CREATE,
    "update": CREATE,
    "delete": "config=None",
    "get": "config=None",
    "refresh": "config=None",
    "wait_until_ready_or_failed": WAIT,
    "delete_and_wait_until_finished": WAIT,
}
OF_A_SERVICE = {
    **OF_BOTH,
    "delete_by_name": "model_service_name, config=None",
    "update_by_name": "model_service_name, input, config=None",
    "get_by_name": "model_service_name, config=None",
    "list_all": "*, model_type=None, provider=None, config=None",
}
OF_A_PROXY = {
    **OF_BOTH,
    # Required with AgentRun; here either spelling will do.
    "delete_by_name": "model_Proxy_name=None, config=None",
    "update_by_name": "model_proxy_name, input, config=None",
    "get_by_name": "model_proxy_name, config=None",
    "list_all": "*, proxy_mode=None, status=None, config=None",
}
"""AgentRun's signatures, version 0.0.54, without ``self``."""

SYNC_ONLY = {
    "set_config": "config",
    "update_self": "other",
}
INFERENCE = {
    "model_info": "config=None",
    "completion": "messages=[], model=None, custom_llm_provider=None, **kwargs",
    "acompletion": "messages=[], model=None, custom_llm_provider=None, **kwargs",
    "responses": "input, model=None, custom_llm_provider=None, **kwargs",
    "aresponses": "input, model=None, custom_llm_provider=None, **kwargs",
    "embedding": "input=[], model=None, custom_llm_provider=None, **kwargs",
    "aembedding": "input=[], model=None, custom_llm_provider=None, **kwargs",
}

TABLES = {
    ModelClient: OF_A_CLIENT,
    ModelService: OF_A_SERVICE,
    ModelProxy: OF_A_PROXY,
}


def both_forms() -> Iterator[Any]:
    for cls, table in TABLES.items():
        for name, signature in table.items():
            for form in (name, f"{name}_async"):
                yield pytest.param(cls, form, signature, id=f"{cls.__name__}.{form}")


def shape_of(function: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters if each.name != "self"]


def agentruns(signature: str) -> list[tuple[str, Any, Any]]:
    namespace: dict[str, Any] = {}
    exec(f"def call({signature}): ...", namespace)  # noqa: S102 - out of the tables above
    return shape_of(namespace["call"])


@pytest.mark.parametrize(("cls", "name", "signature"), list(both_forms()))
def test_an_argument_has_agentruns_name_place_and_default(
    cls: type, name: str, signature: str
) -> None:
    """What is added stands behind, by name only or with a default."""
    ours, theirs = shape_of(getattr(cls, name)), agentruns(signature)
    named = inspect.Parameter.KEYWORD_ONLY
    if theirs[0][1] is named:
        assert set(theirs) <= set(ours)
        return
    assert ours[: len(theirs)] == theirs
    for _, _, default in ours[len(theirs) :]:
        assert default is not inspect.Parameter.empty


@pytest.mark.parametrize("cls", [ModelService, ModelProxy])
@pytest.mark.parametrize("name", SYNC_ONLY)
def test_what_asks_nobody_has_one_form(cls: type, name: str) -> None:
    assert shape_of(getattr(cls, name)) == agentruns(SYNC_ONLY[name])


@pytest.mark.parametrize("cls", [ModelService, ModelProxy])
@pytest.mark.parametrize("name", INFERENCE)
def test_inference_takes_what_agentruns_does_in_the_same_order(cls: type, name: str) -> None:
    theirs = [each for each, *_ in agentruns(INFERENCE[name]) if each != "kwargs"]
    ours = [each for each, *_ in shape_of(getattr(cls, name))]
    assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize("cls", [ModelService, ModelProxy])
def test_completions_takes_whatever_completion_takes(cls: Any) -> None:
    kinds = {kind for _, kind, _ in shape_of(cls.completions)}
    assert inspect.Parameter.VAR_KEYWORD in kinds


EXPORTED = """
BackendType ModelClient ModelFeatures ModelInfoConfig ModelParameterRule ModelProperties ModelProxy
ModelProxyCreateInput ModelProxyListInput ModelProxyUpdateInput ModelService
ModelServiceCreateInput ModelServiceListInput ModelServiceUpdateInput ModelType Provider
ProviderSettings ProxyConfig ProxyConfigEndpoint ProxyConfigFallback ProxyConfigPolicies
AgentRunError BaseInfo ClientError Config DeleteResourceError HTTPError NetworkConfig NetworkMode
PageableInput ResourceAlreadyExistError ResourceNotExistError ServerError Status
ProxyConfigAIGuardrailConfig ProxyConfigTokenRateLimiter ProxyMode
"""
"""What agentrun.model and agentrun.utils offer, but for its clients of the wire."""


@pytest.mark.parametrize("name", EXPORTED.split())
def test_a_program_changes_its_imports_and_no_name(name: str) -> None:
    assert name in modelfleet.client.__all__
    assert getattr(modelfleet.client, name).__name__ == name
