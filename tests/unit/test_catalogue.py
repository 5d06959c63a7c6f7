"""The catalogue over a scripted API server: what looks cost, how old they are, what spoils them.

Dimensions: what changes, how a watch is lost and found again, and what is wrong with a record.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fake_api import FakeApi

from modelfleet import labels
from modelfleet.catalogue import Catalogue
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import DEPLOYMENT, POD, REPLICA_SET, SECRET, Kind, Object
from modelfleet.desired import Desired, Kept
from modelfleet.errors import ForbiddenError
from modelfleet.plan import spec_of

BROKEN = httpx.ReadError("connection reset")
KINDS = (DEPLOYMENT, SECRET, POD, REPLICA_SET)
UID = "the-uid"


class Cluster(FakeApi):
    """An API server that also says which cluster it is of."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/kube-system") and not self.down:
            self.asked.append(request)
            return httpx.Response(200, json={"metadata": {"uid": UID}})
        return await super().handle_async_request(request)


@asynccontextmanager
async def catalogue(api: FakeApi, **options: Any) -> AsyncIterator[Catalogue]:
    client = api.client()
    found = Catalogue(client, settle_seconds=0.01, **options)
    try:
        yield found
    finally:
        await found.aclose()
        await client.aclose()


def external(name: str, **fields: Any) -> Object:
    """Return the primary object of a service that runs elsewhere, with a key in it."""
    settings = {"base_url": "https://api.example.com/v1", "api_key": "hush"}
    declared = {"model_service_name": name, "namespace": "models", "provider_settings": settings}
    spec = spec_of({**declared, **fields})
    desired = Desired(spec=spec, owner="o", incarnation="1")
    return desired.objects(cluster_uid=UID, kept=Kept())[-1]


def put(api: FakeApi, name: str, **fields: Any) -> Object:
    made = external(name, **fields)
    annotations, marks = made["metadata"]["annotations"], made["metadata"]["labels"]
    return put_as(api, SECRET, name, annotations=annotations, marks=marks, data=made["data"])


def put_as(
    api: FakeApi, kind: Kind, name: str, *, annotations: Any, marks: Any, **fields: Any
) -> Object:
    called = labels.external_secret_name(name) if kind is SECRET else name
    return api.put(kind, called, metadata={"labels": marks, "annotations": annotations}, **fields)


def key(name: str) -> Key:
    return Key("models", "ModelService", name)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a script of an API server, not a task
            await asyncio.sleep(0.005)


def names(found: Catalogue) -> list[str]:
    return [entry.key.name for entry in found.last_known().entries]


# -- what looks cost and show


async def test_any_number_of_looks_costs_one_list_and_one_watch_per_kind() -> None:
    api = Cluster()
    for at in range(20):
        put(api, f"s{at:02}")
    async with catalogue(api) as found:
        await asyncio.gather(*(found.fresh() for _ in range(50)))
        for _ in range(100):
            found.start()
            found.last_known()
        await found.fresh()
        for kind in KINDS:
            assert (api.requests("list", kind), api.requests("watch", kind)) == (1, 1)
        assert len(api.asked) == 2 * len(KINDS) + 1


async def test_a_snapshot_stays_as_it_was_and_is_the_same_while_nothing_changes() -> None:
    api = Cluster()
    put(api, "aa"), put(api, "cc")
    async with catalogue(api) as found:
        first = await found.fresh()
        assert found.last_known() is first
        put(api, "bb")
        api.remove(SECRET, "aa-external")
        second = await found.fresh()
        assert [each.key.name for each in first.entries] == ["aa", "cc"]
        assert sorted(first.by_key) == [key("aa"), key("cc")]
        assert [each.key.name for each in second.entries] == ["bb", "cc"]
        assert second.version > first.version
        with pytest.raises(TypeError):
            first.by_key[key("aa")] = first.entries[0]  # type: ignore[index]


async def test_entries_are_in_order_however_many_change_between_two_looks() -> None:
    api, chance = Cluster(), random.Random(7)  # noqa: S311 - not a secret
    present: set[str] = set()
    async with catalogue(api) as found:
        for changes in (150, 1, 3, 1, 120, 30, 2):
            for _ in range(changes):
                name = f"s{chance.randrange(200):03}"
                if name in present and chance.random() < 0.4:
                    api.remove(SECRET, f"{name}-external")
                    present.discard(name)
                else:
                    put(api, name, description=str(chance.random()))
                    present.add(name)
            snapshot = await found.fresh()
            assert [each.key.name for each in snapshot.entries] == sorted(present)
            assert all(snapshot.by_key[each.key] is each for each in snapshot.entries)


async def test_one_change_among_many_looks_at_that_one_alone() -> None:
    api = Cluster()
    for at in range(50):
        put(api, f"s{at:02}")
    async with catalogue(api) as found:
        before = await found.fresh()
        put(api, "s07", description="new")
        after = await found.fresh()
        same = [each.key.name for each in before.entries if after.by_key[each.key] is each]
        assert len(same) == 49
        assert "s07" not in same


async def test_nothing_of_a_secret_is_in_an_entry() -> None:
    api = Cluster()
    put(api, "aa")
    async with catalogue(api) as found:
        (entry,) = (await found.fresh()).entries
        assert entry.spec is not None
        told = json.dumps(entry.primary) + repr(entry) + entry.spec.model_dump_json()
        assert "data" not in entry.primary
        assert all(text not in told for text in ("hush", "aHVzaA"))


async def test_whoever_waits_is_woken_by_any_change_and_told_when_there_was_none() -> None:
    api = Cluster()
    async with catalogue(api) as found:
        await found.fresh()
        assert not await found.changed(timeout_seconds=0.01)
        waiting = asyncio.ensure_future(found.changed(timeout_seconds=60))
        await asyncio.sleep(0)
        put(api, "aa")
        assert await waiting
        assert names(found) == ["aa"]


async def test_a_write_of_this_process_shows_at_once_and_so_does_a_deletion() -> None:
    api = Cluster()
    async with catalogue(api) as found:
        await found.fresh()
        api.streams.clear()  # nobody tells of what happens from now on
        live = put(api, "aa")
        found.observe(live)
        assert names(found) == ["aa"]
        found.observe_deletion(live, left=None)
        assert names(found) == []


async def test_a_service_that_turns_external_is_what_it_is_becoming() -> None:
    api = Cluster()
    made = external("aa")["metadata"]
    old = {"annotations": made["annotations"], "marks": made["labels"]}
    put_as(api, DEPLOYMENT, "aa", **old, spec={"replicas": 1}, status={})
    async with catalogue(api) as found:
        await found.fresh()
        young = {**made, "creationTimestamp": "2026-01-01T00:00:01Z"}
        api.put(
            SECRET,
            "aa-external",
            metadata={k: young[k] for k in ("labels", "annotations", "creationTimestamp")},
        )
        (entry,) = (await found.fresh()).entries
        assert entry.primary["kind"] == "Secret"
        api.remove(DEPLOYMENT, "aa")
        (entry,) = (await found.fresh()).entries
        assert entry.primary["kind"] == "Secret"


# -- which cluster it is


async def test_entries_say_which_cluster_they_are_of_though_nobody_asked_for_a_fresh_look() -> None:
    api = Cluster()
    put(api, "aa")
    async with catalogue(api) as found:
        found.start()
        await until(lambda: found.last_known().entries)
        await until(lambda: found.last_known().entries[0].service.cluster_uid)
        assert found.last_known().entries[0].service.cluster_uid == UID


# -- how old it is


async def test_age_grows_from_the_loss_of_a_watch_whether_anybody_asks_or_not() -> None:
    api = Cluster()
    put(api, "aa")
    async with catalogue(api) as found:
        clock = asyncio.get_running_loop().time
        await found.fresh()
        await api.watched(*KINDS)
        assert found.freshness.age_seconds == 0
        assert found.freshness.synced
        api.down, lost_at = True, clock()
        api.end_watches(BROKEN)
        await until(lambda: found.freshness.age_seconds >= 0.2)
        assert found.freshness.age_seconds <= clock() - lost_at
        assert names(found) == ["aa"]
        api.down = False
        await until(lambda: found.freshness.age_seconds == 0)
        assert found.freshness.trouble == ""


async def test_a_watch_that_ends_in_order_is_no_trouble_and_costs_no_list() -> None:
    api = Cluster()
    async with catalogue(api) as found:
        await found.fresh()
        await api.watched(*KINDS)
        api.end_watches()
        put(api, "aa")
        await until(lambda: names(found) == ["aa"] and found.freshness.age_seconds == 0)
        assert found.freshness.trouble == ""
        assert {api.requests("list", kind) for kind in KINDS} == {1}


async def test_one_that_was_given_up_answers_as_last_known_and_begins_anew_when_started() -> None:
    api = Cluster()
    put(api, "aa")
    async with catalogue(api, unreachable_seconds=0.3) as found:
        await found.fresh()
        await api.watched(*KINDS)
        api.down = True
        api.end_watches(BROKEN)
        await until(lambda: all(watch.has_ended for watch in found._watches))
        given_up_at = found.freshness.age_seconds
        assert given_up_at >= 0.3
        asked = len(api.asked)
        for _ in range(100):
            found.start()  # let rest at first, however many look
        await asyncio.sleep(0.05)
        assert names(found) == ["aa"]
        assert (found.freshness.synced, len(api.asked)) == (True, asked)
        api.down = False
        put(api, "bb")
        snapshot = await found.fresh()
        assert [each.key.name for each in snapshot.entries] == ["aa", "bb"]
        assert found.freshness.synced
        await until(lambda: found.freshness.age_seconds == 0)
        assert found.freshness.trouble == ""


async def test_age_goes_on_over_one_that_was_given_up_and_is_begun_anew() -> None:
    api = Cluster()
    async with catalogue(api, unreachable_seconds=0.1) as found:
        await found.fresh()
        await api.watched(*KINDS)
        api.down = True
        api.end_watches(BROKEN)
        await until(lambda: all(watch.has_ended for watch in found._watches))
        for watch in found._watches:
            watch.start()
        await asyncio.sleep(0.01)
        assert found.freshness.age_seconds >= 0.1
        assert "connection refused" in found.freshness.trouble


async def test_who_may_not_list_is_told_and_the_server_is_not_asked_for_every_look() -> None:
    refusal = httpx.Response(403, json={"kind": "Status", "reason": "Forbidden", "message": "no"})
    api = Cluster()
    async with catalogue(api) as found:
        api.trouble = [refusal] * 100
        with pytest.raises(ForbiddenError):
            await found.fresh()
        await until(lambda: all(watch.has_ended for watch in found._watches))
        asked = len(api.asked)
        for _ in range(50):
            found.start()
            await asyncio.sleep(0)
        assert len(api.asked) == asked
        assert not found.freshness.synced


# -- what spoils a record


def spoilt(text: str | None, **content: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(annotations: dict[str, Any]) -> None:
        record = {**json.loads(annotations[labels.RECORD]), **content}
        annotations[labels.RECORD] = json.dumps(record) if text is None else text

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(spoilt("{"), id="no JSON"),
        pytest.param(spoilt("[]"), id="no map"),
        pytest.param(spoilt(None, v=99), id="of a newer release"),
        pytest.param(spoilt(None, spec={"unheard_of": 1}), id="of another shape"),
        pytest.param(spoilt(None, spec=7), id="no spec"),
        pytest.param(lambda annotations: annotations.pop(labels.OWNER), id="of no owner"),
    ],
)
async def test_a_spoilt_record_leaves_the_resource_listed_and_the_others_as_they_are(
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    api = Cluster()
    put(api, "aa"), put(api, "zz")
    metadata = external("mm")["metadata"]
    spoil(metadata["annotations"])
    put_as(api, SECRET, "mm", annotations=metadata["annotations"], marks=metadata["labels"])
    async with catalogue(api) as found:
        first, middle, last = (await found.fresh()).entries
        assert (middle.key, middle.spec) == (key("mm"), None)
        assert middle.service.status == "READY"
        assert first.spec is not None and last.spec is not None


async def test_an_object_of_a_kind_of_later_is_listed_without_its_spec() -> None:
    api = Cluster()
    metadata = external("aa")["metadata"]
    marks = {**metadata["labels"], labels.KIND: "ModelFuture"}
    deployment: dict[str, Any] = {"spec": {"replicas": 0}, "status": {}}
    put_as(api, DEPLOYMENT, "aa", annotations=metadata["annotations"], marks=marks, **deployment)
    async with catalogue(api) as found:
        (entry,) = (await found.fresh()).entries
        assert (entry.key.kind, entry.spec) == ("ModelFuture", None)
