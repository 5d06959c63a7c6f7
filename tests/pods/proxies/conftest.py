"""Tests of proxies on real pods: on a plane of their own, so that they run beside the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from node_clients import ask_from_node  # noqa: F401  (fixtures are found where they are imported)
from pod_fixtures import (  # noqa: F401
    api,
    environment,
    kubeconfig,
    namespace,
    session_namespace,
)
from proxy_world import a, b, front, world  # noqa: F401

from modelfleet.local import Plane


@pytest.fixture(scope="session")
def real_plane(plane_with_pods: Callable[[str], Plane]) -> Plane:
    """The plane with real nodes for proxies."""
    return plane_with_pods("proxies")
