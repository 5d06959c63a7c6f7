"""What AgentRun's fields declare, on a create and on an update: nothing dropped, nothing invented.

Properties over generated declarations of both kinds, then tables of what is merged, cleared,
derived, looked up and refused.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from agentrun_entries import entry_of, recorded
from declarations import external, external_declarations, hosted, hosted_declarations
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from proxy_declarations import proxies, proxy, reference, route, valid_proxies

from modelfleet.agentrun.declared import (
    cleared_by,
    declaration_of,
    on_the_wire_named,
    snake_fields,
    updated,
)
from modelfleet.agentrun.fields import FIELDS
from modelfleet.agentrun.scope import Scope
from modelfleet.agentrun.spelling import steps_of
from modelfleet.agentrun.told import told_of, wire_of
from modelfleet.catalogue import Entry
from modelfleet.errors import SpecError
from modelfleet.plan import plan
from modelfleet.resource_types import TYPES, type_of
from modelfleet.spec.merge import merged
from modelfleet.spec.tree import dotted, value_in

SERVICE, PROXY = "ModelService", "ModelProxy"
SCOPE = Scope(namespace="models", cluster="gpu-west")
FEWER = settings(max_examples=50, deadline=None)
FULL_LENGTH = "sk-0123456789abcdef"

Referred = Callable[[str], Entry | None]


def nobody(_: str) -> None:
    """Look up a service where there is none."""


def changed(
    declaration: Mapping[str, Any],
    fields: Mapping[str, Any],
    *clear: str,
    kind: str = SERVICE,
    referred: Referred = nobody,
) -> dict[str, Any]:
    return updated(declaration, fields, kind=kind, clear=clear, referred=referred)


def problems(call: Callable[[], Any]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        call()
    return [str(problem) for problem in caught.value.problems]


@st.composite
def records(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a kind, and what the record of one resource of it holds."""
    kind = draw(st.sampled_from([SERVICE, PROXY]))
    strategy = (
        hosted_declarations | external_declarations
        if kind == SERVICE
        else valid_proxies() | proxies
    )
    record = recorded(draw(strategy), kind=kind)
    assume(record is not None)
    return kind, record or {}


def updatable(told: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
    """Return what of ``told`` an update takes."""
    return {name: told[name] for name, field in FIELDS[kind].items() if field.update}


# -- properties ----------------------------------------------------------------------------------


@FEWER
@given(records())
def test_an_update_that_says_nothing_changes_nothing(drawn: tuple[str, dict[str, Any]]) -> None:
    kind, record = drawn
    unsaid = dict.fromkeys(updatable(FIELDS[kind], kind=kind))
    assert changed(record, {}, kind=kind) == record
    assert changed(record, unsaid, kind=kind) == record


@FEWER
@given(records())
def test_an_update_with_what_was_told_changes_nothing(drawn: tuple[str, dict[str, Any]]) -> None:
    kind, record = drawn
    told = updatable(told_of(record, kind=kind), kind=kind)
    assert changed(record, told, kind=kind) == record


@FEWER
@given(records())
def test_an_update_with_what_was_told_on_the_wire_changes_nothing(
    drawn: tuple[str, dict[str, Any]],
) -> None:
    kind, record = drawn
    body = wire_of(updatable(told_of(record, kind=kind), kind=kind), kind=kind)
    del body["status"]
    fields = snake_fields(body, kind=kind, update=True)
    assert cleared_by(fields) == ()
    assert changed(record, fields, kind=kind) == record


@FEWER
@given(records(), st.data())
def test_what_is_cleared_and_said_is_what_was_said(
    drawn: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    kind, record = drawn
    clearable = [name for name in record if FIELDS[kind][name].clear]
    assume(clearable)
    name = data.draw(st.sampled_from(clearable))
    assert name not in changed(record, {}, name, kind=kind)
    again = changed(record, {name: record[name]}, name, kind=kind)
    model = type_of(kind).model
    assert model.model_validate(again) == model.model_validate(record)


@FEWER
@given(records())
def test_a_call_leaves_its_arguments_as_they_are(drawn: tuple[str, dict[str, Any]]) -> None:
    kind, record = drawn
    fields = updatable(told_of(record, kind=kind), kind=kind) | {"tags": {"a": "b"}}
    before = copy.deepcopy((record, fields))
    changed(record, fields, "description", kind=kind)
    declaration_of(fields, kind=kind, scope=SCOPE, referred=nobody)
    snake_fields(fields, kind=kind)
    assert (record, fields) == before


@FEWER
@given(records())
def test_what_is_told_of_one_declares_another_like_it(drawn: tuple[str, dict[str, Any]]) -> None:
    kind, record = drawn
    told = told_of(record, kind=kind)
    if record.get("deployment") is not None:  # told live, which is nothing to declare
        told["provider_settings"] = record.get("provider_settings")
    taken = {name: told.get(name) for name, field in FIELDS[kind].items() if field.create}
    scope = Scope(namespace=record["namespace"], cluster=record["cluster"])
    declared = declaration_of(taken, kind=kind, scope=scope, referred=nobody)
    again = told_of(declared, kind=kind)
    hidden = {"provider_settings"}  # of a hosted one, and the key of an external one
    same = [name for name in taken if name in again and name not in hidden]
    before = told_of(record, kind=kind)
    assert {name: again[name] for name in same} == {name: before[name] for name in same}


# -- creating --------------------------------------------------------------------------------------


def test_a_create_declares_what_was_said_where_the_caller_looks() -> None:
    fields = {"model_service_name": "qwen", "description": None, "tags": {"a": "b"}}
    assert declaration_of(fields, kind=SERVICE, scope=SCOPE, referred=nobody) == {
        "model_service_name": "qwen",
        "tags": {"a": "b"},
        "namespace": "models",
        "cluster": "gpu-west",
    }


ENDPOINT = {"base_url": "https://a.example.com/v1", "model_names": ["m"]}

MODES: list[tuple[Any, str | None, str, bool]] = [
    # proxy_config, proxy_mode as said, the mode that results, whether it is declared
    (None, None, "single", False),
    ({}, None, "single", False),
    ({"endpoints": None}, None, "single", False),
    ({"endpoints": []}, None, "single", False),
    ({"endpoints": [ENDPOINT]}, None, "single", False),
    ({"endpoints": [ENDPOINT]}, "single", "single", False),
    ({"endpoints": [ENDPOINT]}, "multi", "multi", True),
    ({"endpoints": [ENDPOINT, ENDPOINT]}, None, "multi", False),
    ({"endpoints": [ENDPOINT, ENDPOINT]}, "multi", "multi", False),
    ({"endpoints": [ENDPOINT, ENDPOINT]}, "single", "single", True),  # refused by the spec
]


@pytest.mark.parametrize(("config", "said", "mode", "is_declared"), MODES)
def test_a_mode_that_is_not_said_follows_the_endpoints(
    config: Any, said: str | None, mode: str, is_declared: bool
) -> None:
    fields = {"model_proxy_name": "gw", "proxy_config": config, "proxy_mode": said}
    declared = declaration_of(fields, kind=PROXY, scope=SCOPE, referred=nobody)
    assert ("proxy_mode" in declared) == is_declared
    assert told_of(declared, kind=PROXY)["proxy_mode"] == mode


def test_cores_and_memory_of_a_proxy_are_those_of_agentrun() -> None:
    declared = declaration_of({"model_proxy_name": "gw"}, kind=PROXY, scope=SCOPE, referred=nobody)
    told = told_of(declared, kind=PROXY)
    assert (told["cpu"], told["memory"]) == (2, 4096)


# -- updating --------------------------------------------------------------------------------------

SPOKEN = external(
    {"model_names": ["a", "b"], "api_key": "hush"},
    description="old",
    tags={"team": "x", "tier": "1"},
    namespace="models",
)
HOSTED = hosted(
    {
        "env": {"A": "1", "B": "2"},
        "gpu": {"count": 2, "product": "NVIDIA-L4"},
        "args": {"max-num-seqs": 64},
    },
    provider_settings={"model_names": ["alias"]},
    namespace="models",
)

MERGES: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...], dict[str, Any]]] = [
    ("a value is replaced", SPOKEN, {"description": "new"}, (), {"description": "new"}),
    (
        "a part keeps what was not said",
        SPOKEN,
        {"provider_settings": {"base_url": "https://b.example.com/v1"}},
        (),
        {"provider_settings": {"base_url": "https://b.example.com/v1"}},
    ),
    (
        "a list is replaced as a whole",
        SPOKEN,
        {"provider_settings": {"model_names": ["c"]}},
        (),
        {"provider_settings": {"model_names": ["c"]}},
    ),
    ("a map gets a key", SPOKEN, {"tags": {"new": "y"}}, (), {"tags": {"new": "y"}}),
    ("a key of a map changes", SPOKEN, {"tags": {"team": "y"}}, (), {"tags": {"team": "y"}}),
    ("a field is cleared", SPOKEN, {}, ("description",), {"description": None}),
    ("a key of a map is cleared", SPOKEN, {}, ("tags.team",), {"tags": {"team": None}}),
    (
        "a field of a part is cleared",
        SPOKEN,
        {},
        ("provider_settings.api_key",),
        {"provider_settings": {"api_key": None}},
    ),
    (
        "what is deep inside is merged",
        HOSTED,
        {"deployment": {"env": {"A": "3"}, "gpu": {"count": 4}}},
        (),
        {"deployment": {"env": {"A": "3"}, "gpu": {"count": 4}}},
    ),
    (
        "what is deep inside is cleared",
        HOSTED,
        {},
        ("deployment.env.B", "deployment.gpu.product"),
        {"deployment": {"env": {"B": None}, "gpu": {"product": None}}},
    ),
    (
        "a part that is cleared first is replaced",
        HOSTED,
        {"deployment": {"gpu": {"count": 1}}},
        ("deployment.gpu",),
        {"deployment": {"gpu": {"count": 1, "product": None}}},
    ),
    (
        "another kind of value takes the place",
        HOSTED,
        {"deployment": {"env": {"A": {"secret": "s/k"}}}},
        (),
        {"deployment": {"env": {"A": {"secret": "s/k"}}}},
    ),
    ("clearing what is not there does nothing", SPOKEN, {}, ("credential_name",), {}),
    ("clearing below what is not there does nothing", SPOKEN, {}, ("deployment.gpu.count",), {}),
    (
        "clearing inside of a plain value does nothing",
        hosted({"runtime": "vllm"}),
        {},
        ("deployment.runtime.port",),
        {},
    ),
    (
        "the live address of a hosted service is no declaration",
        HOSTED,
        {
            "provider_settings": {
                "base_url": "http://qwen.models.svc/v1",
                "model_names": ["qwen", "alias"],
            }
        },
        (),
        {},
    ),
    (
        "a name is added to those of a hosted service",
        HOSTED,
        {"provider_settings": {"model_names": ["qwen", "alias", "more"]}},
        (),
        {"provider_settings": {"model_names": ["qwen", "alias", "more"]}},
    ),
    ("a default that is said stays a default", SPOKEN, {"model_type": "llm"}, (), {}),
    (
        "true is no number",
        hosted({"args": {"x": 1}}),
        {"deployment": {"args": {"x": True}}},
        (),
        {"deployment": {"args": {"x": True}}},
    ),
]
"""What it shows, what is declared, what is said, what is cleared, and what differs then."""


@pytest.mark.parametrize(
    ("before", "fields", "clear", "difference"),
    [pytest.param(*row[1:], id=row[0]) for row in MERGES],
)
def test_an_update_changes_what_was_said_and_no_more(
    before: dict[str, Any],
    fields: dict[str, Any],
    clear: tuple[str, ...],
    difference: dict[str, Any],
) -> None:
    after = changed(before, fields, *clear)
    assert after == merged(before, difference)
    assert _bools(after) == _bools(merged(before, difference))


def _bools(value: Any) -> Any:
    """Return ``value`` so that true and 1 are told apart."""
    if isinstance(value, Mapping):
        return {key: _bools(item) for key, item in value.items()}
    return (type(value).__name__, value)


def test_routes_and_callers_are_changed_by_name() -> None:
    before = proxy(
        routes={"a": route("chat"), "b": route("other")},
        api_keys={"x": {"key": ""}, "y": {"generate": {}}},
    )
    fields = {"routes": {"b": route("new")}, "api_keys": {"z": {"key": FULL_LENGTH}}}
    after = changed(before, fields, "routes.a", "api_keys.x", kind=PROXY)
    assert after["routes"] == {"b": route("new")}
    assert after["api_keys"] == {"y": {"generate": {}}, "z": {"key": FULL_LENGTH}}


def test_a_key_that_is_no_plain_name_is_cleared_in_brackets() -> None:
    before = hosted({"node_selector": {"example.com/pool": "a", "zone": "b"}})
    after = changed(before, {}, 'deployment.node_selector["example.com/pool"]')
    assert after["deployment"]["node_selector"] == {"zone": "b"}


def test_a_mode_as_it_was_told_does_not_hold_a_proxy_to_it() -> None:
    before = proxy(proxy_config={"endpoints": [ENDPOINT]})
    two = {"proxy_config": {"endpoints": [ENDPOINT, {**ENDPOINT, "model_names": ["n"]}]}}
    after = changed(changed(before, {"proxy_mode": "single"}, kind=PROXY), two, kind=PROXY)
    assert told_of(after, kind=PROXY)["proxy_mode"] == "multi"


def test_a_declared_single_mode_gives_way_to_several_endpoints() -> None:
    before = proxy(proxy_mode="single", proxy_config={"endpoints": [ENDPOINT]})
    two = {"proxy_config": {"endpoints": [ENDPOINT, {**ENDPOINT, "model_names": ["n"]}]}}
    after = changed(before, two, kind=PROXY)
    assert told_of(after, kind=PROXY)["proxy_mode"] == "multi"
    assert plan(after, of=type_of(PROXY)).problems == ()


def test_an_empty_list_of_models_on_the_wire_of_an_update_says_nothing() -> None:
    assert snake_fields({"modelInfoConfigs": []}, kind=SERVICE, update=True) == {}
    assert snake_fields({"modelInfoConfigs": []}, kind=SERVICE) == {"model_info_configs": []}
    said = [{"modelName": "m"}]
    assert snake_fields({"modelInfoConfigs": said}, kind=SERVICE, update=True) == {
        "model_info_configs": [{"model_name": "m"}]
    }
    before = external(model_info_configs=[{"model_name": "m"}])
    assert changed(before, {"model_info_configs": []})["model_info_configs"] == []


def test_null_on_the_wire_clears() -> None:
    body = {
        "description": None,
        "modelInfoConfigs": None,
        "providerSettings": {"apiKey": None},
        "tags": {"someTag": None},
        "deployment": {"env": {"MY_VAR": None}},
    }
    fields = snake_fields(body, kind=SERVICE, update=True)
    assert cleared_by(fields) == (
        "description",
        "model_info_configs",
        "provider_settings.api_key",
        "tags.someTag",
        "deployment.env.MY_VAR",
    )
    after = changed(merged(SPOKEN, {"tags": {"someTag": "x"}}), fields, *cleared_by(fields))
    assert "description" not in after
    assert "api_key" not in after["provider_settings"]
    assert "someTag" not in after["tags"]


# -- spelling --------------------------------------------------------------------------------------


def test_keys_of_free_maps_keep_their_spelling() -> None:
    body = {
        "modelProxyName": "gw",
        "tags": {"costCenter": "1"},
        "apiKeys": {"someCaller": {"expiresAt": "2027-01-31T12:00:00Z"}},
        "routes": {"some_Model": {"targets": [{"baseUrl": "https://a.b/v1", "modelName": "m"}]}},
        "networkConfiguration": {"allowFrom": [{"podLabels": {"my_label": "x"}}]},
    }
    fields = snake_fields(body, kind=PROXY)
    assert fields == {
        "model_proxy_name": "gw",
        "tags": {"costCenter": "1"},
        "api_keys": {"someCaller": {"expires_at": "2027-01-31T12:00:00Z"}},
        "routes": {"some_Model": {"targets": [{"base_url": "https://a.b/v1", "model_name": "m"}]}},
        "network_configuration": {"allow_from": [{"pod_labels": {"my_label": "x"}}]},
    }
    assert snake_fields(fields, kind=PROXY) == fields
    assert {name: each for name, each in wire_of(fields, kind=PROXY).items() if each} == body


def test_what_is_in_a_form_of_kubernetes_keeps_its_spelling() -> None:
    affinity = {"podAffinity": {"some_thing": [{"topologyKey": "a"}]}}
    overrides = {"spec": {"dnsConfig": {"searches": ["x"]}}}
    body = {"deployment": {"affinity": affinity, "podOverrides": overrides}}
    assert snake_fields(body, kind=SERVICE) == {
        "deployment": {"affinity": affinity, "pod_overrides": overrides}
    }


# -- services by name ----------------------------------------------------------------------------

RUNS = {"runtime_version": None, "gpu": {"count": 1}}

SERVICES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "hosted",
        hosted(RUNS, namespace="models"),
        {"id": "models/qwen", "base_url": "http://qwen.models.svc/v1", "model_names": ["qwen"]},
    ),
    (
        "hosted in a workspace",
        hosted({**RUNS, "max_model_len": 8192}, namespace="models", workspace_id="w"),
        {
            "id": "models/qwen",
            "base_url": "http://qwen.models.svc/v1",
            "model_names": ["w/qwen"],
            "context_size": 8192,
        },
    ),
    (
        "external with a key of its own",
        external(
            {"api_key": "hush", "model_names": ["m"]}, namespace="models", model_type="rerank"
        ),
        {
            "id": "models/qwen",
            "base_url": "https://api.example.com/v1",
            "model_names": ["m"],
            "credential_name": "qwen-external/api_key",
            "model_type": "rerank",
        },
    ),
    (
        "external with a Secret",
        external(
            {"model_names": ["m"]},
            namespace="models",
            credential_name="openai/key",
            model_info_configs=[
                {"model_name": "m", "model_properties": {"context_size": 4096}},
                {"model_name": "n", "model_properties": {"context_size": 9000}},
            ],
        ),
        {
            "id": "models/qwen",
            "base_url": "https://api.example.com/v1",
            "model_names": ["m"],
            "credential_name": "openai/key",
            "context_size": 9000,
        },
    ),
    (
        "external without a key",
        external(namespace="models"),
        {"id": "models/qwen", "base_url": "https://api.example.com/v1", "model_names": []},
    ),
]


@pytest.mark.parametrize(
    ("declared", "expected"), [pytest.param(*row[1:], id=row[0]) for row in SERVICES]
)
def test_a_service_that_is_named_is_declared_with_what_is_known_of_it(
    declared: dict[str, Any], expected: dict[str, Any]
) -> None:
    entry = entry_of(declared, kind=SERVICE)

    def referred(name: str) -> Entry | None:
        return entry if name == "qwen" else None

    fields = {
        "model_proxy_name": "gw",
        "proxy_config": {"endpoints": [{"model_service_name": "qwen", "weight": 70}]},
    }
    declaration = declaration_of(fields, kind=PROXY, scope=SCOPE, referred=referred)
    (endpoint,) = declaration["proxy_config"]["endpoints"]
    assert endpoint == {"model_service_name": {**expected, "cluster": "gpu-west"}, "weight": 70}
    routed = {"model_proxy_name": "gw", "routes": {"chat": route("qwen")}}
    declaration = declaration_of(routed, kind=PROXY, scope=SCOPE, referred=referred)
    assert declaration["routes"]["chat"]["targets"][0]["service"] == endpoint["model_service_name"]
    told = told_of(declaration, kind=PROXY)
    assert told["routes"]["chat"]["targets"] == [{"service": "qwen"}]


@pytest.mark.parametrize("place", ["policies", "proxy_config.policies", "routes.chat.policies"])
def test_a_service_to_fall_back_to_is_declared_with_what_is_known_of_it(place: str) -> None:
    entry = entry_of(external({"api_key": "sk-0123"}, namespace="models"), kind=SERVICE)
    fallbacks = [{"model_service_name": "qwen", "model_name": "m"}, {"model_name": "chat"}]
    policies = {"policies": {"fallbacks": fallbacks}}
    fields: dict[str, Any] = {
        "policies": {"routes": {"chat": route("here")}, **policies},
        "proxy_config.policies": {"proxy_config": {"endpoints": [ENDPOINT], **policies}},
        "routes.chat.policies": {"routes": {"chat": {**route("here"), **policies}}},
    }[place]
    fields = {"model_proxy_name": "gw", **fields}

    def referred(name: str) -> Entry | None:
        return entry if name == "qwen" else None

    declaration = declaration_of(fields, kind=PROXY, scope=SCOPE, referred=referred)
    declared = value_in(declaration, tuple(place.split(".")))["fallbacks"]
    assert declared[0]["model_service_name"]["id"] == "models/qwen"
    assert declared[0]["model_service_name"]["credential_name"] == "qwen-external/api_key"
    assert (declared[0]["model_name"], declared[1]) == ("m", fallbacks[1])
    told = told_of(declaration, kind=PROXY)
    assert value_in(told, tuple(place.split(".")))["fallbacks"] == fallbacks
    again = updatable(told, kind=PROXY)
    assert changed(declaration, again, kind=PROXY, referred=referred) == declaration


@pytest.mark.parametrize("declared", [pytest.param(row[1], id=row[0]) for row in SERVICES])
def test_what_was_told_of_a_proxy_changes_nothing_while_its_services_are_as_they_were(
    declared: dict[str, Any],
) -> None:
    entry = entry_of(declared, kind=SERVICE)
    fields = {
        "model_proxy_name": "gw",
        "routes": {"a": route("qwen", {"service": "qwen", "model_name": "m", "weight": 2})},
    }
    before = declaration_of(fields, kind=PROXY, scope=SCOPE, referred=lambda _: entry)
    told = updatable(told_of(before, kind=PROXY), kind=PROXY)
    assert changed(before, told, kind=PROXY, referred=lambda _: entry) == before


def test_a_service_of_another_namespace_is_told_with_it() -> None:
    entry = entry_of(hosted(RUNS, namespace="other"), kind=SERVICE)
    fields = {"model_proxy_name": "gw", "routes": {"chat": route("other/qwen")}}
    declaration = declaration_of(fields, kind=PROXY, scope=SCOPE, referred=lambda _: entry)
    (target,) = declaration["routes"]["chat"]["targets"]
    assert target["service"]["id"] == "other/qwen"
    assert told_of(declaration, kind=PROXY)["routes"]["chat"]["targets"] == [
        {"service": "other/qwen"}
    ]


def test_a_service_that_is_not_there_stays_a_name_for_the_fleet_to_refuse() -> None:
    fields = {"model_proxy_name": "gw", "routes": {"chat": route("nobody")}}
    declaration = declaration_of(fields, kind=PROXY, scope=SCOPE, referred=nobody)
    assert declaration["routes"] == fields["routes"]


def test_a_service_that_has_changed_is_looked_up_anew_where_it_is_named_again() -> None:
    before = entry_of(external(namespace="models"), kind=SERVICE)
    moved = entry_of(
        external({"base_url": "https://b.example.com/v1"}, namespace="models"), kind=SERVICE
    )
    endpoints = {"endpoints": [{"model_service_name": "qwen", "model_names": ["m"]}]}
    fields = {"model_proxy_name": "gw", "proxy_config": endpoints}
    declared = declaration_of(fields, kind=PROXY, scope=SCOPE, referred=lambda _: before)
    assert (
        changed(declared, {"description": "x"}, kind=PROXY, referred=lambda _: moved)[
            "proxy_config"
        ]
        == declared["proxy_config"]
    )
    after = changed(declared, {"proxy_config": endpoints}, kind=PROXY, referred=lambda _: moved)
    (endpoint,) = after["proxy_config"]["endpoints"]
    assert endpoint["model_service_name"]["base_url"] == "https://b.example.com/v1"


@pytest.mark.parametrize(
    "service",
    ["qwen", {"id": "models/qwen", "cluster": "elsewhere", "base_url": "https://x.example.com/v1"}],
    ids=["a name", "one of another cluster"],
)
def test_a_service_that_is_not_this_one_stays_what_it_was(service: Any) -> None:
    entry = entry_of(hosted(RUNS, namespace="models"), kind=SERVICE)
    before = proxy(routes={"chat": {"targets": [{"service": service}]}})
    told = updatable(told_of(before, kind=PROXY), kind=PROXY)
    assert changed(before, told, kind=PROXY, referred=lambda _: entry) == before


def test_a_service_that_is_gone_stays_what_it_was_while_nothing_else_is_said() -> None:
    before = proxy(routes={"chat": {"targets": [reference("models/qwen", model_names=["m"])]}})
    told = updatable(told_of(before, kind=PROXY), kind=PROXY)
    assert changed(before, told, kind=PROXY) == before


# -- refusals ------------------------------------------------------------------------------------


def nested(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(depth):
        tree = {"a": [tree]}
    return tree


REFUSALS: list[tuple[str, bool, dict[str, Any], list[str]]] = [
    # kind, whether it is an update, the body, what is said
    (SERVICE, False, {"modelServiceNam": "x"}, ["modelServiceNam: unknown field; did you mean"]),
    (SERVICE, False, {"nonsense": None}, ["nonsense: unknown field"]),
    (
        SERVICE,
        False,
        {"providerSettings": {"baseUrl": 3, "foo": 1}},
        ["providerSettings.baseUrl: must be text", "providerSettings.foo: unknown field"],
    ),
    (
        SERVICE,
        False,
        {"provider_settings": "x"},
        ["provider_settings: must be a map of fields"],
    ),
    (SERVICE, False, {"modelInfoConfigs": {}}, ["modelInfoConfigs: must be a list"]),
    (
        SERVICE,
        False,
        {"modelInfoConfigs": [{"modelName": "m", "modelProperties": {"contextSize": "big"}}]},
        ["modelInfoConfigs[0].modelProperties.contextSize: must be a whole number"],
    ),
    (SERVICE, False, {"modelType": "system"}, ["modelType: must be one of 'llm'"]),
    (
        SERVICE,
        False,
        {"networkConfiguration": {"networkMode": "PUBLIC"}},
        ["networkConfiguration.networkMode: PUBLIC is not available yet"],
    ),
    (
        SERVICE,
        False,
        {"description": "x", "Description": "y", "model_type": "llm", "modelType": "llm"},
        ["Description: unknown field", "modelType: stands there as model_type too"],
    ),
    (SERVICE, False, {"tags": {"a": 1}}, ["tags.a: must be text"]),
    (SERVICE, False, {"deployment": {"gpu": {"count": True}}}, ["must be a number, not true"]),
    (
        SERVICE,
        False,
        {"deployment": {"env": {"A-B": "x"}}},
        ["deployment.env.A-B: must be the name"],
    ),
    (SERVICE, False, {"replicas": 2}, ["replicas: is a field of the deployment"]),
    (SERVICE, False, {"tags": {1: "x"}}, ["tags: has a name that is no text"]),
    (SERVICE, False, {"\ud800": 1}, ["has a name that is no text"]),
    (SERVICE, False, {"description": "\ud800"}, ["description: must be text"]),
    (
        SERVICE,
        True,
        {"deployment": {"affinity": {"a": [float("inf")]}}},
        ["deployment.affinity.a[0]: must be a finite number"],
    ),
    (
        SERVICE,
        True,
        {"deployment": {"podOverrides": nested(5_000)}},
        ["deployment: is nested more than 64 levels deep"],
    ),
    (PROXY, True, nested(5_000), ["a: is nested more than 64 levels deep"]),
    (SERVICE, False, {"namespace": "x"}, ["namespace: is that of the caller"]),
    (SERVICE, False, {"wait": {}}, ["wait: is for pulumi up"]),
    (SERVICE, True, {"adopt": True}, ["adopt: is for create"]),
    (SERVICE, True, {"status": "READY"}, ["status: is an output"]),
    (SERVICE, True, {"accessName": "x"}, ["accessName: is an output"]),
    (SERVICE, True, {"modelServiceName": "other"}, ["model_service_name: cannot be changed"]),
    (PROXY, True, {"model_proxy_name": "other"}, ["model_proxy_name: cannot be changed"]),
    (PROXY, False, {"cpu": "500m"}, ["cpu: must be a number without a unit, not 500m"]),
    (PROXY, False, {"memory": "4Gi"}, ["memory: must be a number without a unit, not 4Gi"]),
    (PROXY, False, {"proxyConfig": []}, ["proxyConfig: must be a map of fields"]),
    (
        PROXY,
        False,
        {"proxyConfig": {"endpoints": [{"weight": "x", "modelName": "m"}]}},
        [
            "proxyConfig.endpoints[0].modelName: write `model_names`, a list",
            "proxyConfig.endpoints[0].weight: must be a whole number",
        ],
    ),
    (
        PROXY,
        True,
        {"apiKeys": {"alice": {"key": 5}, "bob": {"limits": {"rpm": -1}}}},
        ["apiKeys.alice.key: must be text", "apiKeys.bob.limits.rpm: must be at least 1"],
    ),
]


@pytest.mark.parametrize(("kind", "update", "body", "told"), REFUSALS)
def test_what_cannot_be_is_refused_by_the_name_the_caller_wrote(
    kind: str, update: bool, body: dict[str, Any], told: list[str]
) -> None:
    if update:
        before = proxy() if kind == PROXY else SPOKEN
        found = problems(lambda: changed(before, body, kind=kind))
    else:
        found = problems(lambda: snake_fields(body, kind=kind))
        declared = problems(lambda: declaration_of(body, kind=kind, scope=SCOPE, referred=nobody))
        assert declared == found
    assert len(found) == len(told)
    assert all(expected in each for each, expected in zip(found, told, strict=True)), found


def test_the_name_of_the_resource_itself_may_be_said_on_an_update() -> None:
    assert changed(SPOKEN, {"modelServiceName": "qwen"}) == SPOKEN


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("status", "status: is nothing that can be cleared"),
        ("model_service_name", "model_service_name: is nothing that can be cleared"),
        ("nonsense", "nonsense: unknown field"),
        ("provider_settings.nonsense", "provider_settings.nonsense: unknown field"),
        ("network_configuration.vpc_id", "network_configuration.vpc_id: is nothing that can be"),
        ("model_info_configs[0]", "model_info_configs[0]: is in a list"),
        ("description.x", "description: must be text"),
        ("", ": is nothing that can be cleared"),
    ],
)
def test_what_cannot_be_cleared_is_refused(name: str, told: str) -> None:
    (found,) = problems(lambda: changed(SPOKEN, {}, name))
    assert found.startswith(told.removeprefix(": "))


def test_all_problems_of_a_body_are_told_at_once_and_no_value_of_a_secret() -> None:
    body = {
        "providerSettings": {"apiKey": ["hush"], "baseUrl": 1},
        "deployment": {"secretEnv": {"A B": "hush", "C": 5}},
        "nonsense": "hush",
    }
    found = problems(lambda: snake_fields(body, kind=SERVICE))
    assert len(found) == 5
    assert "hush" not in " ".join(found)


@pytest.mark.parametrize("kind", sorted(TYPES))
@FEWER
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "proxyConfig",
                        "endpoints",
                        "routes",
                        "targets",
                        "service",
                        "policies",
                        "deployment",
                        "gpu",
                        "env",
                        "runtime",
                        "tags",
                        "apiKeys",
                        "key",
                        "a",
                        "providerSettings",
                        "modelNames",
                        "networkConfiguration",
                        "allowFrom",
                        "modelInfoConfigs",
                        "modelParameterRules",
                        "default",
                        "fallbacks",
                        "redis",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).filter(lambda tree: isinstance(tree, dict))
)
def test_any_body_is_read_or_refused_with_paths(kind: str, body: dict[str, Any]) -> None:
    for update in (False, True):
        try:
            fields = snake_fields(body, kind=kind, update=update)
        except SpecError as error:
            assert error.problems
            continue
        assert set(fields) <= set(FIELDS[kind])
        declaration = declaration_of(
            {} if update else fields, kind=kind, scope=SCOPE, referred=nobody
        )
        plan(declaration, of=type_of(kind))


@given(
    st.lists(
        st.integers(0, 9) | st.text(max_size=8).filter(lambda key: '"]' not in key), max_size=5
    )
)
def test_a_path_can_be_read_as_it_is_told(steps: list[str | int]) -> None:
    assert steps_of(dotted(tuple(steps))) == tuple(steps)


def test_a_key_that_is_no_name_is_cleared_by_null() -> None:
    odd = ("", "a.b", "c/d", 'e"f', "[0]", "g\nh")
    before = merged(SPOKEN, {"tags": dict.fromkeys(odd, "x")})
    fields = snake_fields({"tags": dict.fromkeys(odd)}, kind=SERVICE, update=True)
    assert changed(before, fields, *cleared_by(fields)) == SPOKEN


def test_paths_are_told_as_they_are_written_on_the_wire() -> None:
    declaration = declaration_of(
        {
            "model_proxy_name": "gw",
            "routes": {"some_name": {"targets": [{"base_url": "https://a.example.com/v1"}]}},
        },
        kind=PROXY,
        scope=SCOPE,
        referred=nobody,
    )
    error = SpecError("x", plan(declaration, of=type_of(PROXY)).problems)
    (problem,) = on_the_wire_named(error, kind=PROXY).problems
    assert problem.path == "routes.some_name.targets[0].modelName"
