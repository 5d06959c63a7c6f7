"""What a declaration will become, as far as it can be known beforehand.

Dimensions: kind of service x is everything known x is there a declaration in force, and which
renderer made its pods.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from declarations import (
    FULL_RUNTIME,
    UNKNOWN,
    declarations,
    external,
    hosted,
    is_unknown,
    with_unknowns,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelfleet.diff import diff, heaviest
from modelfleet.engines import ENGINES
from modelfleet.errors import SpecError
from modelfleet.plan import Plan, Rendered, plan, spec_of
from modelfleet.render import FIRST_RENDERER, RENDERER_VERSION, planned_of, pod_template_hash
from modelfleet.spec.fields import ChangeClass
from modelfleet.spec.merge import merged

NEWEST = ENGINES["vllm"].default_version
GPU = {"gpu": {"count": 2}, "replicas": 3}


def planned(
    inputs: Mapping[str, Any],
    prior: Mapping[str, Any] | None = None,
    rendered: Rendered | None = None,
) -> Plan:
    return plan(inputs, prior=prior, rendered=rendered, is_unknown=is_unknown, unknown=UNKNOWN)


def test_a_hosted_service_is_known_whole_before_it_exists() -> None:
    values = planned(hosted(GPU, workspace_id="team")).values
    assert len(values.pop("pod_template_hash")) == 10
    assert values == {
        "renderer_version": RENDERER_VERSION,
        "model_service_id": "default/qwen",
        "access_name": "team/qwen",
        "endpoint": "http://qwen.default.svc",
        "base_url": "http://qwen.default.svc/v1",
        "model_names": ["team/qwen"],
        "gpu_total": 6,
    }


def test_an_external_service_has_its_providers_address_and_no_pods() -> None:
    values = planned(external({"model_names": ["a"]})).values
    assert (values["base_url"], values["endpoint"]) == (
        "https://api.example.com/v1",
        "https://api.example.com",
    )
    assert (values["model_names"], values["gpu_total"]) == (["a"], 0)
    assert values["pod_template_hash"] == ""


def test_where_a_service_lives_is_written_out_since_others_refer_to_it() -> None:
    inputs = planned(hosted(GPU)).inputs
    assert (inputs["namespace"], inputs["cluster"]) == ("default", "default")
    assert planned(hosted(GPU, namespace="models")).inputs["namespace"] == "models"


def test_unset_and_absent_are_one_thing() -> None:
    inputs = planned(hosted({**GPU, "queue": None}, description=None)).inputs
    assert "description" not in inputs
    assert "queue" not in inputs["deployment"]


def test_with_problems_the_inputs_are_as_declared_and_nothing_is_known() -> None:
    inputs = hosted({**GPU, "replicas": -1, "queue": None}, namespace="Bad")
    result = planned(inputs)
    assert (result.inputs, result.values) == (inputs, {})
    assert [problem.path for problem in result.problems] == ["deployment.replicas", "namespace"]


def test_problems_of_engines_and_of_the_spec_come_together() -> None:
    inputs = hosted({"args": {"model": "mine"}, **GPU, "shm_gib": 99})
    assert [problem.path for problem in planned(inputs).problems] == [
        "deployment.args.model",
        "deployment.shm_gib",
    ]


# The engine's version


@pytest.mark.parametrize(
    ("declared", "prior", "version"),
    [
        pytest.param({}, None, NEWEST, id="a new service gets the newest"),
        pytest.param({}, {"runtime_version": "v0.11.1"}, "v0.11.1", id="and keeps it"),
        pytest.param(
            {"runtime_version": "v0.12.0"}, {"runtime_version": "v0.11.1"}, "v0.12.0", id="declared"
        ),
        pytest.param(
            {},
            {"runtime": FULL_RUNTIME},
            NEWEST,
            id="another engine was in force, whose version says nothing",
        ),
        pytest.param({}, {"runtime_version": UNKNOWN}, NEWEST, id="it was not known"),
    ],
)
def test_the_version_of_an_engine_is_fixed_at_creation(
    declared: dict[str, Any], prior: dict[str, Any] | None, version: str
) -> None:
    def unpinned(fields: Mapping[str, Any]) -> dict[str, Any]:
        return hosted({"runtime_version": None, **GPU, **fields})

    result = planned(unpinned(declared), None if prior is None else unpinned(prior))
    assert result.problems == ()
    assert result.inputs["deployment"]["runtime_version"] == version


def test_planning_what_was_planned_changes_nothing() -> None:
    first = planned(hosted({"runtime_version": None, **GPU}))
    assert planned(first.inputs, first.inputs) == first
    assert planned(hosted({"runtime_version": None, **GPU}), first.inputs) == first


def test_a_runtime_in_full_has_its_version_in_the_image() -> None:
    inputs = planned(hosted({"runtime_version": None, "runtime": FULL_RUNTIME})).inputs
    assert "runtime_version" not in inputs["deployment"]


# The renderer

OLDER = range(FIRST_RENDERER, RENDERER_VERSION)
EVERY_RENDERER = range(FIRST_RENDERER, RENDERER_VERSION + 1)


def running(declaration: Mapping[str, Any], renderer_version: int) -> Rendered:
    """Return what runs once ``declaration`` has been applied by that renderer."""
    spec = spec_of(planned(declaration).inputs)
    return Rendered(renderer_version, pod_template_hash(spec, renderer_version=renderer_version))


@pytest.mark.parametrize("renderer", OLDER)
@pytest.mark.parametrize(
    ("prior", "desired", "is_kept"),
    [
        pytest.param(hosted(GPU), hosted(GPU), True, id="nothing"),
        pytest.param(hosted(GPU), hosted({**GPU, "replicas": 9}), True, id="scaled"),
        pytest.param(hosted(GPU), hosted(GPU, tags={"team": "a"}), True, id="tagged"),
        pytest.param(hosted(GPU), hosted({**GPU, "cpu": 8}), False, id="pods replaced"),
        pytest.param(hosted(GPU), hosted(GPU, workspace_id="w"), False, id="told to the engine"),
        pytest.param(
            hosted({**GPU, "secret_env": {"A": "old"}}),
            hosted({**GPU, "secret_env": {"A": "new"}}),
            False,
            id="another secret, which pods read at start",
        ),
        pytest.param(external(), external({"model_names": ["a"]}), True, id="external"),
        pytest.param(external(), hosted(GPU), False, id="it had no pods"),
    ],
)
def test_a_service_keeps_its_renderer_until_its_pods_are_replaced_anyway(
    prior: dict[str, Any], desired: dict[str, Any], is_kept: bool, renderer: int
) -> None:
    values = planned(desired, prior, running(prior, renderer)).values
    assert values["renderer_version"] == (renderer if is_kept else RENDERER_VERSION)


IN_PLACE = st.fixed_dictionaries(
    {},
    optional={
        "description": st.sampled_from(["a", None]),
        "tags": st.sampled_from([{"team": "b"}, None]),
        "adopt": st.booleans(),
        "deployment": st.fixed_dictionaries(
            {},
            optional={
                "replicas": st.integers(0, 4),
                "strategy": st.sampled_from([{"type": "recreate"}, {"max_surge": 0}]),
            },
        ),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.data(), declarations, st.sampled_from(EVERY_RENDERER))
def test_a_change_in_place_keeps_pods_and_renderer_whichever_it_was(
    data: st.DataObject, prior: dict[str, Any], renderer: int
) -> None:
    change = data.draw(IN_PLACE)
    if "deployment" not in prior:
        change.pop("deployment", None)
    desired = data.draw(st.just(merged(prior, change)) | declarations)
    before = planned(prior)
    assume(not before.problems)
    rendered = running(prior, renderer)
    after = planned(desired, before.inputs, rendered)
    assume(not after.problems)
    if heaviest(diff(before.inputs, after.inputs)) in (None, ChangeClass.IN_PLACE):
        values = after.values
        assert Rendered(values["renderer_version"], values["pod_template_hash"]) == rendered


@settings(max_examples=40, deadline=None)
@given(declarations, declarations, st.sampled_from(EVERY_RENDERER))
def test_a_plan_is_of_the_prior_renderer_or_of_the_newest_and_is_stable(
    prior: dict[str, Any], desired: dict[str, Any], renderer: int
) -> None:
    before = planned(prior)
    assume(not before.problems)
    after = planned(desired, before.inputs, running(prior, renderer))
    assume(not after.problems)
    made = Rendered(after.values["renderer_version"], after.values["pod_template_hash"])
    assert made.renderer_version in (renderer, RENDERER_VERSION)
    assert made == running(after.inputs, made.renderer_version)
    assert planned(desired, after.inputs, made) == after


@pytest.mark.parametrize("renderer", OLDER)
def test_what_is_unknown_leaves_the_renderer_open_where_it_may_change(renderer: int) -> None:
    partial, rendered = hosted({**GPU, "cpu": UNKNOWN}), running(hosted(GPU), renderer)
    newest = running(hosted(GPU), RENDERER_VERSION)
    far = external({"model_names": UNKNOWN})
    values = [
        planned(each, prior, what).values["renderer_version"]
        for each, prior, what in (
            (partial, hosted(GPU), rendered),
            (partial, hosted(GPU), newest),
            (partial, None, None),
            (far, external(), running(external(), renderer)),
            (far, hosted(GPU), rendered),
        )
    ]
    assert is_unknown(values[0])
    assert values[1:] == [RENDERER_VERSION, RENDERER_VERSION, renderer, RENDERER_VERSION]


# Unknowns


@pytest.mark.parametrize(
    ("inputs", "unknown"),
    [
        (hosted(GPU, workspace_id=UNKNOWN), {"access_name", "model_names", "pod_template_hash"}),
        (
            hosted(GPU, namespace=UNKNOWN),
            {"model_service_id", "endpoint", "base_url", "pod_template_hash"},
        ),
        (hosted({**GPU, "env": {"A": UNKNOWN}}), {"pod_template_hash"}),
        (hosted({**GPU, "replicas": UNKNOWN}), {"gpu_total", "pod_template_hash"}),
        ({**hosted(), "deployment": UNKNOWN}, {"gpu_total", "pod_template_hash"}),
        (external({"base_url": UNKNOWN}), {"endpoint", "base_url", "model_names"}),
        (external({"api_key": UNKNOWN}), set()),
    ],
)
def test_what_depends_on_an_unknown_is_unknown_and_nothing_else(
    inputs: dict[str, Any], unknown: set[str]
) -> None:
    result = planned(inputs)
    assert result.problems == ()
    assert {name for name, value in result.values.items() if is_unknown(value)} == unknown


@settings(max_examples=60, deadline=None)
@given(st.data(), declarations, st.sampled_from(EVERY_RENDERER))
def test_what_is_planned_with_unknowns_stays_true_once_they_are_known(
    data: st.DataObject, declaration: dict[str, Any], renderer: int
) -> None:
    prior = planned(data.draw(declarations))
    assume(not prior.problems)
    rendered = data.draw(st.none() | st.just(running(prior.inputs, renderer)))
    whole = planned(declaration, prior.inputs, rendered)
    assume(not whole.problems)
    partial_declaration = data.draw(with_unknowns(declaration))

    partial = planned(partial_declaration, prior.inputs, rendered)

    assert partial.problems == ()
    for name, value in partial.values.items():
        assert is_unknown(value) or value == whole.values[name]


@settings(max_examples=40, deadline=None)
@given(st.data(), declarations, declarations)
def test_it_never_raises_and_changes_nothing_that_it_is_given(
    data: st.DataObject, declaration: dict[str, Any], prior: dict[str, Any]
) -> None:
    partial = data.draw(with_unknowns(declaration))
    before = repr(partial), copy.deepcopy(prior)
    planned(partial, prior)
    planned(partial)
    assert (repr(partial), prior) == before


@settings(max_examples=40, deadline=None)
@given(declarations)
def test_it_says_what_will_be_rendered(declaration: dict[str, Any]) -> None:
    result = planned(declaration)
    assume(not result.problems)
    newest = {"renderer_version": RENDERER_VERSION}
    assert result.values == planned_of(spec_of(result.inputs)) | newest


# spec_of


def test_a_spec_is_refused_with_every_problem() -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(hosted({**GPU, "replicas": -1, "args": {"model": "mine"}}))
    assert [problem.path for problem in caught.value.problems] == [
        "deployment.args.model",
        "deployment.replicas",
    ]
