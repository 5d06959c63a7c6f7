"""Earlier renderers: what they made of a spec, made from what the newest makes of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from declarations import hosted, hosted_declarations
from hypothesis import given, settings

from modelfleet.render import FIRST_RENDERER, RENDERER_VERSION, pod_template_hash, pod_template_of
from modelfleet.render.history import SINCE_THE_FIRST, as_rendered_by, summaries
from modelfleet.spec import ModelServiceSpec
from modelfleet.spec.tree import pruned

QUIET = ["DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY"]


def spec(declaration: dict[str, Any]) -> ModelServiceSpec:
    return ModelServiceSpec.model_validate(pruned(declaration))


def env(declaration: dict[str, Any], *, renderer_version: int) -> dict[str, Any]:
    template = pod_template_of(spec(declaration), renderer_version=renderer_version)
    items = template["spec"]["containers"][0]["env"]
    assert len({item["name"] for item in items}) == len(items)
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in items}


def test_there_is_a_way_back_from_each_renderer_to_the_one_before() -> None:
    assert list(SINCE_THE_FIRST) == list(range(FIRST_RENDERER + 1, RENDERER_VERSION + 1))


def test_renderer_2_turns_telemetry_off() -> None:
    first, second = (env(hosted(), renderer_version=version) for version in (1, 2))
    assert second == first | dict.fromkeys(QUIET, "1")


@pytest.mark.parametrize("field", ["env", "secret_env"])
def test_what_a_user_declares_of_telemetry_wins_in_every_renderer(field: str) -> None:
    declaration = hosted({field: {"DO_NOT_TRACK": "0"}})
    first, second = (env(declaration, renderer_version=version) for version in (1, 2))
    assert first["DO_NOT_TRACK"] == second["DO_NOT_TRACK"] != "1"
    assert second == first | {"HF_HUB_DISABLE_TELEMETRY": "1"}


def test_who_declares_all_that_a_renderer_adds_has_the_same_pods_before_and_after() -> None:
    declared = spec(hosted({"env": dict.fromkeys(QUIET, "1")}))
    assert len({pod_template_hash(declared, renderer_version=version) for version in (1, 2)}) == 1


@settings(max_examples=40, deadline=None)
@given(hosted_declarations)
def test_going_back_changes_nothing_that_it_is_given(declaration: dict[str, Any]) -> None:
    declared = spec(declaration)
    newest = pod_template_of(declared)
    before = copy.deepcopy(newest)
    assert as_rendered_by(RENDERER_VERSION, newest, spec=declared) == before
    assert as_rendered_by(FIRST_RENDERER, newest, spec=declared) != before
    assert newest == before


def test_what_has_changed_between_two_renderers_is_told_without_the_one_in_force() -> None:
    assert summaries(after=RENDERER_VERSION, until=RENDERER_VERSION) == []
    assert len(summaries(after=FIRST_RENDERER, until=RENDERER_VERSION)) == len(SINCE_THE_FIRST)
