"""Tests against a real API server; every test of this folder is marked ``lifecycle``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from fleets import Gate
from forwarding import forwarding
from rights import least_kubeconfig

from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet
from modelfleet.local import Plane
from modelfleet.local.api import Api

__all__ = ["forwarding"]  # a fixture, for whoever asks for it

HERE = Path(__file__).parent

PlaneFactory = Callable[[str], Plane]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("lifecycle")


@pytest.fixture(scope="session")
def limited_kubeconfig(plane: Plane) -> Path:
    """The kubeconfig of the user ``modelfleet``, who may do what a test grants that user."""
    return plane.limited_kubeconfig


@pytest.fixture
def plane_factory(tmp_path: Path) -> Iterator[PlaneFactory]:
    """``make(name)`` gives a plane of the test's own, not started; all are taken down after it."""
    planes: list[Plane] = []

    def make(name: str) -> Plane:
        planes.append(Plane(tmp_path / name))
        return planes[-1]

    yield make
    for plane in planes:
        plane.down(purge=True)


@pytest.fixture(scope="session")
def fleet_kubeconfig(
    plane: Plane, plane_api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The kubeconfig of a user who may do what the shipped ClusterRole grants, and no more."""
    folder = tmp_path_factory.mktemp("fleet")
    return least_kubeconfig(plane, plane_api, folder, user="fleet-under-test")


@pytest.fixture(scope="session")
def kubeconfig(plane: Plane, plane_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of another such user, for tests of what is below a fleet.

    So nothing of ours is the administrator unless a test says ``admin_kubeconfig``.
    """
    folder = tmp_path_factory.mktemp("client")
    return least_kubeconfig(plane, plane_api, folder, user="client-under-test")


@pytest.fixture(scope="session")
def admin_kubeconfig(plane: Plane) -> Path:
    """The administrator's kubeconfig, for those who look on and for those who interfere."""
    return plane.kubeconfig


@pytest.fixture
def gate(plane_api: Api, namespace: str) -> Iterator[Gate]:
    """What keeps pods of the test's namespace waiting until it is opened."""
    gate = Gate(plane_api, namespace)
    yield gate
    gate.close()


@pytest_asyncio.fixture
async def fleet(fleet_kubeconfig: Path) -> AsyncIterator[Fleet]:
    """The fleet of the plane, in the hands of a user with the least rights."""
    fleet = Fleet(Client.connect(kubeconfig=str(fleet_kubeconfig)))
    yield fleet
    await fleet.aclose()
