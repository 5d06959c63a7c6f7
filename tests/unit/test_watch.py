"""The live copies over a scripted API server: what it costs to wait and to read, and what breaks.

Dimensions: who wakes for what, how a watch is lost (ended, broken, expired, refused, for good), and
what is newer: a list, an event, or the answer to our own write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fake_api import FakeApi

from modelfleet import labels
from modelfleet.cluster.live import LiveObjects, LiveServices
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import (
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
    Kind,
    Object,
)
from modelfleet.cluster.reasons import Code, Outcome, Ready, Reason, Waiting
from modelfleet.cluster.watch import SharedWatch
from modelfleet.errors import ForbiddenError, UnavailableError

BROKEN = httpx.ReadError("connection reset")


def marks(name: str) -> dict[str, Any]:
    return {"labels": labels.object_labels(kind="ModelService", name=name, owner="o")}


def key(name: str) -> Key:
    return Key("models", "ModelService", name)


def put_deployment(api: FakeApi, name: str, *, ready: bool = False, **metadata: Any) -> Object:
    status = {"readyReplicas": 1} if ready else {}
    return api.put(DEPLOYMENT, name, metadata={**marks(name), **metadata}, spec={}, status=status)


class Ask:
    """Judges a service by one field, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.times = 0
        self.hashes: list[str | None] = []

    def __call__(
        self, deployment: Object | None, pods: Sequence[Object], *, current_hash: str | None
    ) -> Outcome:
        self.times += 1
        self.hashes.append(current_hash)
        if deployment is not None and deployment["status"].get("readyReplicas"):
            return Ready()
        text = "gone" if deployment is None else f"{len(pods)} pods"
        return Waiting((Reason(Code.ROLLING_OUT, text),))


@asynccontextmanager
async def services(api: FakeApi) -> AsyncIterator[LiveServices]:
    client = api.client()
    live = LiveServices(client)
    try:
        yield live
    finally:
        await live.aclose()
        await client.aclose()


@asynccontextmanager
async def watch(
    api: FakeApi, kind: Kind = DEPLOYMENT, **options: Any
) -> AsyncIterator[SharedWatch]:
    client = api.client()
    shared = SharedWatch(client, kind, **options)
    try:
        yield shared
    finally:
        await shared.aclose()
        await client.aclose()


async def settled() -> None:
    """Give everybody their turns, however long these take: what is told is heard of after a few."""
    for _ in range(200):
        await asyncio.sleep(0)


def pass_by(seconds: float) -> None:
    """Have the loop believe that so much time has passed, and no other while the test ran."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


def names(shared: SharedWatch) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in shared.everything())


# -- waiting


async def test_a_thousand_waiters_cost_one_list_and_one_watch_per_kind() -> None:
    api = FakeApi()
    applied = [put_deployment(api, f"s{index}") for index in range(1_000)]
    async with services(api) as live:
        waits = [live.until(each, Ask(), timeout_seconds=300) for each in applied]
        everyone = asyncio.gather(*waits)
        await api.watched(DEPLOYMENT, POD)
        for index in range(1_000):
            put_deployment(api, f"s{index}", ready=True)
        assert set(await everyone) == {Ready()}
    for kind in (DEPLOYMENT, POD):
        assert (api.requests("list", kind), api.requests("watch", kind)) == (1, 1)
    assert api.requests("list", REPLICA_SET) == 0


async def test_an_event_wakes_only_those_who_wait_for_its_resource() -> None:
    api, mine, other = FakeApi(), Ask(), Ask()
    async with services(api) as live:
        waits = [
            asyncio.ensure_future(live.until(put_deployment(api, name), ask, timeout_seconds=60))
            for name, ask in (("mine", mine), ("other", other))
        ]
        await api.watched(DEPLOYMENT, POD)
        await settled()
        before, others = mine.times, other.times
        for _ in range(10):
            put_deployment(api, "mine")
            await settled()
        assert mine.times >= before + 10
        assert other.times == others
        for name in ("mine", "other"):
            put_deployment(api, name, ready=True)
        await asyncio.gather(*waits)


async def test_a_pod_wakes_the_service_whose_name_it_carries() -> None:
    api = FakeApi()
    seen: list[Waiting] = []
    async with services(api) as live:
        wait = asyncio.ensure_future(
            live.until(
                put_deployment(api, "qwen"), Ask(), timeout_seconds=60, on_progress=seen.append
            )
        )
        await api.watched(DEPLOYMENT, POD)
        api.put(POD, "qwen-1", metadata=marks("qwen"), spec={}, status={})
        api.put(POD, "stranger", metadata={"labels": {}}, spec={}, status={})
        await settled()
        put_deployment(api, "qwen", ready=True)
        assert await wait == Ready()
    assert [waiting.reasons[0].text for waiting in seen] == ["0 pods", "1 pods"]


async def test_at_the_timeout_the_last_reasons_are_returned() -> None:
    api = FakeApi()
    async with services(api) as live:
        applied = put_deployment(api, "qwen")
        wait = asyncio.ensure_future(live.until(applied, Ask(), timeout_seconds=3_600))
        await api.watched(DEPLOYMENT, POD)
        await settled()
        pass_by(3_600)
        outcome = await wait
    assert outcome == Waiting((Reason(Code.ROLLING_OUT, "0 pods"),))


async def test_a_timeout_while_the_server_is_silent_says_so_first() -> None:
    api = FakeApi()
    async with services(api) as live:
        wait = asyncio.ensure_future(
            live.until(put_deployment(api, "qwen"), Ask(), timeout_seconds=50)
        )
        await api.watched(DEPLOYMENT, POD)
        await settled()
        api.down = True
        api.end_watches(BROKEN)
        await settled()
        pass_by(50)
        outcome = await wait
    assert isinstance(outcome, Waiting)
    assert [reason.code for reason in outcome.reasons] == [Code.UNREACHABLE, Code.ROLLING_OUT]


async def test_a_server_that_never_answered_is_the_reason_at_the_timeout() -> None:
    api = FakeApi()
    api.down = True
    async with services(api) as live:
        applied = put_deployment(api, "qwen")
        wait = asyncio.ensure_future(live.until(applied, Ask(), timeout_seconds=50))
        while not api.asked:  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.001)
        await settled()
        pass_by(50)
        outcome = await wait
    assert [reason.code for reason in outcome.reasons] == [Code.UNREACHABLE]


async def test_a_cancelled_waiter_leaves_the_others_waiting() -> None:
    api = FakeApi()
    async with services(api) as live:
        applied = put_deployment(api, "qwen")
        first, second = (
            asyncio.ensure_future(live.until(applied, Ask(), timeout_seconds=60)) for _ in range(2)
        )
        await api.watched(DEPLOYMENT, POD)
        first.cancel()
        await asyncio.wait([first])
        put_deployment(api, "qwen", ready=True)
        assert await second == Ready()
        assert first.cancelled()


async def test_closing_tells_those_who_still_wait() -> None:
    api = FakeApi()
    async with services(api) as live:
        wait = asyncio.ensure_future(
            live.until(put_deployment(api, "qwen"), Ask(), timeout_seconds=60)
        )
        await api.watched(DEPLOYMENT, POD)
    with pytest.raises(UnavailableError, match="the watch was closed"):
        await wait


async def test_closing_lets_a_connection_that_is_being_made_be_made() -> None:
    api = FakeApi()
    api.list_delay_seconds = 0.1
    async with watch(api) as shared:
        shared.start()
        await asyncio.sleep(0.05)
    assert api.requests("watch", DEPLOYMENT) == 1
    assert not api.streams


async def test_closing_does_not_wait_for_a_server_that_does_not_answer() -> None:
    api = FakeApi()
    api.list_delay_seconds = 3600
    began = asyncio.get_running_loop().time()
    async with watch(api) as shared:
        shared.start()
        await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().time() - began < 600


# -- what is newer


async def test_nothing_older_than_the_write_is_ever_judged() -> None:
    api = FakeApi()
    put_deployment(api, "qwen", ready=True)
    async with services(api) as live:
        async with asyncio.timeout(60):
            current = api.objects["deployments", "qwen"]
            assert await live.until(current, Ask(), timeout_seconds=60) == Ready()
        # The write has been answered, its event is still on the way.
        written = put_deployment(api, "qwen", generation=2)
        outcome = await live.until(written, Ask(), timeout_seconds=0.02)
    assert isinstance(outcome, Waiting)


async def test_what_was_deleted_since_the_write_does_not_come_back() -> None:
    api = FakeApi()
    async with services(api) as live:
        await live.until(put_deployment(api, "other", ready=True), Ask(), timeout_seconds=60)
        await api.watched(DEPLOYMENT, POD)
        written = put_deployment(api, "qwen")
        api.remove(DEPLOYMENT, "qwen")
        put_deployment(api, "other")
        await settled()
        wait = asyncio.ensure_future(live.until(written, Ask(), timeout_seconds=3_600))
        await settled()
        pass_by(3_600)
        assert await wait == Waiting((Reason(Code.ROLLING_OUT, "gone"),))
        assert await live.until_gone(written, timeout_seconds=60) is None


async def test_a_list_that_began_before_the_write_does_not_undo_it() -> None:
    api = FakeApi()
    api.list_delay_seconds = 0.05
    async with watch(api) as shared:
        reading = asyncio.ensure_future(shared.fresh())
        await asyncio.sleep(0.01)
        shared.observe(put_deployment(api, "qwen"))
        await reading
        assert names(shared) == ["qwen"]


async def test_a_namesake_made_since_is_another_deployment() -> None:
    api = FakeApi()
    async with services(api) as live:
        applied = put_deployment(api, "qwen")
        wait = asyncio.ensure_future(live.until(applied, Ask(), timeout_seconds=3_600))
        gone = asyncio.ensure_future(live.until_gone(applied, timeout_seconds=7_200))
        await api.watched(DEPLOYMENT, POD)
        api.remove(DEPLOYMENT, "qwen")
        put_deployment(api, "qwen", ready=True)
        await settled()
        pass_by(3_600)
        assert await wait == Waiting((Reason(Code.ROLLING_OUT, "gone"),))
        assert await gone is None


async def test_what_is_left_of_a_deletion_is_returned_at_the_timeout() -> None:
    api = FakeApi()
    async with services(api) as live:
        applied = put_deployment(api, "qwen")
        put_deployment(api, "qwen", deletionTimestamp="2026-01-01T00:00:00Z")
        going = asyncio.ensure_future(live.until_gone(applied, timeout_seconds=3_600))
        await api.watched(DEPLOYMENT)
        await settled()
        pass_by(3_600)
        left = await going
    assert left is not None
    assert left["metadata"]["deletionTimestamp"]


# -- versions of a Deployment


def template(image: str, hash_label: str = "") -> dict[str, Any]:
    extra = {"pod-template-hash": hash_label} if hash_label else {}
    return {
        "template": {
            "metadata": {"labels": {"app": "qwen", **extra}},
            "spec": {"containers": [{"name": "engine", "image": image}]},
        }
    }


async def test_the_present_version_is_that_of_the_replica_set_with_the_same_template() -> None:
    api, ask = FakeApi(), Ask()
    changed = {**marks("qwen"), "generation": 2}
    applied = api.put(DEPLOYMENT, "qwen", metadata=changed, spec=template("v2"), status={})
    for image, version in (("v1", "aaa"), ("v2", "bbb")):
        owned = marks("qwen")
        owned["labels"] = {**owned["labels"], "pod-template-hash": version}
        api.put(REPLICA_SET, f"qwen-{version}", metadata=owned, spec=template(image, version))
    async with services(api) as live:
        wait = asyncio.ensure_future(live.until(applied, ask, timeout_seconds=60))
        await api.watched(DEPLOYMENT, POD, REPLICA_SET)
        await settled()
        assert ask.hashes[-1] == "bbb"
        # Rolled back: the old ReplicaSet is the present one again, whatever its revision says.
        api.put(DEPLOYMENT, "qwen", metadata=changed, spec=template("v1"), status={})
        await settled()
        assert ask.hashes[-1] == "aaa"
        api.put(DEPLOYMENT, "qwen", metadata=changed, spec=template("v3"), status={})
        await settled()
        assert ask.hashes[-1] == ""
        wait.cancel()


# -- losing the watch


async def test_a_watch_that_ends_or_breaks_resumes_without_a_list_and_misses_nothing() -> None:
    api = FakeApi()
    async with watch(api) as shared:
        await shared.fresh()
        for round_, error in enumerate((None, BROKEN)):
            await api.watched(DEPLOYMENT)
            put_deployment(api, f"before-{round_}")
            await settled()
            api.end_watches(error)
            put_deployment(api, f"meanwhile-{round_}")
            await shared.fresh()
        assert names(shared) == ["before-0", "before-1", "meanwhile-0", "meanwhile-1"]
    assert api.requests("list", DEPLOYMENT) == 1


async def test_a_bookmark_moves_the_place_to_resume_from() -> None:
    api = FakeApi()
    async with watch(api) as shared:
        await shared.fresh()
        await api.watched(DEPLOYMENT)
        api.bookmark()
        await settled()
        api.forget()
        api.end_watches()
        await shared.fresh()
    assert api.requests("list", DEPLOYMENT) == 1


@pytest.mark.parametrize("told", ["on reconnecting", "in the stream"])
async def test_an_expired_version_is_listed_anew_and_what_went_meanwhile_is_noticed(
    told: str,
) -> None:
    api = FakeApi()
    put_deployment(api, "stays")
    goes = put_deployment(api, "goes")
    async with watch(api) as shared:
        gone = asyncio.ensure_future(shared.until_gone(goes, timeout_seconds=60))
        await api.watched(DEPLOYMENT)
        # Lost together with the history that would have told of it.
        stream = api.streams.pop()
        api.remove(DEPLOYMENT, "goes")
        api.forget()
        api.streams.add(stream)
        if told == "in the stream":
            api.expire_watches()
        else:
            api.end_watches(BROKEN)
        assert await gone is None
        assert names(shared) == ["stays"]
    assert api.requests("list", DEPLOYMENT) == 2


async def test_a_refused_reconnect_is_tried_again() -> None:
    api = FakeApi()
    async with watch(api) as shared:
        await shared.fresh()
        await api.watched(DEPLOYMENT)
        api.trouble = [httpx.ConnectError("refused"), httpx.Response(503)]
        api.end_watches(BROKEN)
        put_deployment(api, "meanwhile")
        await shared.fresh()
        assert names(shared) == ["meanwhile"]
        assert shared.trouble == ""
    assert api.requests("list", DEPLOYMENT) == 1


async def test_a_server_that_asks_for_time_gets_it() -> None:
    api = FakeApi()
    async with watch(api) as shared:
        await shared.fresh()
        await api.watched(DEPLOYMENT)
        api.trouble = [httpx.Response(429, headers={"Retry-After": "0.7"})]
        api.end_watches(BROKEN)
        began = asyncio.get_running_loop().time()
        await shared.fresh()
        assert asyncio.get_running_loop().time() - began >= 0.7


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_tight_loop() -> None:
    api = FakeApi()
    async with watch(api) as shared:
        await shared.fresh()
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - began < 0.8:
            api.end_watches()
            await asyncio.sleep(0.001)
        took = asyncio.get_running_loop().time() - began
    assert api.requests("watch", DEPLOYMENT) <= 6 * took / 0.8


async def test_a_server_that_stays_away_is_given_up_and_the_next_waiter_starts_anew() -> None:
    api = FakeApi()
    async with watch(api, unreachable_seconds=0.3) as shared:
        await shared.fresh()
        await api.watched(DEPLOYMENT)
        applied = put_deployment(api, "qwen")
        waits = [asyncio.ensure_future(shared.until_gone(applied, timeout_seconds=90))]
        api.down = True
        api.end_watches(BROKEN)
        waits += [asyncio.ensure_future(shared.fresh())]
        for wait in waits:
            with pytest.raises(UnavailableError, match=r"given up after .* connection refused"):
                await wait
        api.down = False
        await shared.fresh()
        assert names(shared) == ["qwen"]


async def test_a_server_that_says_no_is_not_asked_again() -> None:
    api = FakeApi()
    denied = {"kind": "Status", "reason": "Forbidden", "message": "cannot list"}
    api.trouble = [httpx.Response(403, json=denied)]
    async with watch(api) as shared:
        with pytest.raises(ForbiddenError):
            await shared.fresh()
    assert len(api.asked) == 1


DENIED = {"kind": "Status", "reason": "Forbidden", "message": "cannot watch"}


async def test_a_server_that_was_restarted_may_say_no_for_a_moment() -> None:
    api = FakeApi()
    async with watch(api) as shared:
        await shared.fresh()
        await api.watched(DEPLOYMENT)
        api.trouble = [BROKEN, *(httpx.Response(403, json=DENIED) for _ in range(2))]
        api.end_watches(BROKEN)
        put_deployment(api, "meanwhile")
        await shared.fresh()
        assert names(shared) == ["meanwhile"]


async def test_a_server_that_goes_on_saying_no_is_believed() -> None:
    api = FakeApi()
    async with watch(api, unreachable_seconds=0.3) as shared:
        await shared.fresh()
        await api.watched(DEPLOYMENT)
        api.trouble = [httpx.Response(403, json=DENIED) for _ in range(50)]
        api.end_watches(BROKEN)
        with pytest.raises(ForbiddenError, match="cannot watch"):
            await shared.fresh()


async def test_a_fault_of_our_own_reaches_those_who_wait_instead_of_hanging_them() -> None:
    api = FakeApi()
    put_deployment(api, "qwen")

    def faulty(obj: Object) -> Object:
        raise KeyError("a bug")

    async with watch(api, slim=faulty) as shared:
        with pytest.raises(KeyError, match="a bug"):
            await shared.fresh()


# -- reading

READ_KINDS = (DEPLOYMENT, SERVICE, SECRET)


@asynccontextmanager
async def objects(api: FakeApi) -> AsyncIterator[LiveObjects]:
    client = api.client()
    live = LiveObjects(client, READ_KINDS)
    try:
        yield live
    finally:
        await live.aclose()
        await client.aclose()


async def requests_of_a_refresh(count: int, *, at_once: int) -> int:
    """Read ``count`` resources, ``at_once`` at a time, as the engine does."""
    api = FakeApi()
    for index in range(count):
        put_deployment(api, f"s{index}")
        api.put(SERVICE, f"s{index}", metadata=marks(f"s{index}"))
    async with objects(api) as live:
        places = asyncio.Semaphore(at_once)

        async def read(name: str) -> None:
            async with places:
                found = await live.read(key(name))
            assert [obj["kind"] for obj in found] == ["Deployment", "Service"]

        await asyncio.gather(*(read(f"s{index}") for index in range(count)))
    return len(api.asked)


@pytest.mark.parametrize("at_once", [64, 500])
async def test_reading_five_hundred_resources_asks_for_no_more_than_reading_ten(
    at_once: int,
) -> None:
    few = await requests_of_a_refresh(10, at_once=min(10, at_once))
    assert few == await requests_of_a_refresh(500, at_once=at_once)
    assert few == 2 * len(READ_KINDS)


async def test_a_read_sees_what_happened_before_it() -> None:
    api = FakeApi()
    async with objects(api) as live:
        assert await live.read_all() == ()
        for index in range(5):
            put_deployment(api, f"s{index}")
            assert len(await live.read_all()) == index + 1


async def test_a_read_while_the_watch_is_broken_waits_until_it_is_back() -> None:
    api = FakeApi()
    async with objects(api) as live:
        await live.read_all()
        await api.watched(*READ_KINDS)
        api.down = True
        api.end_watches(BROKEN)
        await asyncio.sleep(0.01)
        put_deployment(api, "meanwhile")
        reading = asyncio.ensure_future(live.read_all())
        await asyncio.sleep(0.2)
        assert not reading.done()
        api.down = False
        assert [obj["metadata"]["name"] for obj in await reading] == ["meanwhile"]


async def test_a_read_that_comes_during_the_list_waits_for_the_watch() -> None:
    api = FakeApi()
    api.list_delay_seconds = 0.1
    async with objects(api) as live:
        first = asyncio.ensure_future(live.read_all())
        await asyncio.sleep(0.05)
        put_deployment(api, "after-the-list-began")
        second = await live.read_all()
        await first
    assert [obj["metadata"]["name"] for obj in second] == ["after-the-list-began"]
    assert api.requests("list", DEPLOYMENT) == 1


async def test_reads_see_our_own_writes_at_once() -> None:
    api = FakeApi()
    async with watch(api, settle_seconds=0.0) as shared:
        await shared.fresh()
        await api.watched(DEPLOYMENT)
        shared.observe(put_deployment(api, "qwen"))
        assert names(shared) == ["qwen"]


async def test_an_object_that_changes_its_resource_is_found_under_the_new_one_only() -> None:
    api = FakeApi()
    put_deployment(api, "qwen")
    async with objects(api) as live:
        assert len(await live.read(key("qwen"))) == 1
        api.put(DEPLOYMENT, "qwen", metadata=marks("other"), spec={}, status={})
        assert await live.read(key("qwen")) == ()
        assert len(await live.read(key("other"))) == 1
