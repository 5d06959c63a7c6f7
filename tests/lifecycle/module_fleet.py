"""One fleet for all tests of a module, which has many short ones and counts only what is written.

A fleet of its own costs each test some twenty connections, with their handshakes on both sides. The
tests of such a module share an event loop too: ``pytestmark = ON_ONE_LOOP``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet

ON_ONE_LOOP: Final = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="fleet")
async def module_fleet(fleet_kubeconfig: Path) -> AsyncIterator[Fleet]:
    """The fleet of the plane, in the hands of a user with the least rights."""
    fleet = Fleet(Client.connect(kubeconfig=str(fleet_kubeconfig)))
    yield fleet
    await fleet.aclose()
