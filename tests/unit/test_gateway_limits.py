"""Windows, what they refuse, and counting in the memory of one process."""

from __future__ import annotations

import re

import pytest

from modelfleet.gateway.app.concurrency import Slots, slots_of
from modelfleet.gateway.app.counters import MemoryCounters
from modelfleet.gateway.app.limits import Limiter, Scope, limiter_of
from modelfleet.gateway.app.windows import UNITS, bounds_of, seconds_left, window_index

NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z
UNENDING = "token_quota"


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [("rpm", 60), ("tps", 1), ("tpm", 60), ("tph", 3_600), ("tpd", 86_400)],
)
def test_a_window_begins_and_ends_on_the_clock(unit: str, seconds: int) -> None:
    begin = NOON - NOON % seconds
    at = [begin, begin + seconds - 0.001, begin + seconds]
    first, last, next_one = (window_index(UNITS[unit], now=now) for now in at)
    assert first == last == next_one - 1
    assert seconds_left(UNITS[unit], now=begin) == seconds


def test_the_day_of_tpd_begins_at_midnight_utc() -> None:
    left = seconds_left(UNITS["tpd"], now=NOON)
    assert left == 12 * 3_600


def test_a_quota_has_one_window_that_never_ends() -> None:
    assert window_index(UNITS[UNENDING], now=NOON) == window_index(UNITS[UNENDING], now=NOON * 2)
    assert seconds_left(UNITS[UNENDING], now=NOON) is None


def test_a_limit_of_an_unknown_name_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ValueError, match="no such limit: 'tpw'; there are rpm, tps, tpm"):
        bounds_of([Scope("proxy", {"tpw": 1})])


async def test_a_request_is_refused_when_what_is_used_has_reached_the_limit() -> None:
    limiter = Limiter(MemoryCounters(Clock()))
    scopes = [Scope("key:team-a", {"rpm": 3})]
    refusals = [await limiter.admit(scopes) for _ in range(5)]
    assert [refusal is not None for refusal in refusals] == [False, False, False, True, True]


async def test_tokens_count_when_they_are_known_and_the_last_request_may_go_above() -> None:
    limiter = Limiter(MemoryCounters(Clock()))
    scopes = [Scope("route:chat", {"tpm": 100})]
    for _ in range(2):
        assert await limiter.admit(scopes) is None
        await limiter.settle(scopes, tokens=60)
    assert await limiter.admit(scopes) is not None


@pytest.mark.parametrize(
    ("limits", "tokens", "at", "status", "retry_after", "message"),
    [
        (
            {"tpm": 1_000},
            1_000,
            NOON + 47.2,
            429,
            13,
            "The rate limit is reached: tpm of key team-a: 1,000 tokens. Try again in 13 s.",
        ),
        (
            {"tps": 5},
            5,
            NOON + 0.999,
            429,
            1,
            "The rate limit is reached: tps of key team-a: 5 tokens. Try again in 1 s.",
        ),
        (
            {"tps": 5, "tpd": 5, "tpm": 5},
            5,
            NOON,
            429,
            43_200,
            "The rate limit is reached: tpd of key team-a: 5 tokens. Try again in 43200 s.",
        ),
        (
            {"token_quota": 1_000_000, "tpd": 10},
            1_000_000,
            NOON,
            402,
            None,
            "The quota is used up: token_quota of key team-a: 1,000,000 tokens.",
        ),
    ],
    ids=["minute", "at least a second", "the longest", "quota before all"],
)
async def test_a_refusal_says_which_limit_of_what_and_when_to_come_again(
    limits: dict[str, int],
    tokens: int,
    at: float,
    status: int,
    retry_after: int | None,
    message: str,
) -> None:
    limiter = Limiter(MemoryCounters(Clock(at)))
    scopes = [Scope("key:team-a", limits), Scope("proxy", {"tpm": 10_000_000})]
    await limiter.settle(scopes, tokens=tokens)
    refusal = await limiter.admit(scopes)
    assert refusal is not None
    assert (refusal.status, refusal.retry_after_seconds) == (status, retry_after)
    assert refusal.message == message
    assert refusal.code == ("model_rate_limit_exceeded" if status == 429 else "insufficient_quota")


async def test_a_limit_of_the_whole_proxy_is_called_so() -> None:
    limiter = Limiter(MemoryCounters(Clock()))
    await limiter.admit([Scope("proxy", {"rpm": 1})])
    refusal = await limiter.admit([Scope("proxy", {"rpm": 1})])
    assert refusal is not None
    assert "rpm of the proxy: 1 request." in refusal.message


@pytest.mark.parametrize("unit", [name for name in UNITS if name != UNENDING])
async def test_whoever_waits_as_long_as_told_is_let_through(unit: str) -> None:
    clock = Clock(NOON + 0.3)
    limiter = Limiter(MemoryCounters(clock))
    scopes = [Scope("key:a", {unit: 1})]
    assert await limiter.admit(scopes) is None
    await limiter.settle(scopes, tokens=1)
    refusal = await limiter.admit(scopes)
    assert refusal is not None
    assert refusal.retry_after_seconds is not None
    clock.now += refusal.retry_after_seconds
    assert await limiter.admit(scopes) is None


async def test_a_request_that_one_scope_refuses_counts_in_none() -> None:
    limiter = Limiter(MemoryCounters(Clock()))
    proxy = Scope("proxy", {"rpm": 3})
    greedy, modest = Scope("key:greedy", {"rpm": 1}), Scope("key:modest", {})
    for _ in range(10):
        await limiter.admit([proxy, greedy])
    assert [await limiter.admit([proxy, modest]) for _ in range(2)] == [None, None]
    assert await limiter.admit([proxy, modest]) is not None


async def test_scopes_are_counted_apart_and_by_name() -> None:
    limiter = Limiter(MemoryCounters(Clock()))
    assert await limiter.admit([Scope("key:a", {"rpm": 1})]) is None
    assert await limiter.admit([Scope("key:b", {"rpm": 1})]) is None
    assert await limiter.admit([Scope("route:a", {"rpm": 1})]) is None
    # A key that was rotated has another entry, and the same name.
    assert await limiter.admit([Scope("key:a", {"rpm": 1})]) is not None


async def test_a_limit_that_is_raised_keeps_what_was_counted() -> None:
    limiter = Limiter(MemoryCounters(Clock()))
    await limiter.admit([Scope("key:a", {"rpm": 1})])
    assert [await limiter.admit([Scope("key:a", {"rpm": 2})]) for _ in range(1)] == [None]
    assert await limiter.admit([Scope("key:a", {"rpm": 2})]) is not None


async def test_memory_holds_no_window_that_is_over() -> None:
    clock = Clock()
    counters = MemoryCounters(clock)
    limiter = Limiter(counters)
    for number in range(1_000):
        scopes = [Scope(f"key:{number}", {"rpm": 5, "tps": 5})]
        await limiter.admit(scopes)
        await limiter.settle(scopes, tokens=1)
        clock.now += 1
    assert len(counters) < 2 * 61 * 2


async def test_headers_tell_the_scarcest_limit_of_each_kind() -> None:
    limiter = Limiter(MemoryCounters(Clock(NOON + 30)))
    key = Scope("key:a", {"rpm": 10, "tpm": 500, "tpd": 800, "token_quota": 900})
    scopes = [key, Scope("proxy", {"rpm": 1_000})]
    await limiter.settle(scopes, tokens=400)
    admission = await limiter.admission(scopes)
    assert admission.refusal is None
    assert admission.headers == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "30s",
        "x-ratelimit-limit-tokens": "500",
        "x-ratelimit-remaining-tokens": "100",
        "x-ratelimit-reset-tokens": "30s",
        "x-ratelimit-limit-token-quota": "900",
        "x-ratelimit-remaining-token-quota": "500",
    }


async def test_headers_of_a_refusal_say_that_nothing_remains() -> None:
    limiter = Limiter(MemoryCounters(Clock()))
    scopes = [Scope("key:a", {"tpd": 10})]
    await limiter.settle(scopes, tokens=25)
    admission = await limiter.admission(scopes)
    assert admission.refusal is not None
    assert admission.headers["x-ratelimit-remaining-tokens"] == "0"
    assert admission.headers["x-ratelimit-reset-tokens"] == "12h0m0s"


async def test_a_request_without_limits_has_no_headers() -> None:
    assert (await Limiter().admission([Scope("key:a", {})])).headers == {}


@pytest.mark.parametrize(
    ("redis", "limit_scope", "is_shared"),
    [
        (None, "proxy", False),
        ({"host": "redis", "port": 6379, "on_failure": "closed", "tls": False}, "proxy", True),
        ({"host": "redis", "port": 6379, "on_failure": "closed", "tls": False}, "replica", False),
    ],
    ids=["without Redis", "of the proxy", "of each replica"],
)
def test_limits_are_counted_in_redis_where_they_are_of_the_whole_proxy(
    redis: dict[str, object] | None, limit_scope: str, is_shared: bool
) -> None:
    limiter = limiter_of({"proxy": "ai/x", "redis": redis, "limit_scope": limit_scope})
    assert limiter.has_redis is is_shared


def test_a_slot_is_free_again_when_it_is_given_back() -> None:
    slots = Slots({"proxy": 2})
    assert [slots.take(["proxy"]) for _ in range(2)] == [None, None]
    refusal = slots.take(["proxy"])
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("model_rate_limit_exceeded", 429)
    assert refusal.retry_after_seconds == 1
    assert re.search("concurrency_limit of the proxy: 2", refusal.message)
    slots.give_back(["proxy"])
    assert slots.take(["proxy"]) is None


def test_a_request_that_has_no_slot_of_its_route_takes_none_of_the_proxy() -> None:
    slots = Slots({"proxy": 10, "route:chat": 1})
    assert slots.take(["proxy", "route:chat"]) is None
    refusal = slots.take(["proxy", "route:chat"])
    assert refusal is not None
    assert "route chat: 1" in refusal.message
    assert slots.taken("proxy") == 1


@pytest.mark.parametrize(("processes", "each"), [(1, 10), (2, 5), (3, 4), (4, 3), (100, 1)])
def test_each_process_has_its_part_of_the_slots_rounded_up(processes: int, each: int) -> None:
    slots = slots_of(
        {
            "routes": {"chat": {"concurrency_limit": 10}, "free": {"concurrency_limit": None}},
            "policies": {"concurrency_limit": None},
            "processes": processes,
        }
    )
    taken = 0
    while slots.take(["proxy", "route:chat"]) is None:
        taken += 1
    assert taken == each
    assert all(slots.take(["proxy", "route:free"]) is None for _ in range(1_000))
