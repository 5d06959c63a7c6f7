"""Which declarations of a program are taken to mean the same service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pulumi.output import Unknown

from modelfleet.adapters.dynamic import declared_once
from modelfleet.adapters.dynamic.declared_once import declared_twice

URN = "urn:pulumi:dev::fleet::pulumi-python:dynamic/modelfleet:ModelService::"


@pytest.fixture(autouse=True)
def _new_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(declared_once, "_urns", {})
    yield


def problems(resource: str, service_id: object, *, cluster: object = "default") -> list[str]:
    found = declared_twice(
        "model_service_name", cluster=cluster, resource_id=service_id, urn=URN + resource
    )
    return [str(problem) for problem in found]


def test_the_second_resource_of_a_service_is_a_problem_that_names_the_first() -> None:
    assert problems("chat", "models/chat") == []
    assert problems("talk", "models/chat") == [
        "model_service_name: models/chat is what resource 'chat' declares; give one of them "
        "another name or namespace"
    ]


def test_a_resource_that_is_checked_again_is_no_second_one() -> None:
    assert problems("chat", "models/chat") == problems("chat", "models/chat") == []


def test_namespaces_clusters_and_what_is_not_known_yet_keep_services_apart() -> None:
    unknown = Unknown()  # type: ignore[no-untyped-call]
    assert problems("a", "models/chat") == []
    assert problems("b", "models-eu/chat") == []
    assert problems("c", "models/chat", cluster="eu") == []
    assert problems("d", unknown) == problems("e", unknown) == []
    assert problems("f", "models/chat", cluster=unknown) == []
