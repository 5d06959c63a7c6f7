"""Pods stay with the renderer that made them: applied, taken back, looked at for drift."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleets import behaving, desired, hosted, objects_in, updated

from modelfleet.cluster.objects import DEPLOYMENT
from modelfleet.cluster.records import record_of
from modelfleet.errors import ConflictError, NotReadyError
from modelfleet.fleet import Fleet
from modelfleet.render import FIRST_RENDERER, RENDERER_VERSION
from modelfleet.render.history import NO_TELEMETRY

FUTURE = RENDERER_VERSION + 1


async def deployment_of(fleet: Fleet, namespace: str) -> dict[str, Any]:
    objects = await objects_in(fleet.client, namespace)
    (deployment,) = [obj for ref, obj in objects.items() if ref.kind == DEPLOYMENT]
    return deployment


async def rendered_by(fleet: Fleet, namespace: str) -> tuple[int, bool]:
    """Return the renderer in the record, and whether the pods are those of the newest."""
    deployment = await deployment_of(fleet, namespace)
    record = record_of(deployment)
    assert record is not None
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return record.renderer_version, NO_TELEMETRY.keys() <= {item["name"] for item in env}


@pytest.mark.parametrize(
    ("renderer", "is_newest"), [(FIRST_RENDERER, False), (RENDERER_VERSION, True)]
)
async def test_pods_and_record_are_of_the_renderer_that_is_asked_for(
    fleet: Fleet, namespace: str, renderer: int, is_newest: bool
) -> None:
    await fleet.apply(desired(hosted(namespace), renderer_version=renderer))
    assert await rendered_by(fleet, namespace) == (renderer, is_newest)


async def test_what_is_taken_back_gets_its_former_renderer_back(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace), renderer_version=FIRST_RENDERER)
    await fleet.apply(first)
    broken = updated(
        first, hosted(namespace, behaving("crash-loop")), prior_renderer_version=FIRST_RENDERER
    )
    with pytest.raises(NotReadyError, match="It was put back"):
        await fleet.apply(broken, on_failure="rollback")
    assert await rendered_by(fleet, namespace) == (FIRST_RENDERER, False)


async def test_drift_is_told_from_what_was_applied_and_not_from_the_newest_rendering(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace), renderer_version=FIRST_RENDERER)
    await fleet.apply(first)
    for known in (first, replace(first, renderer_version=RENDERER_VERSION)):
        found = await fleet.drift(known)
        assert found is not None
        assert (found.drift, found.live) == ({}, {})
        assert found.renderer_version == FIRST_RENDERER


async def test_what_a_newer_release_has_applied_is_neither_read_nor_written(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace), renderer_version=FUTURE)
    await fleet.apply(first)
    before = await objects_in(fleet.client, namespace)
    told = f"renderer version {FUTURE}, this modelfleet reads up to {RENDERER_VERSION}"
    with pytest.raises(ConflictError, match=told):
        await fleet.drift(first)
    with pytest.raises(ConflictError, match=told):
        await fleet.apply(updated(first, hosted(namespace, {"replicas": 2})))
    assert await objects_in(fleet.client, namespace) == before
