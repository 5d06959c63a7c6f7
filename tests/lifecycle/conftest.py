"""Tests against a real API server; every test of this folder is marked ``lifecycle``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelfleet.local import Plane

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
