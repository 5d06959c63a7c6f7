"""Watches that break, expire or never open, while somebody waits: waiting goes on all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import pytest
from fleets import Gate, desired, hosted, names_in

from faults.fault_schedule import Fault, Scripted
from faults.faulty_fleet import Through
from faults.raw_http import Request
from modelfleet.fleet import Fleet

WATCH_FAULTS = [
    Fault.CUT_WATCH,
    Fault.EXPIRE_WATCH,
    Fault.CUT_BEFORE,
    Fault.INTERNAL,
    Fault.NOT_READY,
    Fault.BUSY,
]


def of_watches(request: Request) -> bool:
    return request.is_watch


def asks_again(asked: Mapping[str, int]) -> bool:
    return asked["watch deployments"] >= 2


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(240):
        while not holds():  # noqa: ASYNC110 - a cluster, not a task
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("fault", WATCH_FAULTS)
async def test_a_service_becomes_ready_over_watches_that_fail(
    fault: Fault, through: Through, namespace: str, gate: Gate
) -> None:
    async with through(Scripted([fault] * 4, when=of_watches)) as faulty:
        apply = asyncio.create_task(faulty.fleet.apply(desired(hosted(namespace, gate.deployment))))
        await until(lambda: faulty.proxy.injected[fault] == 4 or apply.done())
        gate.open()
        assert (await apply).status == "READY"
        assert faulty.proxy.injected[fault] == 4


@pytest.mark.parametrize("fault", WATCH_FAULTS)
async def test_a_deletion_is_seen_to_end_over_watches_that_fail(
    fault: Fault, through: Through, fleet: Fleet, namespace: str
) -> None:
    service = desired(hosted(namespace))
    await fleet.apply(service)
    async with through(Scripted([fault] * 3, when=of_watches)) as faulty:
        await faulty.fleet.delete(service)
    assert await names_in(fleet.client, namespace) == []


async def test_an_expired_watch_is_listed_anew_and_one_that_broke_goes_on_where_it_was(
    through: Through, namespace: str
) -> None:
    for fault, lists in ((Fault.EXPIRE_WATCH, 2), (Fault.CUT_BEFORE, 1)):
        of_deployments = Scripted(
            [fault], when=lambda each: each.is_watch and each.path.endswith("/deployments")
        )
        async with through(of_deployments) as faulty:
            name = fault.name.lower().replace("_", "-")
            await faulty.fleet.apply(desired(hosted(namespace, model_service_name=name)))
            asked = faulty.fleet.client.requests
            await until(partial(asks_again, asked))
            assert asked["list deployments"] == lists
