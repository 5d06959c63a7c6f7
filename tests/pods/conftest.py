"""Tests on real pods; every test of this folder is marked ``pods``, and needs root.

They share one plane with two real nodes, so they run on one worker. Where the machine cannot run
real pods they are skipped, and nothing else is.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from node_clients import ask_from_node  # noqa: F401
from proxy_world import a, b, front, world  # noqa: F401  (fixtures are found where imported)

from local_models import claimed_models
from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet
from modelfleet.local import Plane
from modelfleet.local.api import Api
from modelfleet.local.pods.requirements import lacking
from stack_fixtures import (  # noqa: F401  (fixtures are found where they are imported)
    module_stack_factory,
    pulumi_environment,
    pulumi_path,
    stack_factory,
    transcript,
)

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = lacking()
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("pods")
            item.add_marker(pytest.mark.xdist_group("pods"))
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def kubeconfig(real_plane: Plane) -> Path:
    """The administrator's kubeconfig of the plane with real nodes."""
    return real_plane.kubeconfig


@pytest.fixture(scope="session")
def environment(real_plane: Plane) -> Mapping[str, str]:
    """What a child process needs to run `kubectl` and `modelfleet` on that plane."""
    return {**os.environ, **real_plane.environment()}


@pytest.fixture(scope="session")
def api(real_plane: Plane) -> Iterator[Api]:
    """Plain requests to that plane's API server, as its administrator."""
    with real_plane.api() as api:
        yield api


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own, with the claim ``models`` on the nodes' tiny models."""
    yield from _namespace(api)


@pytest.fixture(scope="module")
def module_namespace(api: Api) -> Iterator[str]:
    """The same for what several tests of a module look at."""
    yield from _namespace(api)


@pytest.fixture(scope="session")
def session_namespace(api: Api) -> Iterator[str]:
    """The same for what tests of several modules look at."""
    yield from _namespace(api)


def _namespace(api: Api) -> Iterator[str]:
    name = f"p-{uuid.uuid4().hex[:8]}"
    api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    with claimed_models(api, namespace=name):
        yield name
        api.send("DELETE", f"/api/v1/namespaces/{name}")


@pytest_asyncio.fixture
async def fleet(kubeconfig: Path) -> AsyncIterator[Fleet]:
    """The fleet of that plane."""
    fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
    yield fleet
    await fleet.aclose()
