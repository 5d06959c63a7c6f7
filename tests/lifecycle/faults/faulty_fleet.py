"""Fleets whose requests meet faults on their way to the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from faults.fault_proxy import FaultProxy
from faults.fault_schedule import Schedule, no_faults
from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client
from modelfleet.cluster.retry import RetryPolicy
from modelfleet.fleet import Fleet

SOON = RetryPolicy(first_delay_seconds=0.02, longest_delay_seconds=0.1, budget_seconds=240)
NEVER = RetryPolicy(budget_seconds=0)


@dataclass(frozen=True)
class Faulty:
    """A fleet, and the proxy that its requests pass."""

    fleet: Fleet
    proxy: FaultProxy


Through = Callable[..., AbstractAsyncContextManager[Faulty]]


@asynccontextmanager
async def through_faults(
    access: Access,
    schedule: Schedule = no_faults,
    *,
    retry: RetryPolicy = SOON,
    **options: Any,
) -> AsyncIterator[Faulty]:
    """Give a fleet that reaches the server of ``access`` through a proxy with ``options``."""
    async with FaultProxy(access, schedule, **options).serving() as proxy:
        fleet = Fleet(Client(proxy.access(), retry=retry))
        try:
            yield Faulty(fleet, proxy)
        finally:
            await fleet.aclose()
