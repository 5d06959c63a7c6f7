"""Tests against a real API server; every test of this folder is marked ``lifecycle``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet
from modelfleet.local import Plane
from modelfleet.local.api import Api

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


FLEET_USER = "fleet-under-test"


@pytest.fixture(scope="session")
def fleet_kubeconfig(
    plane: Plane, plane_api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The kubeconfig of a user who may do what the shipped ClusterRole grants, and no more.

    Not the plane's limited user: others test what that one may not do.
    """
    role = yaml.safe_load((HERE.parents[1] / "docs" / "rbac.yaml").read_text())
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": FLEET_USER},
        "subjects": [{"kind": "User", "name": FLEET_USER}],
        "roleRef": {"kind": "ClusterRole", "name": role["metadata"]["name"]},
    }
    for plural, obj in (("clusterroles", role), ("clusterrolebindings", binding)):
        plane_api.send(
            "PATCH",
            f"/apis/rbac.authorization.k8s.io/v1/{plural}/{obj['metadata']['name']}",
            params={"fieldManager": "tests", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            json=obj,
        )
    _wait_until_granted(plane_api)
    kubeconfig = yaml.safe_load(plane.kubeconfig.read_text())
    kubeconfig["users"][0]["user"]["as"] = FLEET_USER
    path = tmp_path_factory.mktemp("fleet") / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    return path


def _wait_until_granted(api: Api) -> None:
    """Wait until the authorizer has heard of the binding, which it does by a watch."""
    asked = {"verb": "list", "group": "apps", "resource": "deployments"}
    review = {"spec": {"user": FLEET_USER, "resourceAttributes": asked}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    deadline = time.monotonic() + 10
    while not api.send("POST", path, json=review)["status"]["allowed"]:
        assert time.monotonic() < deadline, "the ClusterRoleBinding has no effect"
        time.sleep(0.05)


@pytest_asyncio.fixture
async def fleet(fleet_kubeconfig: Path) -> AsyncIterator[Fleet]:
    """The fleet of the plane, in the hands of a user with the least rights."""
    fleet = Fleet(Client.connect(kubeconfig=str(fleet_kubeconfig)))
    yield fleet
    await fleet.aclose()
