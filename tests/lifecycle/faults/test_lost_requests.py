"""One request is lost, refused, delayed or halved: what the call makes of it, and what is left.

Dimensions: which request x what becomes of it x whether it may be sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fleets import desired, external, hosted, names_in, updated, writes

from faults.fault_proxy import RETRY_AFTER_SECONDS
from faults.fault_schedule import OF_REQUESTS, Fault, Scripted
from faults.faulty_fleet import NEVER, Through
from faults.raw_http import Request
from modelfleet.cluster import connections
from modelfleet.errors import ConflictError, NotReadyError, UnavailableError
from modelfleet.fleet import Fleet

HOSTED = ["NetworkPolicy qwen", "Service qwen", "Deployment qwen"]
STOPPED = {"replicas": 0}


def writing(plural: str = "") -> Callable[[Request], bool]:
    """Pick the requests that write objects of a kind."""
    return lambda request: request.writes and f"/{plural}" in request.path


def reading(request: Request) -> bool:
    return not request.writes and not request.is_watch and "/namespaces/t-" in request.path


@pytest.mark.parametrize("fault", OF_REQUESTS)
async def test_a_write_that_meets_a_fault_is_made_good_within_the_call(
    fault: Fault, through: Through, fleet: Fleet, namespace: str
) -> None:
    service = desired(hosted(namespace, STOPPED))
    async with through(Scripted([fault] * 2, when=writing("services"))) as faulty:
        await faulty.fleet.apply(service)
        assert faulty.proxy.injected.keys() == {fault}
    before = writes(fleet.client)
    await fleet.apply(updated(service, hosted(namespace, STOPPED)))
    assert writes(fleet.client) == before, "nothing was left to write"
    assert await names_in(fleet.client, namespace) == HOSTED


@pytest.mark.parametrize("fault", [each for each in OF_REQUESTS if each is not Fault.CONFLICT])
async def test_a_read_that_meets_a_fault_never_passes_for_a_missing_object(
    fault: Fault, through: Through, namespace: str
) -> None:
    service = desired(hosted(namespace, STOPPED))
    async with through() as faulty:
        await faulty.fleet.apply(service)
        before = writes(faulty.fleet.client)
        faulty.proxy.schedule = Scripted([fault] * 3, when=reading)
        await faulty.fleet.apply(updated(service, hosted(namespace, STOPPED)))
        assert faulty.proxy.injected == {fault: 3}
        assert writes(faulty.fleet.client) == before


@pytest.mark.parametrize(
    "fault", [each for each in OF_REQUESTS if each not in (Fault.BUSY, Fault.CONFLICT, Fault.STALL)]
)
async def test_a_create_whose_first_write_was_not_answered_is_kept_in_the_state(
    fault: Fault, through: Through, fleet: Fleet, namespace: str
) -> None:
    service = desired(external(namespace))
    async with through(Scripted([fault], when=writing()), retry=NEVER) as faulty:
        with pytest.raises(NotReadyError, match=r"was not written wholly\. Secret") as caught:
            await faulty.fleet.apply(service)
    assert not caught.value.taken_back
    await fleet.delete(service)
    assert await names_in(fleet.client, namespace) == []


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault.BUSY, UnavailableError), (Fault.CONFLICT, ConflictError)]
)
async def test_a_create_whose_first_write_was_refused_is_not_in_the_state(
    fault: Fault, error: type[Exception], through: Through, namespace: str
) -> None:
    async with through(Scripted([fault] * 5, when=writing()), retry=NEVER) as faulty:
        with pytest.raises(error, match=f"^Secret {namespace}/qwen-external: "):
            await faulty.fleet.apply(desired(external(namespace)))
        assert await names_in(faulty.fleet.client, namespace) == []


async def test_a_server_that_fails_before_anything_was_written_refuses_a_create(
    through: Through, namespace: str
) -> None:
    async with through(Scripted([Fault.NOT_READY], when=reading), retry=NEVER) as faulty:
        with pytest.raises(UnavailableError):
            await faulty.fleet.apply(desired(external(namespace)))
        assert writes(faulty.fleet.client) == {}


async def test_an_unanswered_create_is_rolled_back_where_that_is_asked_for(
    through: Through, fleet: Fleet, namespace: str
) -> None:
    async with through(Scripted([Fault.CUT_AFTER], when=writing()), retry=NEVER) as faulty:
        with pytest.raises(NotReadyError, match="It was removed again") as caught:
            await faulty.fleet.apply(desired(external(namespace)), on_failure="rollback")
    assert caught.value.taken_back
    assert await names_in(fleet.client, namespace) == []


async def test_a_write_that_got_through_unseen_counts_as_a_change_of_this_call(
    through: Through, namespace: str
) -> None:
    """Then a refusal further on leaves the service changed, and the state has to know that."""
    before, after = hosted(namespace, STOPPED), hosted(namespace, {**STOPPED, "port": 9001})
    after["deployment"]["runtime"] = {**after["deployment"]["runtime"], "port": 9001}
    del after["deployment"]["port"]
    service = desired(before)
    async with through() as faulty:
        await faulty.fleet.apply(service)
        refused = Scripted([Fault.CONFLICT] * 5, when=writing("deployments"))
        unseen = Scripted([Fault.CUT_AFTER], when=writing("services"))
        faulty.proxy.schedule = lambda request: unseen(request) or refused(request)
        with pytest.raises(NotReadyError, match=r"was not written wholly\. Deployment"):
            await faulty.fleet.apply(updated(service, after))


@pytest.mark.parametrize("fault", OF_REQUESTS)
async def test_a_delete_that_meets_a_fault_is_made_good_within_the_call(
    fault: Fault, through: Through, fleet: Fleet, namespace: str
) -> None:
    service = desired(hosted(namespace, STOPPED))
    await fleet.apply(service)
    async with through(Scripted([fault] * 2, when=writing())) as faulty:
        await faulty.fleet.delete(service)
        assert faulty.proxy.injected.keys() == {fault}
    assert await names_in(fleet.client, namespace) == []


async def test_a_server_that_says_nothing_is_given_up_and_asked_again(
    through: Through, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_TIMEOUT_SECONDS", 5.0)
    stalls = Scripted([Fault.STALL], when=writing())
    async with through(stalls, stall_seconds=600) as faulty:
        service = await faulty.fleet.apply(desired(external(namespace)))
        assert service.status == "READY"
        assert faulty.proxy.injected == {Fault.STALL: 1}
        # A server that is slow beyond that, too, is asked once more.
        assert faulty.fleet.client.requests["apply secrets"] >= 2


async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(
    through: Through, namespace: str
) -> None:
    times: list[float] = []
    busy = Scripted([Fault.BUSY], when=writing())

    def noted(request: Request) -> Any:
        if request.writes:
            times.append(time.monotonic())
        return busy(request)

    async with through(noted) as faulty:
        await faulty.fleet.apply(desired(external(namespace)))
    first, second = times
    assert second - first >= RETRY_AFTER_SECONDS
