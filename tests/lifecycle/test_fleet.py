"""A service from check to delete, through every adapter: one table.

Like all tests of the fleet this runs as a user who may do what ``docs/rbac.yaml`` grants.
Dimensions: adapter x kind of service.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from fleets import OWNER, desired, external, hosted, names_in, objects_in, updated
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.output import Unknown

from modelfleet.adapters.dynamic.provider import ModelServiceProvider
from modelfleet.cluster.objects import Object, Ref
from modelfleet.clusters import CONFIG_KEY
from modelfleet.diff import diff
from modelfleet.fleet import Desired, Fleet
from modelfleet.spec.fields import ChangeClass
from modelfleet.spec.merge import merged
from modelfleet.spec.tree import with_values

Inputs = Mapping[str, Any]


class Adapter(Protocol):
    """One way to the core, and what it knows of the service meanwhile (a state, a Desired)."""

    def problems(self, inputs: Inputs) -> list[str]: ...

    def preview(self, inputs: Inputs) -> Mapping[str, Any]: ...

    async def create(self, inputs: Inputs) -> str: ...

    async def read(self) -> tuple[Inputs, Inputs] | None: ...

    def replaces(self, inputs: Inputs) -> bool: ...

    async def update(self, inputs: Inputs) -> str: ...

    async def delete(self) -> None: ...


class Core:
    """The fleet itself."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._inputs: Inputs = {}
        self._known: Desired | None = None

    def problems(self, inputs: Inputs) -> list[str]:
        return [str(problem) for problem in self._fleet.plan(inputs).problems]

    def preview(self, inputs: Inputs) -> Mapping[str, Any]:
        unknown = Unknown()  # type: ignore[no-untyped-call]
        planned = self._fleet.plan(
            inputs, is_unknown=lambda v: isinstance(v, Unknown), unknown=unknown
        )
        return planned.values

    async def create(self, inputs: Inputs) -> str:
        self._inputs, self._known = inputs, desired(inputs)
        return (await self._fleet.apply(self._known)).status

    async def read(self) -> tuple[Inputs, Inputs] | None:
        assert self._known is not None
        found = await self._fleet.drift(self._known)
        return (with_values(self._inputs, found.live), found.drift) if found else None

    def replaces(self, inputs: Inputs) -> bool:
        return ChangeClass.REPLACE in {each.change for each in diff(self._inputs, inputs)}

    async def update(self, inputs: Inputs) -> str:
        assert self._known is not None
        self._inputs, self._known = inputs, updated(self._known, inputs)
        return (await self._fleet.apply(self._known)).status

    async def delete(self) -> None:
        assert self._known is not None
        await self._fleet.delete(self._known)


class Dynamic:
    """The verbs of the Pulumi provider, called without an engine."""

    def __init__(self, kubeconfig: Path) -> None:
        clusters = {"default": {"kubeconfig": str(kubeconfig)}}
        config = Config({f"modelfleet:{CONFIG_KEY}": json.dumps(clusters)}, "test")
        self._provider = ModelServiceProvider()
        self._provider.configure(ConfigureRequest(config))
        self._id = ""
        self._state: Inputs = {}

    def _checked(self, inputs: Inputs) -> dict[str, Any]:
        result = self._provider.check(self._state, {**inputs, "owner": OWNER})
        assert not result.failures, result.failures
        return result.inputs

    def problems(self, inputs: Inputs) -> list[str]:
        result = self._provider.check({}, {**inputs, "owner": OWNER})
        return [failure.reason for failure in result.failures]

    def preview(self, inputs: Inputs) -> Mapping[str, Any]:
        return self._checked(inputs)

    async def create(self, inputs: Inputs) -> str:
        result = await asyncio.to_thread(self._provider.create, self._checked(inputs))
        assert result.outs is not None
        self._id, self._state = result.id, result.outs
        return str(self._state["status"])

    async def read(self) -> tuple[Inputs, Inputs] | None:
        result = await asyncio.to_thread(self._provider.read, self._id, self._state)
        if not result.id:
            return None
        assert result.outs is not None
        self._state = result.outs
        return result.outs, result.outs.get("drift", {})

    def replaces(self, inputs: Inputs) -> bool:
        result = self._provider.diff(self._id, self._state, self._checked(inputs))
        assert result.changes is None, "the engine compares inputs, and shows what it finds"
        return bool(result.replaces)

    async def update(self, inputs: Inputs) -> str:
        news = self._checked(inputs)
        result = await asyncio.to_thread(self._provider.update, self._id, self._state, news)
        assert result.outs is not None
        self._state = result.outs
        return str(self._state["status"])

    async def delete(self) -> None:
        await asyncio.to_thread(self._provider.delete, self._id, self._state)


@pytest_asyncio.fixture(params=["core", "dynamic"])
async def adapter(
    request: pytest.FixtureRequest, fleet_kubeconfig: Path, fleet: Fleet
) -> AsyncIterator[Adapter]:
    yield Core(fleet) if request.param == "core" else Dynamic(fleet_kubeconfig)


def hosted_case(namespace: str) -> dict[str, Any]:
    return hosted(namespace, {"secret_env": {"TOKEN": "hush"}, "env": {"A": "1"}})


def external_case(namespace: str) -> dict[str, Any]:
    return external(namespace, api_key="hush", model_names=["a"])


def declared_part(objects: Mapping[Ref, Object]) -> dict[Ref, Object]:
    """Return objects with who wrote them when, but for their status, whose controllers go on."""
    kept: dict[Ref, Object] = {}
    for ref, obj in objects.items():
        metadata = {
            key: obj["metadata"][key] for key in obj["metadata"].keys() - {"resourceVersion"}
        }
        fields = metadata["managedFields"]
        metadata["managedFields"] = [each for each in fields if each.get("subresource") != "status"]
        kept[ref] = {**obj, "metadata": metadata, "status": None}
    return kept


HOSTED_OBJECTS = ["Secret qwen-env", "NetworkPolicy qwen", "Service qwen", "Deployment qwen"]


@pytest.mark.parametrize(
    ("declare", "objects", "change"),
    [
        pytest.param(
            hosted_case,
            HOSTED_OBJECTS,
            {"deployment": {"replicas": 2, "env": {"A": "2"}}},
            id="hosted",
        ),
        pytest.param(
            external_case,
            ["Secret qwen-external"],
            {"provider_settings": {"model_names": ["a", "b"]}},
            id="external",
        ),
    ],
)
async def test_a_service_lives_from_check_to_delete(
    adapter: Adapter, fleet: Fleet, namespace: str, declare: Any, objects: list[str], change: Any
) -> None:
    inputs = declare(namespace)
    changed = merged(inputs, change)

    # check
    assert adapter.problems(inputs) == []
    (problem,) = adapter.problems({**inputs, "model_service_name": "Qwen"})
    assert problem.startswith("model_service_name: must be")

    # preview
    unknown = Unknown()  # type: ignore[no-untyped-call]
    values = adapter.preview({**inputs, "workspace_id": unknown})
    assert values["model_service_id"] == f"{namespace}/qwen"
    assert isinstance(values["access_name"], Unknown)

    # create, and again, as after a run whose state was lost
    assert await adapter.create(inputs) == "READY"
    assert await names_in(fleet.client, namespace) == objects
    first = await objects_in(fleet.client, namespace)
    assert await adapter.create(inputs) == "READY"
    again = await objects_in(fleet.client, namespace)
    assert [obj["metadata"]["uid"] for obj in again.values()] == [
        obj["metadata"]["uid"] for obj in first.values()
    ]

    # read
    found = await adapter.read()
    assert found is not None
    live, drift = found
    assert drift == {}
    assert {key: live[key] for key in inputs} == inputs

    # diff
    assert not adapter.replaces(inputs)
    assert not adapter.replaces(changed)
    assert adapter.replaces({**inputs, "namespace": "another"})

    # update, and again
    assert await adapter.update(changed) == "READY"
    before = declared_part(await objects_in(fleet.client, namespace))
    assert await adapter.update(changed) == "READY"
    assert declared_part(await objects_in(fleet.client, namespace)) == before
    (service,) = await fleet.list(namespace=namespace)
    assert service.owner == OWNER

    # delete, and again
    await adapter.delete()
    assert await names_in(fleet.client, namespace) == []
    assert await adapter.read() is None
    await adapter.delete()
