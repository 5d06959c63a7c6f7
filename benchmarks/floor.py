"""A dynamic provider that does nothing: what an engine run costs before any provider works.

Its resources carry the same inputs, planned values and outputs as a ModelService, so that engine,
state and wire have the same to do. Imports nothing of modelfleet: a floor is not a house.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

PLANNED: Mapping[str, Any] = {
    "model_service_id": "benchmarks/svc-0000",
    "base_url": "http://svc-0000.benchmarks.svc/v1",
    "endpoint": "http://svc-0000.benchmarks.svc",
    "model_names": ["benchmarks/svc-0000"],
    "access_name": "benchmarks/svc-0000",
    "gpu_total": 1,
    "renderer_version": 2,
    "pod_template_hash": "0123456789",
}
LIVE: Mapping[str, Any] = {
    "status": "READY",
    "status_reason": "",
    "created_at": "2026-01-01T00:00:00Z",
    "last_updated_at": "2026-01-01T00:00:00Z",
    "cluster_uid": "00000000-0000-0000-0000-000000000000",
    "incarnation": "0123456789abcdef",
    "schema_version": 2,
}


def floor_provider() -> FloorProvider:
    """Return the provider; what a state points to."""
    return FloorProvider()


class FloorProvider(ResourceProvider):
    """Says yes to everything."""

    serialize_as_secret_always = False

    def __reduce__(self) -> Any:
        return floor_provider, ()

    def check(self, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> CheckResult:
        return CheckResult({**news, **PLANNED}, [])

    def diff(self, _id: str, _olds: Mapping[str, Any], _news: Mapping[str, Any]) -> DiffResult:
        return DiffResult(changes=None)

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        return CreateResult(
            f"{props['namespace']}/{props['model_service_name']}", {**props, **LIVE}
        )

    def update(self, _id: str, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        return UpdateResult({**news, **LIVE})

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        inputs = {key: value for key, value in props.items() if key not in LIVE}
        return ReadResult(id_, dict(props), inputs)

    def delete(self, _id: str, _props: Mapping[str, Any]) -> None:
        pass


class Floor(Resource, module="benchmarks", name="Floor"):
    """A resource that exists nowhere."""

    def __init__(self, name: str, declaration: Mapping[str, Any]) -> None:
        computed: dict[str, Any] = dict.fromkeys([*PLANNED, *LIVE, "drift"])
        stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        super().__init__(floor_provider(), name, {**computed, **declaration, "owner": stack})
