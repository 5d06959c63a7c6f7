"""States of every release stay readable, and an upgrade alone changes none of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic.dynamic import PROVIDER_KEY

from modelfleet.adapters.dynamic import state
from modelfleet.adapters.dynamic.provider import ModelServiceProvider
from modelfleet.errors import ConfigError
from modelfleet.plan import Rendered
from modelfleet.render import FIRST_RENDERER, RENDERER_VERSION
from modelfleet.service import Service
from modelfleet.spec.service import ModelServiceSpec
from recorded_releases import RELEASES, Release, without_secrets

SERVICE = Service(namespace="models", name="chat", status="READY")
SERVICES = [
    pytest.param(release, name, id=f"schema {release.schema_version}, {name}")
    for release in RELEASES
    for name in release.services
]


def inputs_of(release: Release, name: str) -> dict[str, Any]:
    return dict(without_secrets(release.services[name]["inputs"]))


def outputs_of(release: Release, name: str) -> dict[str, Any]:
    return dict(without_secrets(release.services[name]["outputs"]))


def test_a_state_of_every_schema_is_recorded() -> None:
    schemas = [release.schema_version for release in RELEASES]
    assert schemas == list(range(1, state.SCHEMA_VERSION + 1))
    for release in RELEASES:
        written = {each["outputs"]["schema_version"] for each in release.services.values()}
        assert written == {release.schema_version}


@pytest.mark.parametrize(("release", "name"), SERVICES)
def test_an_upgrade_alone_changes_no_input(release: Release, name: str) -> None:
    olds = inputs_of(release, name)
    result = ModelServiceProvider().check(olds, state.declaration_of(olds) | {"owner": "o"})
    assert result.failures == []
    assert result.inputs | {"owner": olds["owner"]} == {
        key: value for key, value in olds.items() if key != PROVIDER_KEY
    }


@pytest.mark.parametrize(("release", "name"), SERVICES)
def test_a_recorded_state_holds_a_declaration_and_says_who_rendered_it(
    release: Release, name: str
) -> None:
    props = state.migrate(outputs_of(release, name))
    ModelServiceSpec.model_validate(state.declaration_of(props))
    assert state.rendered_of(props) == Rendered(
        release.renderer_version, props["pod_template_hash"]
    )


@pytest.mark.parametrize(("release", "name"), SERVICES)
def test_migrating_twice_is_migrating_once_and_leaves_the_state_alone(
    release: Release, name: str
) -> None:
    recorded = outputs_of(release, name)
    before = json.dumps(recorded)
    assert state.migrate(state.migrate(recorded)) == state.migrate(recorded)
    assert json.dumps(recorded) == before


@pytest.mark.parametrize(("release", "name"), SERVICES)
def test_inputs_can_be_said_as_another_renderer_made_them_and_back(
    release: Release, name: str
) -> None:
    inputs = inputs_of(release, name)
    newest = state.with_renderer(inputs, RENDERER_VERSION)
    assert newest["renderer_version"] == RENDERER_VERSION
    has_other_pods = "deployment" in inputs and release.renderer_version < RENDERER_VERSION
    assert (newest["pod_template_hash"] != inputs["pod_template_hash"]) is has_other_pods
    assert state.with_renderer(newest, release.renderer_version) == inputs


def test_every_step_leads_to_the_next_schema() -> None:
    assert list(state.STEPS) == list(range(1, state.SCHEMA_VERSION))


@pytest.mark.parametrize(
    ("renderer", "schema"), [(FIRST_RENDERER, 1), (2, 2), (RENDERER_VERSION, state.SCHEMA_VERSION)]
)
def test_a_state_has_the_oldest_schema_that_can_say_it(renderer: int, schema: int) -> None:
    inputs = state.inputs_of({"renderer_version": renderer, "status": "READY", "drift": {"a": "b"}})
    outs = inputs | state.outputs_of(SERVICE, renderer_version=renderer)
    assert outs["schema_version"] == schema
    assert ("renderer_version" in outs) is (schema >= 2)
    assert state.renderer_of(outs) == state.migrate(outs)["renderer_version"] == renderer


@pytest.mark.parametrize(
    ("newer", "told"),
    [
        ({"schema_version": 99}, f"schema version 99; .* up to {state.SCHEMA_VERSION}"),
        (
            {"schema_version": state.SCHEMA_VERSION, "renderer_version": 99.0},
            f"renderer version 99; .* up to {RENDERER_VERSION}",
        ),
    ],
)
def test_a_state_of_a_newer_release_is_refused_by_its_version(
    newer: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        state.migrate({"model_service_id": "models/chat", **newer})
    assert str(refused.value).startswith("The state of models/chat has ")
    assert "Upgrade modelfleet" in str(refused.value)


@pytest.mark.parametrize("verb", ["check", "diff"])
def test_no_plan_is_made_of_what_a_later_renderer_made(verb: str) -> None:
    olds = inputs_of(RELEASES[-1], "chat") | {"renderer_version": float(RENDERER_VERSION + 1)}
    news = inputs_of(RELEASES[-1], "chat")
    provider = ModelServiceProvider()
    with pytest.raises(ConfigError, match="Upgrade modelfleet"):
        if verb == "check":
            provider.check(olds, news)
        else:
            provider.diff("recorded/chat", olds, news)


def test_where_nothing_runs_yet_nothing_was_rendered() -> None:
    assert state.rendered_of(state.migrate({})) is None


def blobs() -> Iterator[str]:
    """Yield every reference to a provider that any release has written."""
    yield from json.loads(
        (Path(__file__).parents[1] / "fixtures" / "provider-blobs.json").read_text()
    ).values()
    for release in RELEASES:
        for resource in release.services.values():
            yield resource["inputs"][PROVIDER_KEY]
            yield resource["outputs"][PROVIDER_KEY]


UNPICKLING = """
import base64, dill, sys
for blob in sys.stdin.read().split():
    found = type(dill.loads(base64.b64decode(blob)))
    print(found.__module__, found.__name__)
"""


def test_a_process_that_has_imported_nothing_finds_the_provider_of_every_state() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", UNPICKLING],
        input="\n".join(blobs()),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(printed) > len(SERVICES)
    module = "modelfleet.adapters.dynamic.provider"
    assert set(printed) == {f"{module} ModelServiceProvider", f"{module} ModelProxyProvider"}
