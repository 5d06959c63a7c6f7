"""Changes between two declarations: which, what they do to pods, and how they are told.

Dimensions: kind of value (scalar, map, list, secret, whole section) x known or not x what the
strategy and the replicas make of it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from declarations import (
    FULL_RUNTIME,
    HOSTED,
    UNKNOWN,
    declarations,
    external,
    hosted,
    hosted_declarations,
    is_unknown,
    with_unknowns,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelfleet.diff import Change, diff, heaviest
from modelfleet.render import pod_template_of
from modelfleet.resource_types import has_downtime
from modelfleet.spec import ModelServiceSpec
from modelfleet.spec.fields import ChangeClass
from modelfleet.spec.tree import pruned

IN_PLACE, ROLLING = ChangeClass.IN_PLACE, ChangeClass.ROLLING
RECREATE, REPLACE = ChangeClass.RECREATE, ChangeClass.REPLACE


def told(prior: Mapping[str, Any], desired: Mapping[str, Any]) -> list[str]:
    return [str(change) for change in diff(prior, desired, is_unknown=is_unknown)]


def classes(prior: Mapping[str, Any], desired: Mapping[str, Any]) -> dict[str, ChangeClass]:
    return {each.path: each.change for each in diff(prior, desired, is_unknown=is_unknown)}


def template(declaration: Mapping[str, Any]) -> dict[str, Any]:
    return pod_template_of(ModelServiceSpec.model_validate(pruned(declaration)))


# What is told


@pytest.mark.parametrize(
    ("prior", "desired", "expected"),
    [
        pytest.param(
            hosted({"replicas": 2}),
            hosted({"replicas": 3}),
            ["deployment.replicas 2 → 3"],
            id="a number",
        ),
        pytest.param(
            hosted(), hosted({"cpu": 6.5}), ["deployment.cpu 4 → 6.5"], id="a default was in force"
        ),
        pytest.param(
            hosted(description="a"), hosted(), ["description a → (unset)"], id="taken away"
        ),
        pytest.param(
            hosted({"env": {"A": "1", "B": "x"}}),
            hosted({"env": {"A": "1", "C": 8}}),
            ["deployment.env.B x → (unset)", "deployment.env.C (unset) → 8"],
            id="keys of a map",
        ),
        pytest.param(
            hosted({"args": {"max-num-seqs": 64, "enforce-eager": True}}),
            hosted({"args": {"enforce-eager": False}}),
            [
                "deployment.args.enforce-eager true → false",
                "deployment.args.max-num-seqs 64 → (unset)",
            ],
            id="options",
        ),
        pytest.param(
            hosted({"node_selector": {"example.com/pool": "a"}}),
            hosted({"node_selector": {"example.com/pool": "b"}}),
            ['deployment.node_selector["example.com/pool"] a → b'],
            id="a key with dots and slashes",
        ),
        pytest.param(
            hosted({"tolerations": [{"key": "a"}, {"key": "b"}]}),
            hosted({"tolerations": [{"key": "b"}]}),
            [
                "deployment.tolerations [{key: a, operator: Exists}, {key: b, operator: Exists}] "
                "→ [{key: b, operator: Exists}]"
            ],
            id="a list is one value",
        ),
        pytest.param(
            hosted(),
            hosted({"gpu": {"count": 2}}),
            ["deployment.gpu (unset) → {vendor: nvidia, count: 2}"],
            id="a whole section",
        ),
        pytest.param(
            hosted({"runtime": FULL_RUNTIME, "runtime_version": None}, description="a" * 61),
            hosted({"runtime": FULL_RUNTIME, "runtime_version": None}, description="b" * 60),
            [f"description {'a' * 59}… → {'b' * 60}"],
            id="cut where it is long",
        ),
        pytest.param(
            hosted(),
            external(),
            [
                "deployment hosted → external",
                "provider_settings (unset) → {base_url: https://api.example.com/v1}",
            ],
            id="hosted becomes external",
        ),
        pytest.param(
            hosted(model_type="llm"),
            hosted(model_type="rerank"),
            ["model_type llm → rerank"],
            id="an enumeration",
        ),
    ],
)
def test_a_change_is_told_by_its_field_with_both_values(
    prior: dict[str, Any], desired: dict[str, Any], expected: list[str]
) -> None:
    assert told(prior, desired) == expected


@pytest.mark.parametrize(
    ("prior", "desired"),
    [
        (hosted({"replicas": 2}), hosted({"replicas": 2.0})),
        (hosted({"replicas": 1}), hosted()),
        (hosted({"args": {"max-num-seqs": 64}}), hosted({"args": {"max-num-seqs": 64.0}})),
        (hosted({"env": {"PORT": 8.0}}), hosted({"env": {"PORT": "8"}})),
        (hosted({"gpu": {"count": 1}}), hosted({"gpu": {}})),
        (hosted({"affinity": {"a": [1]}}), hosted({"affinity": {"a": [1.0]}})),
        (hosted({"tolerations": []}), hosted({"tolerations": None})),
        (hosted({"tolerations": ({"key": "a"},)}), hosted({"tolerations": [{"key": "a"}]})),
    ],
)
def test_what_means_the_same_is_no_change(prior: dict[str, Any], desired: dict[str, Any]) -> None:
    assert diff(prior, desired) == []


def test_an_option_that_was_1_and_is_true_has_changed() -> None:
    prior, desired = ({"args": {"enforce-eager": value}} for value in (1, True))
    assert told(hosted(prior), hosted(desired)) == ["deployment.args.enforce-eager 1 → true"]


SECRET = "hunter2-do-not-print"


@pytest.mark.parametrize(
    ("prior", "desired", "path"),
    [
        (
            external({"api_key": "other-secret"}),
            external({"api_key": SECRET}),
            "provider_settings.api_key",
        ),
        (external(), external({"api_key": SECRET}), "provider_settings.api_key"),
        (hosted(), external({"api_key": SECRET}), "provider_settings"),
        (hosted(), hosted({"secret_env": {"A": SECRET}}), "deployment.secret_env.A"),
        (
            hosted({"secret_env": {"A": SECRET}}),
            hosted({"secret_env": {"A": "x"}}),
            "deployment.secret_env.A",
        ),
        (hosted({"secret_env": {"A": SECRET, "B": "x"}}), hosted(), "deployment.secret_env.A"),
        (hosted({"secret_env": {"A": SECRET}}), external(), "deployment"),
        (
            hosted({"model": {"uri": UNKNOWN}, "secret_env": {"A": SECRET}}),
            external({"api_key": SECRET}),
            "provider_settings",
        ),
        (
            hosted(),
            hosted({"model": {"uri": UNKNOWN}, "secret_env": {"A": SECRET, "B": UNKNOWN}}),
            "deployment.secret_env.A",
        ),
    ],
)
def test_no_value_of_a_secret_is_told_wherever_it_stands(
    prior: dict[str, Any], desired: dict[str, Any], path: str
) -> None:
    for one, other in ((prior, desired), (desired, prior)):
        changes = diff(one, other, is_unknown=is_unknown)
        assert path in [change.path for change in changes]
        assert SECRET not in str(changes)


# What it does to pods


@pytest.mark.parametrize(
    ("prior", "desired", "expected"),
    [
        pytest.param({"replicas": 2}, {"replicas": 3}, IN_PLACE, id="scaled"),
        pytest.param({"cpu": 4}, {"cpu": 8}, ROLLING, id="one replica surges"),
        pytest.param({"replicas": 3}, {"replicas": 3, "cpu": 8}, ROLLING, id="one at a time"),
        pytest.param(
            {"strategy": {"type": "recreate"}},
            {"strategy": {"type": "recreate"}, "cpu": 8},
            RECREATE,
            id="recreated",
        ),
        pytest.param({}, {"strategy": {"type": "recreate"}}, IN_PLACE, id="only the strategy"),
        pytest.param(
            {},
            {"strategy": {"type": "recreate"}, "cpu": 8},
            RECREATE,
            id="the new strategy applies",
        ),
        pytest.param(
            {}, {"strategy": {"max_surge": 0}, "cpu": 8}, RECREATE, id="one replica, no surge"
        ),
        pytest.param(
            {},
            {"strategy": {"max_surge": 1, "max_unavailable": 1}, "cpu": 8},
            RECREATE,
            id="one replica may be missing",
        ),
        pytest.param(
            {"replicas": 2},
            {"replicas": 2, "strategy": {"max_unavailable": 2}, "cpu": 8},
            RECREATE,
            id="all replicas may be missing",
        ),
        pytest.param({"replicas": 0}, {"cpu": 8}, ROLLING, id="it was stopped"),
        pytest.param({}, {"replicas": 0, "cpu": 8}, ROLLING, id="it is stopped"),
        pytest.param(
            {"startup_seconds": 1800}, {"startup_seconds": 1801}, ROLLING, id="never below its own"
        ),
    ],
)
def test_the_class_follows_from_field_strategy_and_replicas(
    prior: dict[str, Any], desired: dict[str, Any], expected: ChangeClass
) -> None:
    assert heaviest(diff(hosted(prior), hosted(desired))) is expected


def test_a_field_that_is_harmless_in_itself_rolls_the_pods_it_reaches() -> None:
    assert classes(hosted(), hosted(workspace_id="w")) == {"workspace_id": ROLLING}
    assert classes(external(), external(workspace_id="w")) == {"workspace_id": IN_PLACE}


def test_each_change_has_a_class_of_its_own() -> None:
    changed = hosted({"replicas": 2, "cpu": 8}, description="b", namespace="other")
    assert classes(hosted(), changed) == {
        "deployment.cpu": ROLLING,
        "deployment.replicas": IN_PLACE,
        "description": IN_PLACE,
        "namespace": REPLACE,
    }


@pytest.mark.parametrize(("prior", "desired"), [(hosted(), external()), (external(), hosted())])
def test_hosted_and_external_replace_one_another(
    prior: dict[str, Any], desired: dict[str, Any]
) -> None:
    assert classes(prior, desired)["deployment"] is REPLACE


def test_hosted_replaces_external_also_while_its_model_is_unknown() -> None:
    changes = classes(external(), hosted({"model": {"uri": UNKNOWN}}))
    assert changes["deployment"] is REPLACE
    assert "deployment.model.uri" not in changes


def test_nothing_is_the_lightest_change() -> None:
    assert heaviest([]) is None


def test_a_state_of_another_release_is_compared_field_by_field() -> None:
    prior = hosted({"field_of_yesterday": 1, "cpu": 4})
    assert classes(prior, hosted({"cpu": 8})) == {
        "deployment.cpu": ROLLING,
        "deployment.field_of_yesterday": IN_PLACE,
    }


@settings(max_examples=40, deadline=None)
@given(hosted_declarations, hosted_declarations)
def test_changes_in_place_leave_the_pod_template_as_it_is(
    prior: dict[str, Any], desired: dict[str, Any]
) -> None:
    if heaviest(diff(prior, desired)) in (None, IN_PLACE):
        assert template(prior) == template(desired)


@settings(max_examples=40, deadline=None)
@given(declarations, declarations)
def test_between_known_declarations_only_hosted_and_external_replace_one_another(
    prior: dict[str, Any], desired: dict[str, Any]
) -> None:
    is_replaced = heaviest(diff(prior, desired)) is REPLACE
    assert is_replaced == (("deployment" in prior) != ("deployment" in desired))


@settings(max_examples=40, deadline=None)
@given(declarations, declarations)
def test_it_is_empty_for_equals_and_the_same_fields_either_way(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert diff(one, copy.deepcopy(one)) == []
    assert [each.path for each in diff(one, other)] == [each.path for each in diff(other, one)]


@pytest.mark.parametrize("replicas", [0, 1, 2, 5])
@pytest.mark.parametrize("surge", [0, 1, None])
@pytest.mark.parametrize("unavailable", [0, 1, 2, None])
def test_there_is_downtime_exactly_where_no_old_pod_has_to_stay(
    replicas: int, surge: int | None, unavailable: int | None
) -> None:
    deployment = {
        **HOSTED["deployment"],
        "replicas": replicas,
        "strategy": {"max_surge": surge, "max_unavailable": unavailable},
    }
    spec = ModelServiceSpec.model_validate({**HOSTED, "deployment": deployment})
    missing = unavailable
    if missing is None:
        missing = 1 if replicas > 1 or surge == 0 else 0
    assert has_downtime(spec, spec) == (0 < replicas <= missing)


# Unknown values


@pytest.mark.parametrize(
    ("prior", "desired", "expected"),
    [
        pytest.param(
            hosted({"env": {"A": "1"}}),
            hosted({"env": {"A": UNKNOWN}}),
            {"deployment.env.A": ROLLING},
            id="in a map",
        ),
        pytest.param(
            hosted({"env": {"A": "1"}}),
            hosted({"env": UNKNOWN}),
            {"deployment.env": ROLLING},
            id="a whole map",
        ),
        pytest.param(
            hosted({"tolerations": [{"key": "a"}]}),
            hosted({"tolerations": [{"key": "a"}, {"key": UNKNOWN}]}),
            {"deployment.tolerations": ROLLING},
            id="in a list",
        ),
        pytest.param(
            hosted({"affinity": {"podAffinity": {"x": [{"y": "a"}]}}}),
            hosted({"affinity": {"podAffinity": {"x": [{"y": UNKNOWN}]}}}),
            {"deployment.affinity.podAffinity.x": ROLLING},
            id="in a list in a map",
        ),
        pytest.param(
            hosted(namespace="a"),
            hosted(namespace=UNKNOWN),
            {"namespace": IN_PLACE},
            id="never replaces",
        ),
        pytest.param(
            hosted(), {**HOSTED, "deployment": UNKNOWN}, {"deployment": IN_PLACE}, id="everything"
        ),
        pytest.param(
            external(),
            {**external(), "deployment": UNKNOWN},
            {"deployment": IN_PLACE},
            id="perhaps another kind",
        ),
        pytest.param(
            {**HOSTED, "deployment": UNKNOWN}, hosted(), {"deployment": IN_PLACE}, id="was unknown"
        ),
        pytest.param(
            hosted({"strategy": {"type": "recreate"}, "cpu": 4}),
            hosted({"strategy": {"type": "recreate"}, "cpu": UNKNOWN}),
            {"deployment.cpu": RECREATE},
            id="with downtime",
        ),
        pytest.param(
            hosted(),
            hosted({"replicas": 1, "env": {"A": "1", "B": {"secret": UNKNOWN}}}),
            {"deployment.env.A": ROLLING, "deployment.env.B": ROLLING},
            id="a required field of something new",
        ),
        pytest.param(
            hosted({"cpu": 4, "env": {"A": "1"}}),
            hosted({"env": {"A": UNKNOWN}, "gpu": {"count": 1}}, description="b"),
            {"deployment.env.A": ROLLING, "deployment.gpu": ROLLING, "description": IN_PLACE},
            id="beside what is known",
        ),
    ],
)
def test_an_unknown_is_a_change_of_its_field_alone(
    prior: dict[str, Any], desired: dict[str, Any], expected: dict[str, ChangeClass]
) -> None:
    assert classes(prior, desired) == expected


def test_what_is_not_known_yet_is_told_so() -> None:
    assert told(hosted({"env": {"A": "1"}}), hosted({"env": {"A": UNKNOWN}})) == [
        "deployment.env.A 1 → (known after up)"
    ]


@settings(max_examples=40, deadline=None)
@given(st.data(), declarations, declarations)
def test_unknowns_change_nothing_of_what_is_told_about_the_rest(
    data: st.DataObject, prior: dict[str, Any], desired: dict[str, Any]
) -> None:
    # Where all of a model is unknown and there was none before, there is no spec to compare.
    assume(("deployment" in prior) == ("deployment" in desired))
    partial = data.draw(with_unknowns(desired))
    before = copy.deepcopy(prior)

    changes = diff(prior, partial, is_unknown=is_unknown)

    assert prior == before
    certain = {(change.path, change.summary) for change in diff(prior, desired)}
    for change in changes:
        if "(known after up)" not in change.summary and not change.summary.startswith("(secret)"):
            assert (change.path, change.summary) in certain


@settings(max_examples=40, deadline=None)
@given(st.data(), declarations)
def test_an_unknown_never_asks_for_a_replacement(
    data: st.DataObject, declaration: dict[str, Any]
) -> None:
    partial = data.draw(with_unknowns({**declaration, "namespace": "a", "cluster": "b"}))
    for one, other in ((declaration, partial), (partial, declaration)):
        changed = {**other} if "namespace" in other else {**other, "namespace": "a", "cluster": "b"}
        same = {**one} if "namespace" in one else {**one, "namespace": "a", "cluster": "b"}
        changes = diff(same, changed, is_unknown=is_unknown)
        assert changes
        assert heaviest(changes) is not REPLACE


def test_a_change_reads_as_a_sentence() -> None:
    change = Change("deployment.replicas", IN_PLACE, "2 → 3")
    assert str(change) == "deployment.replicas 2 → 3"
