"""What the tests rely on in the tools that run them."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("kept")
def test_a_group_of_tests_stays_on_one_worker(request: pytest.FixtureRequest) -> None:
    distributed = getattr(request.config, "workerinput", None)
    assert distributed is None or request.node.nodeid.endswith("@kept")
