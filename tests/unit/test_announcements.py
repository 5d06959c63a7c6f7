"""What a preview says an update will do, in one line beside the resource."""

from __future__ import annotations

from typing import Any

import pytest
from declarations import hosted
from pulumi.output import Unknown

from modelfleet.adapters.dynamic.announcements import announcement_of
from modelfleet.diff import diff


def announced(
    prior: dict[str, Any],
    desired: dict[str, Any],
    *,
    olds: dict[str, Any] | None = None,
    news: dict[str, Any] | None = None,
) -> str:
    return announcement_of(diff(prior, desired), olds=olds or {}, news=news or {})


def test_nothing_is_said_where_nothing_will_be_done() -> None:
    assert announced(hosted(), hosted()) == ""


def test_the_heaviest_class_and_field_come_first() -> None:
    assert announced(
        hosted({"replicas": 2}), hosted({"replicas": 3, "cpu": 8}, description="x")
    ) == (
        "rolling, pods are replaced while others serve: deployment.cpu 4 → 8, "
        "deployment.replicas 2 → 3, description (unset) → x"
    )


def test_drift_is_said_to_be_repaired_also_where_no_field_differs() -> None:
    drifted = {"drift": {"Service models/qwen": "is missing"}}
    assert announced(hosted(), hosted(), olds=drifted) == "repairs drift"


def test_a_renamed_stack_is_said_to_relabel() -> None:
    told = announced(hosted(), hosted(), olds={"owner": "a/b/c"}, news={"owner": "a/b/d"})
    assert told == "relabels it from a/b/c to a/b/d"


def test_what_was_nobodys_is_said_to_be_taken_over() -> None:
    told = announced(hosted(), hosted(), olds={"owner": ""}, news={"owner": "a/b/d"})
    assert told == "takes it over"


def test_what_a_newer_renderer_changes_is_told_with_the_change_it_comes_with() -> None:
    told = announced(hosted(), hosted({"cpu": 8}), news={"renderer_version": 2.0})
    assert told == (
        "rolling, pods are replaced while others serve: deployment.cpu 4 → 8; "
        "with that renderer_version 1 → 2: engines and hub clients send no usage statistics "
        "(DO_NOT_TRACK, HF_HUB_DISABLE_TELEMETRY)"
    )


@pytest.mark.parametrize(
    ("olds", "news"),
    [
        ({}, {}),
        ({"renderer_version": 2}, {"renderer_version": 2.0}),
        ({}, {"renderer_version": Unknown()}),  # type: ignore[no-untyped-call]
    ],
)
def test_a_renderer_that_stays_or_is_not_known_yet_is_not_told(
    olds: dict[str, Any], news: dict[str, Any]
) -> None:
    assert "renderer" not in announced(hosted(), hosted({"cpu": 8}), olds=olds, news=news)


@pytest.mark.parametrize(
    ("desired", "after", "is_told"),
    [
        (hosted(), "2", True),
        (hosted(description="x"), "2", True),
        (hosted(), "1", False),
        (hosted({"cpu": 8}), "2", False),
        (hosted(), Unknown(), False),  # type: ignore[no-untyped-call]
    ],
)
def test_another_rendering_is_told_where_no_change_of_the_user_explains_it(
    desired: dict[str, Any], after: Any, is_told: bool
) -> None:
    told = announced(
        hosted(), desired, olds={"pod_template_hash": "1"}, news={"pod_template_hash": after}
    )
    assert ("this release of modelfleet" in told) is is_told
