"""Tests of proxies on real pods: on a plane of their own, so that they run beside the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from node_clients import ask_from_node  # noqa: F401  (fixtures are found where they are imported)
from pod_fixtures import (  # noqa: F401
    api,
    environment,
    kubeconfig,
    namespace,
    package_namespace,
)
from proxy_world import a, b, front, world  # noqa: F401

from modelfleet.local import Plane

PlaneWithPods = Callable[[str], AbstractContextManager[Plane]]


@pytest.fixture(scope="package")
def real_plane(request: pytest.FixtureRequest, plane_with_pods: PlaneWithPods) -> Iterator[Plane]:
    """The plane with real nodes for proxies."""
    assert isinstance(request.node, pytest.Package), "else it lives until all tests are over"
    with plane_with_pods("proxies") as plane:
        yield plane
