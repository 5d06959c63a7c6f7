"""Limits that several processes count together, in a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
import redis
import trustme

from modelfleet.gateway.app import redis_counters
from modelfleet.gateway.app.limits import Limiter, Scope, limiter_of
from modelfleet.gateway.app.redis_counters import ATTEMPT_SECONDS, RedisCounters, redis_client
from modelfleet.gateway.app.refusal import Refusal
from modelfleet.gateway.app.shared_counters import OnFailure, SharedCounters
from redis_server import RedisServer, free_port, redis_server

LOGGER = "modelfleet.gateway.app.shared_counters"
AWAY = "Limits cannot be checked at the moment. Try again in 1 s."

pytestmark = pytest.mark.xdist_group("redis")

_Result = TypeVar("_Result")


Pace = Callable[[float], None]
"""Told by what factor longer a Redis that does not answer is waited for than in service."""


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> Pace:
    """Where a machine is slow its Redis is not away, unless a test is about one that is silent."""

    def take(factor: float) -> None:
        monkeypatch.setattr(redis_counters, "ATTEMPT_SECONDS", factor * ATTEMPT_SECONDS)

    take(1_000)
    return take


async def at_some_pace(pace: Pace, attempt: Callable[[float], Awaitable[None]]) -> None:
    """Have ``attempt`` pass at the pace of service, or where the machine cannot, at a slower one.

    It is told the factor, and does everything else by so much longer.
    """
    *tried, slowest = 1, 2, 4, 8, 16
    for factor in tried:
        pace(factor)
        with contextlib.suppress(AssertionError):
            return await attempt(factor)
    pace(slowest)
    return await attempt(slowest)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for the tests that leave it as it is."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own."""
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def proxy() -> str:
    """A proxy that nobody counted for before."""
    return f"ai/{uuid.uuid4().hex[:8]}"


class Address(Protocol):
    """Where a Redis is, or something that looks like one."""

    @property
    def port(self) -> int: ...

    @property
    def password_file(self) -> Path: ...


class Clock:
    """A clock that a test sets: seconds since the process began."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def configuration(
    server: RedisServer, proxy: str, *, on_failure: OnFailure = "closed"
) -> dict[str, Any]:
    """The part of gateway.json that limits read."""
    redis = {"host": "127.0.0.1", "port": server.port, "on_failure": on_failure, "tls": False}
    return {"proxy": proxy, "redis": redis, "limit_scope": "proxy"}


@asynccontextmanager
async def limiters(
    server: Address,
    proxy: str,
    *,
    count: int = 1,
    on_failure: OnFailure = "closed",
    clock: Clock | None = None,
) -> AsyncIterator[Sequence[Limiter]]:
    """As many limiters as processes have; each has connections of its own."""
    made = []
    for _ in range(count):
        connect = functools.partial(
            redis_client,
            host="127.0.0.1",
            port=server.port,
            is_tls=False,
            password_file=server.password_file,
        )
        counters = RedisCounters(connect, proxy=proxy)
        shared = SharedCounters(counters, on_failure=on_failure, monotonic=clock or Clock())
        made.append(Limiter(shared))
    try:
        yield made
    finally:
        for limiter in made:
            await limiter.close()


async def in_one_window(
    server: RedisServer, seconds: int, attempt: Callable[[], Awaitable[_Result]]
) -> _Result:
    """The result of the first attempt that began and ended in the same window of Redis' clock."""

    def window() -> int:
        with server.client as client:
            now: Any = client.time()
        return int(now[0]) // seconds

    while True:
        before = window()
        result = await attempt()
        if window() == before:
            return result


def admitted(refusals: Sequence[Refusal | None]) -> int:
    return sum(refusal is None for refusal in refusals)


async def test_two_processes_together_admit_exactly_the_limit(
    shared: RedisServer, proxy: str
) -> None:
    async with limiters(shared, proxy, count=2) as (one, two):

        async def attempt() -> int:
            scopes = [Scope(f"key:{uuid.uuid4()}", {"rpm": 137}), Scope("proxy", {"tpm": 10**9})]
            asked = (limiter.admit(scopes) for _ in range(500) for limiter in (one, two))
            return admitted(await asyncio.gather(*asked))

        assert await in_one_window(shared, 60, attempt) == 137


async def test_tokens_that_one_process_settles_count_for_all(
    shared: RedisServer, proxy: str
) -> None:
    async with limiters(shared, proxy, count=2) as (one, two):

        async def attempt() -> Refusal | None:
            scopes = [Scope(f"key:{uuid.uuid4()}", {"tph": 100})]
            assert await two.admit(scopes) is None
            await asyncio.gather(*(one.settle(scopes, tokens=1) for _ in range(100)))
            return await two.admit(scopes)

        refusal = await in_one_window(shared, 3_600, attempt)
        assert refusal is not None
        assert refusal.code == "model_rate_limit_exceeded"


async def test_a_request_that_one_scope_refuses_counts_in_no_other(
    shared: RedisServer, proxy: str
) -> None:
    async with limiters(shared, proxy, count=2) as (one, two):

        async def attempt() -> tuple[int, int]:
            whole = Scope(f"proxy:{uuid.uuid4()}", {"rpm": 50})
            greedy = Scope(f"key:{uuid.uuid4()}", {"rpm": 7})
            asked = (each.admit([whole, greedy]) for _ in range(100) for each in (one, two))
            others = (each.admit([whole]) for _ in range(100) for each in (one, two))
            return admitted(await asyncio.gather(*asked)), admitted(await asyncio.gather(*others))

        assert await in_one_window(shared, 60, attempt) == (7, 50 - 7)


async def test_the_next_window_begins_with_nothing_used(shared: RedisServer, proxy: str) -> None:
    async with limiters(shared, proxy) as (limiter,):
        scopes = [Scope("key:a", {"tps": 5})]

        async def attempt() -> Refusal | None:
            await limiter.settle(scopes, tokens=5)
            return await limiter.admit(scopes)

        refusal = await in_one_window(shared, 1, attempt)
        assert refusal is not None
        assert refusal.retry_after_seconds == 1
        await asyncio.sleep(1)
        assert await limiter.admit(scopes) is None


async def test_counts_survive_a_redis_that_is_killed(own: RedisServer, proxy: str) -> None:
    async with limiters(own, proxy) as (limiter,):
        scopes = [Scope("key:a", {"token_quota": 100})]
        await limiter.settle(scopes, tokens=100)
        own.stop()
        own.start()
        refusal = await limiter.admit(scopes)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (402, "insufficient_quota")
    assert refusal.retry_after_seconds is None


async def test_a_restart_of_redis_between_two_requests_is_not_noticed(
    own: RedisServer, proxy: str
) -> None:
    async with limiters(own, proxy) as (limiter,):
        scopes = [Scope("key:a", {"rpm": 100})]
        assert await limiter.admit(scopes) is None
        own.stop()
        own.start()
        assert await limiter.admit(scopes) is None
        assert not limiter.is_away


async def test_a_request_costs_one_round_trip_and_its_tokens_another(
    own: RedisServer, proxy: str
) -> None:
    scopes = [
        Scope("key:a", {"rpm": 100, "tpm": 10**6, "tpd": 10**6, "token_quota": 10**6}),
        Scope("route:chat", {"tph": 10**6}),
        Scope("proxy", {"tpm": 10**6}),
    ]
    async with limiters(own, proxy) as (limiter,):
        for _ in range(2):  # the first time Redis learns the scripts
            with own.client as client:
                client.config_resetstat()
            await limiter.admit(scopes)
            await limiter.settle(scopes, tokens=10)
        with own.client as client:
            stats: Any = client.info("commandstats")
            total: Any = client.info("stats")
    assert stats["cmdstat_evalsha"]["calls"] == 2
    assert not {"cmdstat_eval", "cmdstat_ping", "cmdstat_client|setinfo"} & set(stats)
    assert total["total_connections_received"] <= 2  # the one that resets, the one that asks


async def test_counts_find_room_in_a_redis_that_cached_answers_have_filled(
    own: RedisServer, proxy: str
) -> None:
    async with limiters(own, proxy) as (limiter,):
        with own.client as client:
            client.set("answer", "x" * 4 * 2**20)
            client.config_set("maxmemory", str(2 * 2**20))
            with pytest.raises(redis.OutOfMemoryError):
                client.set("another", "x")
        scopes = [Scope("key:a", {"rpm": 100, "token_quota": 10})]
        assert await limiter.admit(scopes) is None
        await limiter.settle(scopes, tokens=10)
        refusal = await limiter.admit(scopes)
    assert refusal is not None
    assert refusal.code == "insufficient_quota"


async def test_scripts_that_redis_forgot_are_sent_again(own: RedisServer, proxy: str) -> None:
    async with limiters(own, proxy) as (limiter,):
        scopes = [Scope("key:a", {"token_quota": 20})]
        await limiter.settle(scopes, tokens=10)
        with own.client as client:
            client.script_flush()
        await limiter.settle(scopes, tokens=10)
        with own.client as client:
            client.script_flush()
        assert await limiter.admit(scopes) is not None


async def test_counts_lie_in_one_hash_slot_and_go_with_their_window(
    shared: RedisServer, proxy: str
) -> None:
    seconds = {"rpm": 60, "tps": 1, "tpm": 60, "tph": 3_600, "tpd": 86_400}
    scopes = [Scope("key:a", dict.fromkeys([*seconds, "token_quota"], 10**6))]

    async def attempt() -> dict[str, tuple[bytes, int]]:
        async with limiters(shared, proxy) as (limiter,):
            await limiter.admit(scopes)
            await limiter.settle(scopes, tokens=5)
        with shared.client as client:
            keys: Any = client.keys(f"modelfleet:{{{proxy}}}:*")
            found: Any = {key.decode(): (client.get(key), client.ttl(key)) for key in keys}
            client.delete(*keys)
        return dict(found)

    counts = await in_one_window(shared, 1, attempt)
    assert all(key.startswith(f"modelfleet:{{{proxy}}}:key:a:") for key in counts)
    by_unit = {key.split(":")[4]: count for key, count in counts.items()}
    assert by_unit.pop("token_quota") == (b"5", -1)  # it never goes
    assert set(by_unit) == set(seconds)
    for unit, (used, left) in by_unit.items():
        assert used == (b"1" if unit == "rpm" else b"5")
        assert 0 <= left <= seconds[unit] + 1


async def test_a_new_password_is_read_when_the_old_one_is_refused(
    own: RedisServer, proxy: str
) -> None:
    async with limiters(own, proxy) as (limiter,):
        scopes = [Scope("key:a", {"rpm": 100})]
        assert await limiter.admit(scopes) is None
        own.password_file.write_text("another-password")
        with own.client as client:
            client.config_set("requirepass", "another-password")
            client.client_kill_filter(_type="normal", skipme=True)
        assert await limiter.admit(scopes) is None
        own.password = "another-password"


async def test_a_wrong_password_is_a_redis_that_is_away(
    shared: RedisServer, proxy: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wrong").write_text("wrong-password")
    limiter = limiter_of(configuration(shared, proxy), password_file=tmp_path / "wrong")
    with caplog.at_level(logging.INFO, LOGGER):
        refusal = await limiter.admit([Scope("key:a", {"rpm": 1})])
    await limiter.close()
    assert refusal == Refusal("service_unavailable", AWAY, 1, 503)
    assert "WRONGPASS" in caplog.text or "invalid username-password" in caplog.text
    assert "wrong-password" not in caplog.text


class Silent:
    """Accepts connections and never says anything: a Redis behind a network that lost its way."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.accepted = 0

    async def __aenter__(self) -> Silent:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        self.password_file = self.server.password_file
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        await self._listener.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class Relay:
    """The address of a Redis, which another one can take over for connections to come.

    It can go deaf on those that it has, as a node does that is lost.
    """

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.accepted = 0
        self._lines: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Relay:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        self.password_file = self.server.password_file
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.go_deaf()
        for end in self._ends:
            end.close()
            with contextlib.suppress(ConnectionError):
                await end.wait_closed()
        await self._listener.wait_closed()

    def go_deaf(self) -> None:
        for line in self._lines:
            line.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        answers, questions = await asyncio.open_connection("127.0.0.1", self.server.port)
        self._ends += [writer, questions]
        for source, target in ((reader, questions), (answers, writer)):
            line = asyncio.create_task(self._pass_on(source, target))
            self._lines.add(line)
            line.add_done_callback(self._lines.discard)

    @staticmethod
    async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)


async def test_connections_that_lead_nowhere_cost_one_attempt(
    shared: RedisServer, proxy: str, pace: Pace
) -> None:
    scopes = [Scope("key:a", {"rpm": 10**6})]

    async def attempt(_: float) -> None:
        async with Relay(shared) as relay, limiters(relay, proxy) as (limiter,):
            for _ in range(2):
                asked = (limiter.admit(scopes) for _ in range(100))
                assert admitted(await asyncio.gather(*asked)) == 100
                assert not limiter.is_away
                relay.go_deaf()

    await at_some_pace(pace, attempt)


async def test_connections_to_what_is_a_replica_now_are_given_up_for_new_ones(
    own: RedisServer, shared: RedisServer, proxy: str
) -> None:
    scopes = [Scope("key:a", {"rpm": 10**6})]
    async with Relay(own) as relay, limiters(relay, proxy) as (limiter,):
        assert admitted(await asyncio.gather(*(limiter.admit(scopes) for _ in range(100)))) == 100
        with own.client as client:
            client.replicaof("127.0.0.1", str(free_port()))
        relay.server = shared
        assert await limiter.admit(scopes) is None
        assert not limiter.is_away


async def test_redis_is_spoken_to_over_tls_by_whom_it_can_prove_to_be(
    tmp_path: Path, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    port = free_port()
    options = {
        "tls-port": str(port),
        "tls-cert-file": str(tmp_path / "certificate.pem"),
        "tls-key-file": str(tmp_path / "key.pem"),
        "tls-ca-cert-file": str(tmp_path / "authority.pem"),
        "tls-auth-clients": "no",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with redis_server(tmp_path / "redis", options=words) as server:
        declared = configuration(server, proxy)
        declared["redis"] |= {"tls": True, "port": port}
        refusals = []
        for trusted in ("certificate of nobody", str(tmp_path / "authority.pem")):
            monkeypatch.setenv("SSL_CERT_FILE", trusted)
            limiter = limiter_of(declared, password_file=server.password_file)
            refusals.append(await limiter.admit([Scope("key:a", {"rpm": 5})]))
            await limiter.close()
    assert refusals == [Refusal("service_unavailable", AWAY, 1, 503), None]


async def test_requests_are_refused_at_once_while_redis_is_away(
    shared: RedisServer, proxy: str, pace: Pace, caplog: pytest.LogCaptureFixture
) -> None:
    pace(1)
    clock = Clock()
    scopes = [Scope("key:a", {"rpm": 100, "tpm": 100})]
    async with Silent(shared) as silent, limiters(silent, proxy, clock=clock) as (limiter,):
        with caplog.at_level(logging.INFO, LOGGER):
            refusals = [await limiter.admit(scopes) for _ in range(1_000)]
            await asyncio.gather(*(limiter.settle(scopes, tokens=1) for _ in range(100)))
            assert silent.accepted == 2  # of the first one: once, and once more
            clock.now += 1
            refusals += await asyncio.gather(*(limiter.admit(scopes) for _ in range(1_000)))
            assert silent.accepted == 4  # one of them found out that it still is
        assert limiter.is_away
    assert refusals == [Refusal("service_unavailable", AWAY, 1, 503)] * 2_000
    assert len(caplog.records) == 1
    assert "requests with limits are refused until it is back" in caplog.text


async def test_a_crowd_that_finds_redis_away_asks_it_no_more_than_its_turns(
    shared: RedisServer, proxy: str, pace: Pace
) -> None:
    pace(1)
    scopes = [Scope("key:a", {"rpm": 100})]
    async with Silent(shared) as silent, limiters(silent, proxy) as (limiter,):
        refusals = await asyncio.gather(*(limiter.admit(scopes) for _ in range(1_000)))
        assert silent.accepted <= 2 * 16
    assert admitted(refusals) == 0


async def test_requests_without_limits_never_ask_redis(shared: RedisServer, proxy: str) -> None:
    async with Silent(shared) as silent, limiters(silent, proxy) as (limiter,):
        assert await limiter.admit([Scope("key:a", {}), Scope("proxy", {})]) is None
        await limiter.settle([Scope("key:a", {"rpm": 5})], tokens=100)
        await limiter.settle([Scope("key:a", {"tpm": 5})], tokens=0)
        assert silent.accepted == 0


async def test_what_is_settled_while_redis_is_away_is_added_when_it_is_back(
    own: RedisServer, proxy: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    scopes = [Scope("key:a", {"token_quota": 100})]
    with caplog.at_level(logging.INFO, LOGGER):
        async with limiters(own, proxy, count=2, clock=clock) as (one, two):
            assert await one.admit(scopes) is None
            own.stop()
            await one.settle(scopes, tokens=60)
            await one.settle(scopes, tokens=40)
            states = [one.is_away]
            own.start()
            clock.now += 7
            assert await one.admit(scopes) is not None
            assert await two.admit(scopes) is not None
            states.append(one.is_away)
    assert states == [True, False]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "Redis is back after 7 s" in caplog.text


async def test_each_replica_counts_on_from_what_it_last_saw_where_that_is_declared(
    own: RedisServer, proxy: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    quota, free = Scope("key:a", {"token_quota": 100}), Scope("key:b", {"token_quota": 10})
    with caplog.at_level(logging.INFO, LOGGER):
        async with limiters(own, proxy, count=2, on_failure="per_replica", clock=clock) as made:
            one, two = made
            await two.settle([quota], tokens=90)
            assert await one.admit([quota]) is None
            own.stop()
            assert await one.admit([quota]) is None
            await one.settle([quota], tokens=10)
            refusal = await one.admit([quota])
            assert refusal is not None
            assert refusal.status == 402
            assert await one.admit([free]) is None
            own.start()
            clock.now += 1
            assert await two.admit([quota]) is None  # nobody told it yet
            assert await one.admit([quota]) is not None
            assert await two.admit([quota]) is not None
    assert "each process counts on its own until it is back" in caplog.text


async def test_requests_that_a_replica_let_through_alone_count_when_redis_is_back(
    own: RedisServer, proxy: str
) -> None:
    clock = Clock()

    async def attempt() -> int:
        scopes = [Scope(f"key:{uuid.uuid4()}", {"rpm": 10})]
        async with limiters(own, proxy, on_failure="per_replica", clock=clock) as (limiter,):
            assert await limiter.admit(scopes) is None
            own.stop()
            assert [await limiter.admit(scopes) for _ in range(5)] == [None] * 5
            own.start()
            clock.now += 1
            return admitted([await limiter.admit(scopes) for _ in range(20)])

    assert await in_one_window(own, 60, attempt) == 10 - 6


async def test_tokens_count_even_when_who_settles_them_is_cancelled(
    shared: RedisServer, proxy: str
) -> None:
    scopes = [Scope("key:a", {"token_quota": 100})]
    async with limiters(shared, proxy) as (limiter,):
        tasks = [asyncio.create_task(limiter.settle(scopes, tokens=10)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with limiters(shared, proxy) as (limiter,):
        assert await limiter.admit(scopes) is not None


@pytest.mark.parametrize("held_up_seconds", [0.4, ATTEMPT_SECONDS + 0.005])
@pytest.mark.parametrize("turns", range(2, 24, 4))
async def test_a_process_that_is_held_up_does_not_take_redis_for_away_nor_count_twice(
    shared: RedisServer, proxy: str, pace: Pace, turns: int, held_up_seconds: float
) -> None:
    scopes = [Scope("key:a", {"rpm": 10**6})]

    async def attempt(factor: float) -> int:
        async with limiters(shared, f"{proxy}-{uuid.uuid4()}") as (limiter,):
            task = asyncio.create_task(limiter.admission(scopes))
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(factor * held_up_seconds)  # noqa: ASYNC251 - nothing else runs meanwhile: that is the case
            assert (await task).refusal is None
            assert not limiter.is_away
            return int((await limiter.admission(scopes)).headers["x-ratelimit-remaining-requests"])

    async def passes(factor: float) -> None:
        held_up = functools.partial(attempt, factor)
        assert await in_one_window(shared, 60, held_up) == 10**6 - 2

    await at_some_pace(pace, passes)


async def test_a_process_with_more_to_do_than_it_can_counts_each_request_once(
    shared: RedisServer, proxy: str, pace: Pace
) -> None:
    scopes = [Scope("key:a", {"rpm": 10**6})]

    async def keep_busy(factor: float) -> None:
        while True:
            time.sleep(factor * 0.02)  # noqa: ASYNC251 - work that leaves nobody else to run
            await asyncio.sleep(0)

    async def attempt(factor: float) -> int:
        async with limiters(shared, f"{proxy}-{uuid.uuid4()}") as (limiter,):
            busy = [asyncio.create_task(keep_busy(factor)) for _ in range(5)]
            asked = [limiter.admission(scopes) for _ in range(20)]
            answers = await asyncio.gather(*asked)
            for task in busy:
                task.cancel()
            assert not limiter.is_away
            left = (each.headers["x-ratelimit-remaining-requests"] for each in answers)
            return min(map(int, left))

    async def passes(factor: float) -> None:
        while_busy = functools.partial(attempt, factor)
        assert await in_one_window(shared, 60, while_busy) == 10**6 - 20

    await at_some_pace(pace, passes)


async def test_requests_that_are_cancelled_leave_no_answer_to_others(
    shared: RedisServer, proxy: str
) -> None:
    async with limiters(shared, proxy) as (limiter,):
        used = [Scope("key:used", {"token_quota": 1})]
        unused = [Scope("key:unused", {"token_quota": 1})]
        await limiter.settle(used, tokens=1)
        for turns in range(30):
            task = asyncio.create_task(limiter.admit(used))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await limiter.admit(unused) is None
            assert await limiter.admit(used) is not None
        assert not limiter.is_away
