"""The spec of a proxy: its fields one by one, in a user's words, and what it cannot become."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from declarations import UNKNOWN, is_unknown
from proxy_declarations import PROXY, SECRET, problems, proxy, route
from pydantic import BaseModel

from modelfleet.errors import SpecError
from modelfleet.plan import plan
from modelfleet.resource_types import MODEL_PROXY
from modelfleet.spec import ModelProxySpec, api_keys, policies, routing, spec_of
from modelfleet.spec import proxy as proxy_module
from modelfleet.spec.fields import ChangeClass, SpecModel, change_class
from modelfleet.spec.policies import GuardrailConfig
from modelfleet.spec.routing import Route, Target
from modelfleet.spec.tree import model_at

# All at once


def test_many_mistakes_are_as_many_problems_sorted_by_path() -> None:
    inputs = {
        "model_proxy_name": "Gateway",
        "cpu": "2 cores",
        "routes": {
            "a b": route("chat"),
            "ok": {"targets": [{"service": "Chat", "weight": -1}, {"base_url": "ftp://x"}]},
            "none": {"targets": []},
        },
        "api_keys": {"x": {"key": 5, "expires_at": "tomorrow"}},
        "network_configuration": {"vpc_id": "vpc-1"},
    }
    assert problems(inputs) == sorted(problems(inputs))
    with pytest.raises(SpecError) as raised:
        spec_of(inputs, model=ModelProxySpec)
    assert [each.path for each in raised.value.problems] == [
        "api_keys.x.expires_at",
        "api_keys.x.key",
        "cpu",
        "model_proxy_name",
        "network_configuration.vpc_id",
        "routes.none.targets",
        "routes.ok.targets[0].service",
        "routes.ok.targets[0].weight",
        "routes.ok.targets[1].base_url",
        'routes["a b"]',
    ]
    assert str(raised.value).startswith("ModelProxy Gateway: api_keys.x.expires_at: must be a time")


def test_agentrun_s_defaults_are_ours() -> None:
    spec = spec_of(PROXY, model=ModelProxySpec)
    assert (spec.cpu, spec.memory, spec.proxy_mode) == (2, 4096, None)


def test_the_declaration_is_left_as_it_is() -> None:
    inputs = proxy(proxy_config={"endpoints": [{"model_service_name": "chat"}]})
    before = repr(inputs)
    assert spec_of(inputs, model=ModelProxySpec).proxy_mode is None
    assert repr(inputs) == before


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model_proxy_name": "g"}, "model_proxy_name: must have at least 2 characters"),
        ({"model_proxy_name": "g" * 58}, "model_proxy_name: must have at most 57 characters"),
        ({"memory": "4Gi"}, "memory: must be a number without a unit, not 4Gi"),
        ({"memory": 4}, "memory: is 4 MiB, and with cpu 2 its 1 process needs 768 MiB"),
        ({"cpu": 0}, "cpu: must be more than 0"),
        ({"replicas": -1}, "replicas: must be at least 0"),
        ({"litellm_version": "latest"}, "litellm_version: must be a release of LiteLLM such as"),
        ({"litellm_version": "v1.108.10"}, "litellm_version: must be a release of LiteLLM"),
        ({"proxy_mode": "both"}, "proxy_mode: must be one of 'single' or 'multi'"),
        ({"limit_scope": "pod"}, "limit_scope: must be one of 'proxy' or 'replica'"),
        ({"routes": {"a": route("a/b/c")}}, "routes.a.targets[0].service: must be the name of a"),
        ({"routes": {"a": {}}}, "routes.a.targets: is required"),
        ({"routes": {"a": {"targets": []}}}, "routes.a.targets: must not be empty"),
        ({"routes": {"a": route({"service": {}})}}, "routes.a.targets[0].service.id: is required"),
        ({"policies": {"num_retries": 11}}, "policies.num_retries: must be at most 10"),
        ({"policies": {"request_timeout": 0}}, "policies.request_timeout: must be at least 1"),
        (
            {"policies": {"token_rate_limiter": {"tps": 0}}},
            "policies.token_rate_limiter.tps: must be at least 1",
        ),
        ({"redis": {"host": "redis://r"}}, "redis.host: must be the name or the IPv4 address"),
        (
            {"redis": {"host": "r", "on_failure": "open"}},
            "redis.on_failure: must be one of 'closed' or 'per_replica'",
        ),
        (
            {"api_keys": {"x": {"generate": {}, "expires_at": "2027-01-01T00:00:00"}}},
            "api_keys.x.expires_at: must be a time with its zone, such as 2027-01-31T12:00:00Z",
        ),
        (
            {"api_keys": {"x": {"generate": {"rotation": 0}}}},
            "api_keys.x.generate.rotation: must be at least 1",
        ),
        (
            {"api_keys": {"x": {"generate": {}, "models": {"allow": ["a b"]}}}},
            "api_keys.x.models.allow[0]: must be an access name, in which * stands",
        ),
        ({"api_keys": {"x y": {"generate": {}}}}, 'api_keys["x y"]: must be letters, digits'),
        (
            {"network_configuration": {"network_mode": "PUBLIC"}},
            "network_configuration.network_mode: PUBLIC is not available yet: leave it out or set "
            "PRIVATE, and publish the Service by an Ingress of your own",
        ),
    ],
)
def test_a_field_says_what_it_must_be(fields: dict[str, Any], expected: str) -> None:
    (found,) = problems(proxy(**fields))
    assert found.startswith(expected)


@pytest.mark.parametrize(
    "name",
    ["chat", "team/chat", "org/Model-7B.Q4_0:latest", "gpt-4o", "u-0123456789ab/chat"],
)
def test_a_public_name_may_be_any_that_clients_send(name: str) -> None:
    assert problems(proxy(routes={name: route("chat")})) == []


def test_an_item_that_is_wrong_does_not_make_its_list_too_short() -> None:
    assert problems(proxy(routes={"a": {"targets": [UNKNOWN]}})) == []
    (found,) = problems(proxy(routes={"a": {"targets": [5]}}))
    assert found.startswith("routes.a.targets[0]: ")


def test_a_key_is_a_secret_wherever_it_is_shown() -> None:
    spec = spec_of(proxy(api_keys={"x": {"key": SECRET}}), model=ModelProxySpec)
    assert SECRET not in repr(spec)
    assert spec.secret_values == (SECRET,)


# What is refused, and where it stands instead


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"numRetries": 3}, "numRetries: stands elsewhere: set policies.num_retries"),
        ({"weight": 3}, "weight: stands elsewhere: set routes.<name>.targets[].weight"),
        ({"litellmVersion": "1"}, "litellmVersion: write it in snake_case: `litellm_version`"),
        ({"deployment": {}}, "deployment: is a field of a ModelService: a proxy runs no model"),
        ({"gpu": {}}, "gpu: is a field of a ModelService"),
        ({"provider_settings": {}}, "provider_settings: is a field of a ModelService"),
        ({"replica": 2}, "replica: unknown field; did you mean `replicas`?"),
        ({"wait": {"timeout": 5}}, "wait.timeout: unknown field; did you mean `timeout_seconds`?"),
        ({"redis": {"managed": True, "version": 7}}, "redis.version: unknown field"),
        (
            {"routes": {"x.y/z": route("chat", weight=5)}},
            'routes["x.y/z"].weight: stands elsewhere: set targets[].weight',
        ),
        (
            {"routes": {"a": route({"service": "chat", "num_retries": 5})}},
            "routes.a.targets[0].num_retries: is a policy, of a route or of the proxy",
        ),
        (
            {"routes": {"a": route({"service": {"id": "chat", "contextSize": 5}})}},
            "routes.a.targets[0].service.contextSize: write it in snake_case: `context_size`",
        ),
        (
            {"api_keys": {"x": {"generate": {}, "rpm": 5}}},
            "api_keys.x.rpm: stands elsewhere: set limits.rpm",
        ),
    ],
)
def test_a_name_in_the_wrong_place_is_sent_to_its_own(
    fields: dict[str, Any], expected: str
) -> None:
    (found,) = problems(proxy(**fields))
    assert found.startswith(expected)


# What is documented


class _NamesAsText(ast.NodeTransformer):
    """What a program passes as a resource is named instead."""

    def visit_Name(self, node: ast.Name) -> ast.Constant:
        return ast.Constant(node.id)


def documented() -> Iterator[dict[str, Any]]:
    """Yield the proxies that the page on proxies declares; its services by their names."""
    page = Path(__file__).parents[2] / "docs" / "model-proxy.md"
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for call in ast.walk(ast.parse(block)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "ModelProxy":
                plain = _NamesAsText().visit(call)
                fields = {each.arg: ast.literal_eval(each.value) for each in plain.keywords}
                yield {"model_proxy_name": ast.literal_eval(call.args[0]), **fields}


def test_every_proxy_in_the_documentation_has_no_problem() -> None:
    shown = list(documented())
    assert len(shown) == 2
    for inputs in shown:
        assert problems(inputs) == []


# What it cannot become


def since(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    found = plan(
        proxy(redis=after),
        of=MODEL_PROXY,
        prior=proxy(redis=before),
        is_unknown=is_unknown,
        unknown=UNKNOWN,
    )
    return [str(problem) for problem in found.problems]


@pytest.mark.parametrize("size", [1, 5])
def test_the_disk_of_a_managed_redis_stays_as_it_is(size: float) -> None:
    (found,) = since({"managed": True, "storage_gib": 2}, {"managed": True, "storage_gib": size})
    assert found.startswith("redis.storage_gib: cannot change: the disk was made with 2")
    (found,) = since({"managed": True}, {"managed": True, "storage_class": "fast"})
    assert found.startswith("redis.storage_class: cannot change: the disk was made with unset")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"managed": True}, {"managed": True, "storage_gib": 1.0}),
        ({"managed": True}, {"managed": True, "storage_gib": UNKNOWN}),
        ({"managed": True, "storage_gib": 5}, {"host": "r"}),
        ({"host": "r"}, {"managed": True, "storage_gib": 5}),
    ],
)
def test_another_redis_has_another_disk(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert since(before, after) == []


# Every field


def models() -> Iterator[type[SpecModel]]:
    for module in (proxy_module, routing, policies, api_keys):
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, SpecModel) and value.__module__ == module.__name__:
                yield value


@pytest.mark.parametrize("model", list(models()), ids=lambda model: model.__name__)
def test_every_field_says_what_it_is_for_and_what_changing_it_means(
    model: type[BaseModel],
) -> None:
    for name, field in model.model_fields.items():
        assert change_class(field) is not None, f"{model.__name__}.{name} has no change class"
        assert field.description, f"{model.__name__}.{name} has no documentation"
        assert field.description.rstrip("`)").endswith("."), f"{model.__name__}.{name}"


def test_only_where_a_proxy_is_replaces_it() -> None:
    fields = {
        name
        for name, field in ModelProxySpec.model_fields.items()
        if change_class(field) is ChangeClass.REPLACE
    }
    assert fields == {"model_proxy_name", "namespace", "cluster"}
    nested = [field for model in models() for field in model.model_fields.values()]
    replacing = [field for field in nested if change_class(field) is ChangeClass.REPLACE]
    assert len(replacing) == len(fields)


def test_keys_reach_running_pods() -> None:
    for model in models():
        if model.__module__ == api_keys.__name__:
            for field in model.model_fields.values():
                assert change_class(field) is ChangeClass.IN_PLACE


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ((), ModelProxySpec),
        (("routes", "any.name"), Route),
        (("routes", "targets", "targets", 0), Target),
        (("routes", "a", "policies", "ai_guardrail_config"), GuardrailConfig),
        (("api_keys", "limits", "limits"), api_keys.KeyLimits),
        (("tags", "a"), None),
        (("routes", "a", "nothing", "targets"), None),
    ],
)
def test_a_model_is_found_below_maps_whatever_their_keys(
    path: tuple[str | int, ...], model: type[BaseModel] | None
) -> None:
    assert model_at(ModelProxySpec, path) is model
