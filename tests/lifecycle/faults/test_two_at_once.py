"""Two runs at once, of two stacks or of one, over the same names: nothing is torn in two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fleets import OTHER_OWNER, OWNER, desired, external, hosted, objects_in, updated, writes

from faults.fault_schedule import Fault, Scripted
from faults.faulty_fleet import Through
from faults.raw_http import Request
from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.mirror import Key
from modelfleet.errors import AlreadyExistsError, ModelFleetError
from modelfleet.fleet import Desired, Fleet
from modelfleet.service import Service

STOPPED = {"replicas": 0, "secret_env": {"TOKEN": "hush-do-not-tell"}}
NAMES = [f"svc-{number}" for number in range(6)]


@pytest_asyncio.fixture
async def other_fleet(fleet_kubeconfig: Path) -> AsyncIterator[Fleet]:
    """The fleet in the hands of another process."""
    fleet = Fleet(Client.connect(kubeconfig=str(fleet_kubeconfig)))
    yield fleet
    await fleet.aclose()


async def applied_at_once(
    first: tuple[Fleet, list[Desired]], second: tuple[Fleet, list[Desired]]
) -> list[list[Service | BaseException]]:
    """Apply both lists, service against service, and return what became of each."""
    (one, ours), (other, theirs) = first, second
    pairs = zip(ours, theirs, strict=True)
    return await asyncio.gather(
        *(
            asyncio.gather(one.apply(our), other.apply(their), return_exceptions=True)
            for our, their in pairs
        )
    )


def declared(namespace: str, name: str) -> dict[str, object]:
    """Return a service, every third of them an external one."""
    if int(name.rpartition("-")[2]) % 3 == 0:
        return external(namespace, api_key="hush-do-not-tell") | {"model_service_name": name}
    return hosted(namespace, STOPPED, model_service_name=name, wait={"until": "accepted"})


@pytest.mark.parametrize("fault", [None, Fault.CUT_AFTER, Fault.CUT_BEFORE])
async def test_of_two_stacks_exactly_one_gets_each_service_and_the_other_is_told_whose_it_is(
    fault: Fault | None, through: Through, fleet: Fleet, namespace: str
) -> None:
    def when(request: Request) -> bool:
        return request.writes

    ours = [desired(declared(namespace, name)) for name in NAMES]
    theirs = [desired(declared(namespace, name), owner=OTHER_OWNER) for name in NAMES]
    async with through(Scripted([fault] * 20 if fault else [], when=when)) as faulty:
        outcomes = await applied_at_once((fleet, ours), (faulty.fleet, theirs))
    for our, their, pair in zip(ours, theirs, outcomes, strict=True):
        [refusal] = [each for each in pair if isinstance(each, BaseException)]
        [service] = [each for each in pair if isinstance(each, Service)]
        winner = our if service is pair[0] else their
        assert isinstance(refusal, AlreadyExistsError), refusal
        assert f"belongs to stack {winner.owner}" in str(refusal)
        # Of the winner's objects, which one was there first when all were looked for at once.
        kinds = {ref.kind.kind for ref in winner.refs}
        assert str(refusal).startswith(tuple(f"{kind} {namespace}/" for kind in kinds))
        found = await objects_in(fleet.client, namespace, name=winner.spec.model_service_name)
        marks = {
            (
                obj["metadata"]["annotations"][labels.OWNER],
                obj["metadata"]["labels"][labels.OWNER_HASH],
            )
            for obj in found.values()
        }
        assert marks == {(winner.owner, labels.owner_hash(winner.owner))}
        managers = {
            entry["manager"]
            for obj in found.values()
            for entry in obj["metadata"]["managedFields"]
            if entry["manager"].startswith("modelfleet-")
        }
        assert managers == {labels.field_manager(winner.owner)}


async def test_two_runs_of_one_stack_at_once_leave_what_the_next_run_converges(
    fleet: Fleet, other_fleet: Fleet, namespace: str
) -> None:
    ours, theirs = ([desired(declared(namespace, name)) for name in NAMES] for _ in range(2))
    outcomes = await applied_at_once((fleet, ours), (other_fleet, theirs))
    for each in (each for pair in outcomes for each in pair):
        assert isinstance(each, Service | ModelFleetError), each

    saved = [
        updated(their, declared(namespace, name)) for their, name in zip(theirs, NAMES, strict=True)
    ]
    for service in saved:
        await fleet.apply(service)
    before = writes(fleet.client)
    for service in saved:
        await fleet.apply(service)
    assert writes(fleet.client) == before

    incarnations = {service.incarnation for service in saved}
    listed = await fleet.list(namespace=namespace, owner=OWNER)
    assert {each.incarnation for each in listed} == incarnations
    known = {Key(namespace, "ModelService", each.name): {each.incarnation} for each in listed}
    orphans = await fleet.orphans(OWNER, known=known)
    assert [each for each in orphans if each.namespace == namespace] == []


async def test_a_run_that_destroys_beside_one_that_creates_leaves_what_the_next_run_converges(
    fleet: Fleet, other_fleet: Fleet, namespace: str
) -> None:
    ours = [desired(declared(namespace, name)) for name in NAMES]
    await asyncio.gather(*(fleet.apply(each) for each in ours))
    again = [desired(declared(namespace, name)) for name in NAMES]
    outcomes = await asyncio.gather(
        *(fleet.delete(each) for each in ours),
        *(other_fleet.apply(each) for each in again),
        return_exceptions=True,
    )
    for each in outcomes:
        assert each is None or isinstance(each, Service | ModelFleetError), each
    await asyncio.gather(*(other_fleet.apply(each) for each in again))
    before = writes(other_fleet.client)
    await asyncio.gather(*(other_fleet.apply(each) for each in again))
    assert writes(other_fleet.client) == before
    listed = await fleet.list(namespace=namespace, owner=OWNER)
    assert {each.incarnation for each in listed} == {each.incarnation for each in again}
