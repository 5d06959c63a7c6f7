"""Tests on real pods; every test of this folder is marked ``pods``, and needs root.

They share one plane with two real nodes, so they run on one worker; those of proxies have another
one, and run beside them. Where the machine cannot run real pods they are skipped, and nothing else
is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from pod_fixtures import (  # noqa: F401  (fixtures are found where they are imported)
    api,
    environment,
    fleet,
    kubeconfig,
    module_namespace,
    namespace,
)

from modelfleet.local import Plane
from modelfleet.local.pods.requirements import lacking
from stack_fixtures import (  # noqa: F401
    module_stack_factory,
    pulumi_environment,
    pulumi_path,
    stack_factory,
    transcript,
)

HERE = Path(__file__).parent
PROXIES = HERE / "proxies"

PlaneWithPods = Callable[[str], AbstractContextManager[Plane]]


@pytest.fixture(scope="package")
def real_plane(request: pytest.FixtureRequest, plane_with_pods: PlaneWithPods) -> Iterator[Plane]:
    """The plane with real nodes for everything but proxies."""
    assert isinstance(request.node, pytest.Package), "else it lives until all tests are over"
    with plane_with_pods("pods") as plane:
        yield plane


@pytest.hookimpl(tryfirst=True)  # groups are to be known when xdist looks for them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = lacking()
    for item in items:
        if item.path.is_relative_to(HERE):
            group = PROXIES if item.path.is_relative_to(PROXIES) else HERE
            item.add_marker("pods")
            item.add_marker(pytest.mark.xdist_group(group.name))
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
