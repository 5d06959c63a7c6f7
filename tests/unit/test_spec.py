"""The spec: every problem at once, in a user's words, whatever else is unknown or wrong."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from modelfleet.errors import Problem, SpecError
from modelfleet.spec import ModelServiceSpec, deployment, problems_of, service, spec_of
from modelfleet.spec.fields import ChangeClass, SpecModel, change_class, secret_name_and_key
from modelfleet.spec.merge import merged
from modelfleet.spec.refused import (
    NETWORK_MODE_INSTEAD,
    NETWORK_MODES_NOT_YET,
    REFUSED,
)
from modelfleet.spec.rules import SPEC_RULES
from modelfleet.spec.tree import UNKNOWN as UNKNOWN_VALUE
from modelfleet.spec.tree import dotted, model_at, value_at


class Unknown:
    """Like Pulumi's: truthy, equal to nothing."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()
HOSTED: dict[str, Any] = {
    "model_service_name": "qwen",
    "deployment": {"model": {"uri": "hf://org/model"}, "gpu": {}},
}
EXTERNAL: dict[str, Any] = {
    "model_service_name": "openai",
    "provider_settings": {"base_url": "https://api.example.com/v1"},
}
FULL = {"name": "engine", "image": "a/b:c"}


def is_unknown(value: object) -> bool:
    return isinstance(value, Unknown)


def problems(inputs: Mapping[str, Any]) -> list[str]:
    return [str(problem) for problem in problems_of(inputs, is_unknown=is_unknown)]


def hosted(fields: Mapping[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    return merged(HOSTED, {"deployment": fields or {}}, others)


# All at once


def test_six_mistakes_are_six_problems_sorted_by_path() -> None:
    inputs = {
        "model_service_name": "Qwen",
        "network_configuration": {"vpc_id": "vpc-1"},
        "deployment": {
            "model": {"uri": "ftp://host/model"},
            "gpu": {"count": 3},
            "parallelism": {"tensor": 2},
            "replicas": -1,
            "shm_gib": 16,
        },
    }
    found = problems_of(inputs)
    assert [problem.path for problem in found] == [
        "deployment.model.uri",
        "deployment.parallelism.tensor",
        "deployment.replicas",
        "deployment.shm_gib",
        "model_service_name",
        "network_configuration.vpc_id",
    ]
    with pytest.raises(SpecError) as raised:
        spec_of(inputs)
    assert raised.value.problems == tuple(found)
    assert str(raised.value).startswith("ModelService Qwen: deployment.model.uri: ftp:// is not")


def test_a_declaration_without_problems_becomes_a_spec() -> None:
    assert spec_of(HOSTED).hosted
    assert not spec_of(EXTERNAL).hosted


def test_a_whole_number_may_be_sent_as_a_float() -> None:
    spec = spec_of(hosted({"replicas": 3.0}))
    assert spec.deployment is not None
    assert repr(spec.deployment.replicas) == "3"


def test_unset_and_none_are_one_thing() -> None:
    nulled = hosted({"args": {}}, description=None) | {"tags": None, "workspace_id": None}
    assert spec_of(nulled) == spec_of(hosted({"args": {}}))


def test_a_spec_cannot_be_changed() -> None:
    spec = spec_of(HOSTED)
    with pytest.raises(ValidationError):
        spec.namespace = "other"


# Single fields


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, "model_service_name: is required"),
        ({"model_service_name": "q"}, "model_service_name: must have at least 2 characters"),
        ({"model_service_name": "1q"}, "model_service_name: must be lower-case letters, digits"),
        ({"model_service_name": "a" * 64}, "model_service_name: must have at most 63 characters"),
        ({"model_service_name": 5}, "model_service_name: must be text"),
        ({"namespace": "Models"}, "namespace: must be lower-case letters"),
        ({"model_type": "chat"}, "model_type: must be one of 'llm', 'text-embedding'"),
        ({"tags": ["a"]}, "tags: must be a map"),
        ({"adopt": "perhaps"}, "adopt: must be true or false"),
        ({"wait": {"timeout_seconds": 0}}, "wait.timeout_seconds: must be at least 1"),
        ({"wait": {"until": "done"}}, "wait.until: must be one of 'accepted', 'available' or"),
        ({"deployment": {"gpu": {}}}, "deployment.model: is required"),
        ({"deployment": {"model": "hf://a"}}, "deployment.model: must be a map of fields"),
        ({"deployment": {"replicas": 1.5}}, "deployment.replicas: must be a whole number"),
        ({"deployment": {"replicas": True}}, "deployment.replicas: must be a number, not true"),
        (
            {"deployment": {"memory_gib": "16Gi"}},
            "deployment.memory_gib: must be a number without a unit, not 16Gi",
        ),
        ({"deployment": {"cpu": "500m"}}, "deployment.cpu: must be a number without a unit"),
        ({"deployment": {"cpu": "four"}}, "deployment.cpu: must be a number"),
        ({"deployment": {"cpu": 0}}, "deployment.cpu: must be more than 0"),
        ({"deployment": {"cpu": float("inf")}}, "deployment.cpu: must be a finite number"),
        (
            {"deployment": {"gpu_memory_utilization": 1.5}},
            "deployment.gpu_memory_utilization: must be at most 1",
        ),
        ({"deployment": {"env": {"A-B": "x"}}}, "deployment.env.A-B: must be the name of an"),
        ({"deployment": {"env": {"A": {}}}}, "deployment.env.A.secret: is required"),
        ({"deployment": {"args": {"--x": 1}}}, 'deployment.args["--x"]: must be an engine option'),
        ({"deployment": {"args": {"x": {}}}}, "deployment.args.x: must be text, a number, true"),
        (
            {"deployment": {"node_selector": {"a/b.c": "?"}}},
            'deployment.node_selector["a/b.c"]: must be a Kubernetes label value',
        ),
        (
            {"deployment": {"tolerations": [{"operator": "Exist"}]}},
            "deployment.tolerations[0].operator: must be one of 'Exists' or 'Equal'",
        ),
        (
            {"deployment": {"runtime": {"name": "x1"}}},
            "deployment.runtime.image: is required",
        ),
        (
            {"provider_settings": {"base_url": "https://user:pw@host/v1"}},
            "provider_settings.base_url: must be an http:// or https:// URL without credentials",
        ),
        *(
            (
                {"provider_settings": {"base_url": base_url}},
                "provider_settings.base_url: must have a host, and as a port, if any, a number",
            )
            for base_url in ("http://:80/v1", "http://x:port", "http://x:65536", "http://[::1/v1")
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_path_and_what_it_must_be(
    inputs: dict[str, Any], expected: str
) -> None:
    start = {} if inputs == {} else HOSTED
    if "deployment" in inputs and inputs["deployment"].get("gpu") == {}:
        start = {"model_service_name": "qwen"}
    found = problems(merged(start, inputs))
    assert any(each.startswith(expected) for each in found), found


def test_no_problem_shows_the_value_of_a_secret() -> None:
    planted = "planted-secret-value"
    inputs = merged(
        HOSTED,
        {
            "provider_settings": {"api_key": [planted], "base_url": planted},
            "deployment": {"secret_env": {"A": {planted: planted}}},
        },
    )
    assert planted not in str(problems(inputs))
    assert planted not in repr(spec_of(hosted({"secret_env": {"A": planted}})))


# Fields that are not there


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"descripton": "x"}, "descripton: unknown field; did you mean `description`?"),
        ({"deployment": {"replica": 1}}, "deployment.replica: unknown field; did you mean"),
        ({"deployment": {"gpu": {"vram": 1}}}, "deployment.gpu.vram: unknown field"),
        ({"wait": {"timeout": 1}}, "wait.timeout: unknown field; did you mean `timeout_seconds`?"),
        (
            {"deployment": {"runtime": {**FULL, "prot": 1}}},
            "deployment.runtime.prot: unknown field; did you mean `port`?",
        ),
    ],
)
def test_an_unknown_field_is_an_error_with_the_nearest_name(
    inputs: dict[str, Any], expected: str
) -> None:
    (found,) = problems(merged(HOSTED, inputs))
    assert found.startswith(expected)


@pytest.mark.parametrize("path", sorted(REFUSED))
def test_a_field_that_is_not_for_kubernetes_or_not_yet_is_refused_with_the_reason(
    path: str,
) -> None:
    tree: Any = "x"
    for step in reversed(path.split(".")):
        tree = {step: tree}
    assert problems(merged(HOSTED, tree)) == [f"{path}: {REFUSED[path]}"]


@pytest.mark.parametrize("path", sorted(REFUSED))
def test_a_refused_field_stands_where_no_declared_one_does(path: str) -> None:
    *owner, name = path.split(".")
    model = model_at(ModelServiceSpec, tuple(owner))
    assert model is not None
    assert name not in model.model_fields


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ("network_configuration.network_mode", NETWORK_MODES_NOT_YET),
    ],
)
def test_a_value_that_is_not_built_yet_says_so(fields: str, values: tuple[str, ...]) -> None:
    for value in values:
        tree: Any = value
        for step in reversed(fields.split(".")):
            tree = {step: tree}
        (found,) = problems(merged(HOSTED, tree))
        assert found == f"{fields}: {value} is not available yet: {NETWORK_MODE_INSTEAD}"


# Rules between fields


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"model_service_name": "qwen"}, "declare either `deployment`"),
        (
            hosted(provider_settings={"base_url": "https://a.example/v1"}),
            "provider_settings.base_url: a service with a `deployment` runs on Kubernetes",
        ),
        (
            merged(EXTERNAL, {"credential_name": "s", "provider_settings": {"api_key": "k"}}),
            "credential_name: excludes provider_settings.api_key",
        ),
        (hosted(credential_name="s"), "credential_name: belongs to an external provider"),
        (
            hosted(provider_settings={"api_key": "k"}),
            "provider_settings.api_key: belongs to an external provider",
        ),
        (
            hosted({"runtime": FULL, "runtime_version": "v1"}),
            "deployment.runtime_version: belongs to built-in engines",
        ),
        (
            hosted({"gpu": None, "parallelism": {"tensor": 2}}),
            "deployment.parallelism: needs GPUs",
        ),
        (
            hosted({"gpu": {"count": 4}, "parallelism": {"tensor": 3}}),
            "deployment.parallelism.tensor: tensor 3 x pipeline 1 = 3, but",
        ),
        (
            hosted({"gpu": {"count": 4}, "parallelism": {"pipeline": 3}}),
            "deployment.parallelism.pipeline: 3 does not divide",
        ),
        (
            hosted({"env": {"A": "1"}, "secret_env": {"A": "2"}}),
            "deployment.env.A: stands in secret_env too",
        ),
        (hosted({"shm_gib": 16}), "deployment.shm_gib: 16 GiB counts against"),
        (
            hosted({"strategy": {"type": "recreate", "max_surge": 1}}),
            "deployment.strategy.max_surge: has no meaning with type recreate",
        ),
        (
            hosted({"strategy": {"max_surge": 0, "max_unavailable": 0}}),
            "deployment.strategy: with max_surge 0 and max_unavailable 0 no pod",
        ),
        (
            hosted({"tolerations": [{"operator": "Equal", "value": "x"}]}),
            "deployment.tolerations[0].key: is required",
        ),
        (
            hosted({"tolerations": [{"key": "k", "value": "x"}]}),
            "deployment.tolerations[0].value: has no meaning",
        ),
        (
            hosted({"affinity": {"node": {}}}),
            "deployment.affinity.node: unknown field; must be one of nodeAffinity",
        ),
        (hosted({"affinity": {"podAffinity": 1}}), "deployment.affinity.podAffinity: must be a"),
        (
            hosted(
                {
                    "affinity": {
                        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}
                    }
                }
            ),
            "deployment.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution: must",
        ),
    ],
)
def test_fields_that_contradict_each_other_are_one_problem(
    inputs: dict[str, Any], expected: str
) -> None:
    (found,) = problems(inputs)
    assert found.startswith(expected)


def test_a_rule_keeps_silent_where_its_fields_are_wrong_by_themselves() -> None:
    found = problems(hosted({"gpu": {"count": "many"}, "parallelism": {"tensor": 3}}))
    assert found == ["deployment.gpu.count: must be a whole number"]


# Unknowns


@pytest.mark.parametrize(
    "inputs",
    [
        {"model_service_name": UNKNOWN, "deployment": UNKNOWN},
        merged(HOSTED, {"model_service_name": UNKNOWN, "tags": {"a": UNKNOWN}}),
        merged(HOSTED, {"provider_settings": {"base_url": UNKNOWN}}),
        hosted({"model": UNKNOWN}),
        hosted({"model": {"uri": UNKNOWN, "revision": "r"}}),
        hosted({"gpu": {"count": UNKNOWN}, "parallelism": {"tensor": 3}}),
        hosted({"runtime": UNKNOWN, "runtime_version": "v1"}),
        hosted({"runtime": {**FULL, "image": UNKNOWN}}),
        hosted({"env": {"A": UNKNOWN, "B": {"secret": UNKNOWN}}}),
        hosted({"args": {"a": UNKNOWN, "b": [1, UNKNOWN]}}),
        hosted({"tolerations": [{"key": UNKNOWN}]}),
        hosted({"affinity": {"podAffinity": UNKNOWN}}),
        {"model_service_name": UNKNOWN},
    ],
)
def test_unknown_values_are_no_problem_at_any_depth(inputs: dict[str, Any]) -> None:
    expected = [] if "deployment" in inputs or "provider_settings" in inputs else ["declare"]
    assert [each.partition(" ")[0] for each in problems(inputs)] == expected


def test_problems_are_found_beside_unknowns() -> None:
    inputs = hosted(
        {
            "model": {"uri": UNKNOWN, "revison": "r"},
            "replicas": -1,
            "gpu": {"count": 4, "product": UNKNOWN},
            "parallelism": {"tensor": 3},
            "env": {"A": UNKNOWN, "B-": "x", "C-": UNKNOWN},
        },
        namespace=UNKNOWN,
        provider_settings={"base_url": "https://api.example.com/v1"},
    )
    assert [each.partition(": ")[0] for each in problems(inputs)] == [
        "deployment.env.B-",
        "deployment.env.C-",
        "deployment.model.revison",
        "deployment.parallelism.tensor",
        "deployment.replicas",
        "provider_settings.base_url",
    ]


PLACES = [
    ("model_service_name",),
    ("namespace",),
    ("tags",),
    ("deployment",),
    ("deployment", "model"),
    ("deployment", "model", "uri"),
    ("deployment", "gpu"),
    ("deployment", "gpu", "count"),
    ("deployment", "runtime"),
    ("deployment", "env"),
    ("deployment", "env", "A"),
    ("deployment", "args", "x"),
    ("deployment", "parallelism", "tensor"),
]


@given(places=st.sets(st.sampled_from(PLACES)))
@settings(max_examples=60, deadline=None)
def test_a_sound_declaration_stays_sound_wherever_unknowns_stand(
    places: set[tuple[str, ...]],
) -> None:
    inputs = hosted(
        {
            "runtime": "vllm",
            "gpu": {"count": 2},
            "parallelism": {"tensor": 2},
            "env": {"A": "x"},
            "args": {"x": 1},
        },
        namespace="models",
        tags={"a": "b"},
    )
    for place in sorted(places, key=len, reverse=True):
        owner = inputs
        for step in place[:-1]:
            owner = owner[step]
        owner[place[-1]] = UNKNOWN
    assert problems(inputs) == []


def test_a_value_below_an_unknown_is_unknown_and_an_absent_one_is_its_default() -> None:
    def at(*path: str, tree: Any) -> Any:
        return value_at(tree, path, model=ModelServiceSpec, is_unknown=is_unknown)

    assert at("deployment", "gpu", "count", tree={"deployment": UNKNOWN}) is UNKNOWN_VALUE
    assert at("deployment", "gpu", "count", tree={"deployment": {"gpu": {}}}) == 1
    assert at("deployment", "gpu", "count", tree={"deployment": {}}) is None
    assert at("deployment", "replicas", tree={}) is None
    assert at("wait", "until", tree={}) == "available"
    assert at("deployment", "env", tree={"deployment": {"env": {"A": UNKNOWN}}}) is UNKNOWN_VALUE


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a", "b_c", 0, "d-e"), "a.b_c[0].d-e"),
        (("a", "example.com/x", "b"), 'a["example.com/x"].b'),
    ],
)
def test_a_path_is_written_as_users_write_it(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text


# Merging of base=


@pytest.mark.parametrize(
    ("declarations", "result"),
    [
        ([{}], {}),
        ([{"a": 1}, {"a": 2}], {"a": 2}),
        ([{"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}], {"a": {"b": 1, "c": 3}}),
        ([{"a": [1, 2]}, {"a": [3]}], {"a": [3]}),
        ([{"a": {"b": 1}}, {"a": "text"}], {"a": "text"}),
        ([{"a": "text"}, {"a": {"b": 1}}], {"a": {"b": 1}}),
        ([{"a": {"b": 1}}, {"a": None}], {}),
        ([{"a": {"b": 1, "c": 2}}, {"a": {"b": None}}], {"a": {"c": 2}}),
        ([{"a": None}], {}),
        ([{"a": 1}, {"b": 2}, {"a": 3}], {"a": 3, "b": 2}),
    ],
)
def test_later_declarations_win_and_maps_are_merged_key_by_key(
    declarations: list[dict[str, Any]], result: dict[str, Any]
) -> None:
    assert merged(*declarations) == result


def test_merging_leaves_its_arguments_as_they_were() -> None:
    base, own = {"a": {"b": 1}}, {"a": {"c": 2}}
    result = merged(base, own)
    result["a"]["d"] = 3
    assert (base, own) == ({"a": {"b": 1}}, {"a": {"c": 2}})


# Every field


def models() -> Iterator[type[SpecModel]]:
    for module in (service, deployment):
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


def test_change_classes_are_ordered_from_harmless_to_heavy() -> None:
    heavy = ["in_place", "rolling", "recreate", "replace"]
    assert [each.value for each in sorted(ChangeClass, key=lambda each: each.weight)] == heavy


def test_names_that_are_part_of_the_address_replace_the_service() -> None:
    replaced = {
        name
        for name, field in ModelServiceSpec.model_fields.items()
        if change_class(field) is ChangeClass.REPLACE
    }
    assert replaced == {"model_service_name", "namespace", "cluster"}


def test_every_rule_looks_at_fields_that_exist() -> None:
    for each in SPEC_RULES:
        for path in each.paths:
            *owner, name = path.split(".")
            model = model_at(ModelServiceSpec, tuple(owner))
            assert model is not None, path
            assert name in model.model_fields, path


@pytest.mark.parametrize(
    ("reference", "name", "key"), [("s", "s", "api_key"), ("s/k", "s", "k"), ("s/", "s", "api_key")]
)
def test_a_secret_is_named_with_or_without_its_key(reference: str, name: str, key: str) -> None:
    assert secret_name_and_key(reference) == (name, key)


def test_a_problem_of_the_whole_declaration_has_no_path() -> None:
    assert str(Problem("", "is wrong")) == "is wrong"
    assert str(Problem("a.b", "is wrong")) == "a.b: is wrong"
