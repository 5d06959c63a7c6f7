"""Every field of AgentRun's services and proxies, by its name: taken, or refused with a reason.

The tables are AgentRun's, field by field, as its SDK and its wire spell them, with its defaults.
Each field is tried on create and on update, in both spellings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from declarations import external
from proxy_declarations import proxy
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from modelfleet.agentrun import shapes
from modelfleet.agentrun.declared import declaration_of, snake_fields, updated
from modelfleet.agentrun.fields import FIELDS, Source
from modelfleet.agentrun.scope import Scope
from modelfleet.agentrun.told import told_of
from modelfleet.errors import SpecError
from modelfleet.resource_types import type_of
from modelfleet.spec.tree import model_in

SERVICE, PROXY = "ModelService", "ModelProxy"
SCOPE = Scope(namespace="models")

TAKEN: list[tuple[str, str, Any, Any]] = [
    # kind, path, a value, what is told where nothing is declared
    (SERVICE, "model_service_name", "qwen", "qwen"),
    *(
        (SERVICE, "model_type", each, "llm")
        for each in ("llm", "text-embedding", "rerank", "speech2text", "tts", "moderation")
    ),
    (SERVICE, "provider", "tongyi", None),
    (SERVICE, "workspace_id", "team", None),
    (SERVICE, "model_info_configs", [{"model_name": "m"}], []),
    (SERVICE, "provider_settings.base_url", "https://b.example.com/v1", None),
    (SERVICE, "provider_settings.api_key", "hush", None),
    (SERVICE, "provider_settings.model_names", ["m"], None),
    (SERVICE, "credential_name", "openai/key", None),
    (SERVICE, "description", "for people", None),
    (SERVICE, "network_configuration.network_mode", "PRIVATE", "PRIVATE"),
    *(
        (
            SERVICE,
            "model_info_configs",
            [{"model_name": "m", "model_features": {feature: True}}],
            [],
        )
        for feature in (
            "agent_thought",
            "multi_tool_call",
            "stream_tool_call",
            "tool_call",
            "vision",
        )
    ),
    (
        SERVICE,
        "model_info_configs",
        [{"model_name": "m", "model_properties": {"context_size": 8192}}],
        [],
    ),
    (
        SERVICE,
        "model_info_configs",
        [
            {
                "model_name": "m",
                "model_parameter_rules": [
                    {
                        "name": "top_p",
                        "type": "float",
                        "required": False,
                        "default": 0.5,
                        "min": 0.0,
                        "max": 1.0,
                    }
                ],
            }
        ],
        [],
    ),
    (PROXY, "model_proxy_name", "gateway", "gateway"),
    (PROXY, "cpu", 4.0, 2),
    (PROXY, "memory", 8192, 4096),
    (PROXY, "litellm_version", "1.108.10", None),
    (PROXY, "proxy_mode", "multi", "single"),
    (PROXY, "proxy_config.endpoints", [{"base_url": "https://a.b/v1", "weight": 3}], None),
    (
        PROXY,
        "proxy_config.endpoints",
        [{"model_service_name": "ab", "model_names": ["m"]}],
        None,
    ),
    (PROXY, "proxy_config.policies.cache", True, None),
    (PROXY, "proxy_config.policies.concurrency_limit", 5, None),
    (PROXY, "proxy_config.policies.num_retries", 2, None),
    (PROXY, "proxy_config.policies.request_timeout", 60, None),
    (
        PROXY,
        "proxy_config.policies.fallbacks",
        [{"model_name": "m"}, {"model_service_name": "backup"}],
        None,
    ),
    *(
        (PROXY, f"proxy_config.policies.token_rate_limiter.{each}", 100, None)
        for each in ("tps", "tpm", "tph", "tpd")
    ),
    *(
        (PROXY, f"proxy_config.policies.ai_guardrail_config.{each}", True, None)
        for each in ("check_request", "check_response", "block_on_sensitive_data")
    ),
    (PROXY, "proxy_config.policies.ai_guardrail_config.max_text_length", 100, None),
    (PROXY, "credential_name", "callers/key", None),
    (PROXY, "description", "for people", None),
    (PROXY, "network_configuration.network_mode", "PRIVATE", "PRIVATE"),
    (PROXY, "workspace_id", "team", None),
    (PROXY, "model_type", "llm", None),
]

REFUSED: list[tuple[str, str, Any, str]] = [
    # kind, path, a value, what is said
    *(
        (kind, f"network_configuration.{name}", value, advice)
        for kind in (SERVICE, PROXY)
        for name, value, advice in (
            ("vpc_id", "vpc-1", "the cluster is the network"),
            ("security_group_id", "sg-1", "network_configuration.allow_from"),
            ("vswitch_ids", ["vsw-1"], "has no meaning on Kubernetes"),
            ("network_mode", "PUBLIC", "publish the Service by an Ingress of your own"),
            ("network_mode", "PUBLIC_AND_PRIVATE", "publish the Service by an Ingress of your own"),
        )
    ),
    (SERVICE, "model_type", "system", "must be one of"),
    (SERVICE, "model_type", "deployment", "must be one of"),
    (PROXY, "service_region_id", "cn-hangzhou", "a region is a cluster"),
    (PROXY, "execution_role_arn", "acs:ram::1:role/x", "the gateway needs no rights"),
    (PROXY, "log_configuration", {"project": "p"}, "one line in the pods' log"),
    (PROXY, "arms_configuration", {"enableArms": True}, "Prometheus metrics"),
    *(
        (PROXY, f"proxy_config.policies.ai_guardrail_config.{name}", value, "is not available")
        for name, value in (
            ("block_on_content_moderation", True),
            ("block_on_malicious_url", True),
            ("block_on_model_hallucination", True),
            ("block_on_prompt_attack", True),
            ("level", "high"),
        )
    ),
]

OUTPUTS: list[tuple[str, str]] = [
    *(
        (kind, name)
        for kind in (SERVICE, PROXY)
        for name in ("status", "status_reason", "created_at", "last_updated_at", "endpoint")
    ),
    (SERVICE, "model_service_id"),
    (PROXY, "model_proxy_id"),
    (PROXY, "function_name"),
]

SPELLINGS = [pytest.param(False, id="snake"), pytest.param(True, id="camel")]
VERBS = [pytest.param(False, id="create"), pytest.param(True, id="update")]


def at(path: str, value: Any, *, camel: bool = False) -> dict[str, Any]:
    """Return a body that says ``value`` at ``path``, in one spelling."""
    tree: Any = camelled(value) if camel else value
    for step in reversed(path.split(".")):
        tree = {to_camel(step) if camel else step: tree}
    return dict(tree)


def camelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {to_camel(name): camelled(item) for name, item in value.items()}
    return [camelled(item) for item in value] if isinstance(value, list) else value


def in_force(kind: str) -> dict[str, Any]:
    if kind == SERVICE:
        return external(namespace="models")
    return proxy(proxy_config={"endpoints": [{"base_url": "https://a.b/v1", "model_names": ["m"]}]})


def value_in(tree: Any, path: str) -> Any:
    for step in path.split("."):
        tree = None if tree is None else tree.get(step)
    return tree


@pytest.mark.parametrize("update", VERBS)
@pytest.mark.parametrize("camel", SPELLINGS)
@pytest.mark.parametrize(("kind", "path", "value", "default"), TAKEN)
def test_a_field_of_agentrun_is_taken_by_its_name(
    kind: str, path: str, value: Any, default: Any, *, camel: bool, update: bool
) -> None:
    fields = snake_fields(at(path, value, camel=camel), kind=kind, update=update)
    assert fields == at(path, value)
    if update:
        before = in_force(kind)
        declared = updated(before, fields, kind=kind, referred=lambda _: None)
    else:
        declared = declaration_of(fields, kind=kind, scope=SCOPE, referred=lambda _: None)
    told = told_of(in_force(kind) | declared, kind=kind)
    if path == "provider_settings.api_key":  # declared, and told to nobody
        assert value_in(declared, path) == value
        assert value_in(told, path) is None
    else:
        assert value_in(told, path) == value


@pytest.mark.parametrize(("kind", "path", "value", "default"), TAKEN)
def test_a_field_that_is_not_said_has_agentruns_default(
    kind: str, path: str, value: Any, default: Any
) -> None:
    name = type_of(kind).name_field
    bare = {name: "qwen" if kind == SERVICE else "gateway", "namespace": "models"}
    assert value_in(told_of(bare, kind=kind), path) == default


@pytest.mark.parametrize("update", VERBS)
@pytest.mark.parametrize("camel", SPELLINGS)
@pytest.mark.parametrize(("kind", "path", "value", "advice"), REFUSED)
def test_a_field_that_means_nothing_here_is_refused_with_what_to_do(
    kind: str, path: str, value: Any, advice: str, *, camel: bool, update: bool
) -> None:
    body = at(path, value, camel=camel)
    with pytest.raises(SpecError) as caught:
        snake_fields(body, kind=kind, update=update)
    (problem,) = caught.value.problems
    assert problem.path == (".".join(map(to_camel, path.split("."))) if camel else path)
    assert advice in problem.reason


@pytest.mark.parametrize("update", VERBS)
@pytest.mark.parametrize("camel", SPELLINGS)
@pytest.mark.parametrize(("kind", "name"), OUTPUTS)
def test_an_output_is_no_input(kind: str, name: str, *, camel: bool, update: bool) -> None:
    with pytest.raises(SpecError) as caught:
        snake_fields(at(name, "x", camel=camel), kind=kind, update=update)
    (problem,) = caught.value.problems
    assert "is an output" in problem.reason or "there is no function" in problem.reason


@pytest.mark.parametrize("kind", [SERVICE, PROXY])
def test_a_field_that_is_refused_may_be_null(kind: str) -> None:
    body = {"network_configuration": {"vpcId": None, "networkMode": "PRIVATE"}, "status": None}
    fields = snake_fields(body, kind=kind, update=True)
    assert fields == {"network_configuration": {"network_mode": "PRIVATE"}}


# -- the tables agree ----------------------------------------------------------------------------

INPUTS: dict[tuple[str, str], type[BaseModel]] = {
    (SERVICE, "create"): shapes.ModelServiceCreateInput,
    (SERVICE, "update"): shapes.ModelServiceUpdateInput,
    (PROXY, "create"): shapes.ModelProxyCreateInput,
    (PROXY, "update"): shapes.ModelProxyUpdateInput,
}


@pytest.mark.parametrize(("kind", "verb"), INPUTS)
def test_the_inputs_of_the_sdk_have_the_fields_that_a_call_takes(kind: str, verb: str) -> None:
    taken = {name for name, field in FIELDS[kind].items() if getattr(field, verb)}
    named = {"model_service_name"} if verb == "update" else set()
    refused = {"service_region_id", "execution_role_arn"} if kind == PROXY else set()
    assert set(INPUTS[kind, verb].model_fields) == (taken - named) | refused


@pytest.mark.parametrize("kind", [SERVICE, PROXY])
def test_every_field_of_the_spec_is_in_the_table(kind: str) -> None:
    assert set(type_of(kind).model.model_fields) <= set(FIELDS[kind])


@pytest.mark.parametrize("kind", [SERVICE, PROXY])
def test_every_declared_field_is_one_of_the_spec_and_every_planned_one_a_formula(
    kind: str,
) -> None:
    of = type_of(kind)
    for name, field in FIELDS[kind].items():
        if field.source is Source.DECLARED or field.create or field.update or field.clear:
            assert name in of.model.model_fields
        if field.source is Source.PLANNED:
            assert name in of.formulas


@pytest.mark.parametrize("kind", [SERVICE, PROXY])
def test_what_can_be_cleared_is_what_can_be_set(kind: str) -> None:
    for field in FIELDS[kind].values():
        assert field.update or not field.clear
        assert not (field.update and field.source is not Source.DECLARED)


def parts_of(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the path of every field below ``model``, and whether it leads through a list."""
    for name, field in model.model_fields.items():
        below = model_in(field.annotation)
        yield f"{path}{name}", below is not None
        if below is not None:
            mark = "[]" if "list[" in str(field.annotation) else ""
            yield from parts_of(below, f"{path}{name}{mark}.")


PARTS = [
    (kind, path)
    for kind, verb in INPUTS
    if verb == "create"
    for path, has_parts in parts_of(INPUTS[kind, verb])
    if "." in path and not has_parts
]


@pytest.mark.parametrize(("kind", "path"), PARTS)
def test_every_part_of_an_input_is_known_here_by_its_name(kind: str, path: str) -> None:
    tree: Any = object()  # of no type that any field has
    for step in reversed(path.split(".")):
        tree = {step.removesuffix("[]"): [tree] if step.endswith("[]") else tree}
    try:
        snake_fields(tree, kind=kind)
    except SpecError as error:
        (problem,) = error.problems
        assert problem.path == path.replace("[]", "[0]")
        assert "unknown field" not in problem.reason


@pytest.mark.parametrize("kind", [SERVICE, PROXY])
def test_no_two_fields_are_one_on_the_wire(kind: str) -> None:
    names = [field.wire for field in FIELDS[kind].values()]
    assert len(set(names)) == len(names)
    assert {"modelServiceName": SERVICE, "modelProxyName": PROXY}[names[0]] == kind
