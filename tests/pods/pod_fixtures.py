"""What every test on real pods may ask for, on the plane that ``real_plane`` is where it stands.

Imported by the ``conftest`` of each folder that has a plane of its own: fixtures are made once for
each place that they are imported into, and end with the last test below it (a folder is a package
for that).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from local_models import claimed_models
from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet
from modelfleet.local import Plane
from modelfleet.local.api import Api


@pytest.fixture(scope="package")
def kubeconfig(real_plane: Plane) -> Path:
    """The administrator's kubeconfig of the plane with real nodes."""
    return real_plane.kubeconfig


@pytest.fixture(scope="package")
def environment(real_plane: Plane) -> Mapping[str, str]:
    """What a child process needs to run `kubectl` and `modelfleet` on that plane."""
    return {**os.environ, **real_plane.environment()}


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def package_namespace(api: Api) -> Iterator[str]:
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
