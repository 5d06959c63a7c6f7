"""What ``ignore_changes`` names: which paths it covers, and what is applied in their place."""

from __future__ import annotations

from typing import Any

import pytest
from declarations import hosted

from modelfleet.adapters.dynamic import state
from modelfleet.adapters.dynamic.ignored import Ignored, ignored_by
from modelfleet.plan import plan
from modelfleet.spec.tree import Path


def ignoring(*paths: str) -> Ignored:
    """Return what a call is told by the engine: paths, as they stand in the program."""

    class Request:
        ignoreChanges = paths  # noqa: N815 - the engine's spelling

    class Call:
        request = Request()

    return ignored_by(Call())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "covers", "spares"),
    [
        ("deployment.replicas", "deployment.replicas", "deployment.replicas_of_another"),
        ("deployment", "deployment.env.X", "description"),
        ('deployment.env["X"]', "deployment.env.X", "deployment.env.Y"),
        ("deployment.env.X", 'deployment.env["X"]', "deployment.env"),
        ('deployment.node_selector["a.b/c"]', 'deployment.node_selector["a.b/c"]', "deployment.a"),
        ("deployment.env[*]", "deployment.env.X", "deployment.replicas"),
        ("tags.*", "tags.team", "description"),
        (
            "deployment.tolerations[0].key",
            "deployment.tolerations[0].key",
            "deployment.tolerations",
        ),
    ],
)
def test_a_path_covers_itself_and_what_is_below_it_however_it_is_written(
    path: str, covers: str, spares: str
) -> None:
    ignored = ignoring(path)
    assert covers in ignored
    assert spares not in ignored


def test_a_path_of_an_object_in_the_cluster_is_no_declared_field() -> None:
    assert "Deployment spec.replicas" not in ignoring("spec", "spec.replicas")


def test_outside_of_a_call_nothing_is_ignored() -> None:
    assert not ignored_by(None)
    assert "deployment" not in ignored_by(None)


def test_an_ignored_field_is_applied_as_it_is_live_or_else_as_it_was_applied_last() -> None:
    olds = hosted({"replicas": 3, "env": {"X": "old", "Y": "old"}}, description="old")
    news = hosted({"replicas": 1, "env": {"X": "new", "Y": "new"}}, description="new")
    live: dict[Path, Any] = {("deployment", "env", "X"): "live", ("deployment", "cpu"): 8}
    ignored = ignoring("deployment.replicas", "deployment.env.X")
    assert ignored.values(news, olds=olds, live=live) == {
        ("deployment", "replicas"): 3,
        ("deployment", "env", "X"): "live",
    }


def checked(declaration: dict[str, Any]) -> dict[str, Any]:
    planned = plan(declaration)
    assert not planned.problems
    return {**planned.inputs, **planned.values}


def test_what_is_planned_from_a_field_follows_its_live_value() -> None:
    inputs = checked(hosted({"replicas": 1, "gpu": {"count": 2}, "env": {"X": "1"}}))
    values: dict[Path, Any] = {("deployment", "replicas"): 3, ("deployment", "env", "X"): "2"}
    live = state.with_values(inputs, values)
    assert live == checked(hosted({"replicas": 3, "gpu": {"count": 2}, "env": {"X": "2"}}))
    assert live["pod_template_hash"] != inputs["pod_template_hash"]
    assert live["gpu_total"] == 6


def test_a_hash_that_another_release_made_is_kept_for_a_preview_to_show() -> None:
    inputs = {**checked(hosted({"gpu": {}, "env": {"X": "1"}})), "pod_template_hash": "of-another"}
    live = state.with_values(inputs, {("deployment", "env", "X"): "2"})
    assert live["pod_template_hash"] == "of-another"
