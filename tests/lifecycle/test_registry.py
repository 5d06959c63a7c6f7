"""The verbs of AgentRun on the fleet of a real API server: what each leaves in the cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fleets import hosted

from modelfleet.agentrun.registry import Registry
from modelfleet.agentrun.scope import Scope
from modelfleet.errors import AlreadyExistsError, NotFoundError
from modelfleet.fleet import Fleet

SERVICE = "ModelService"
PROXY = "ModelProxy"


def hosted_fields(namespace: str, **fields: Any) -> dict[str, Any]:
    declared = hosted(namespace)
    return {
        "model_service_name": "qwen",
        "deployment": declared["deployment"],
        **fields,
    }


@pytest.fixture
def registry(fleet: Fleet) -> Registry:
    return Registry(fleet)


@pytest.fixture
def scope(namespace: str) -> Scope:
    return Scope(namespace=namespace)


async def test_a_service_is_creating_once_accepted_and_ready_after_a_wait(
    registry: Registry, scope: Scope
) -> None:
    made = await registry.create(hosted_fields(scope.namespace), kind=SERVICE, scope=scope)
    assert made.status == "CREATING"
    looks: list[str] = []
    ready = await registry.wait(
        "qwen",
        kind=SERVICE,
        scope=scope,
        is_over=lambda each: each.status == "READY",
        on_look=lambda each: looks.append(each.status),
        timeout_seconds=60,
    )
    assert ready.status == "READY"
    assert looks[0] == "CREATING"
    assert looks[-1] == "READY"


async def test_of_two_creates_at_once_exactly_one_wins(registry: Registry, scope: Scope) -> None:
    fields = hosted_fields(scope.namespace)
    results = await asyncio.gather(
        *(registry.create(fields, kind=SERVICE, scope=scope) for _ in range(4)),
        return_exceptions=True,
    )
    assert [isinstance(each, AlreadyExistsError) for each in results].count(True) == 3


async def test_what_is_deleted_goes_at_once_and_is_not_found_afterwards(
    registry: Registry, scope: Scope
) -> None:
    await registry.create(hosted_fields(scope.namespace), kind=SERVICE, scope=scope)
    going = await registry.delete("qwen", kind=SERVICE, scope=scope)
    assert going.status == "DELETING"
    with pytest.raises(NotFoundError, match="does not exist"):
        await registry.wait(
            "qwen", kind=SERVICE, scope=scope, is_over=lambda _: False, timeout_seconds=60
        )
    with pytest.raises(NotFoundError, match="does not exist"):
        await registry.delete("qwen", kind=SERVICE, scope=scope)
