"""A signed request is accepted once, for as long as its date is, whatever else happens."""

from __future__ import annotations

import tracemalloc

import pytest

from modelfleet.adapters.query_api.nonces import Nonces, ReplayedError
from modelfleet.adapters.query_api.refusal import RefusedError

SKEW_SECONDS = 900.0
NOW = 1_800_000_000.5


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def nonces(clock: Clock, *, capacity: int = 1_000) -> Nonces:
    return Nonces(capacity=capacity, skew_seconds=SKEW_SECONDS, now=clock)


@pytest.mark.parametrize("seconds_off", [-SKEW_SECONDS, -1.0, 0.0, SKEW_SECONDS])
def test_a_nonce_is_accepted_once_until_its_date_is_refused(seconds_off: float) -> None:
    clock = Clock()
    known, signed_at = nonces(clock), NOW + seconds_off
    known.spend("a", signed_at=signed_at)
    while known.is_timely(signed_at):
        with pytest.raises(ReplayedError, match="accepted before"):
            known.spend("a", signed_at=signed_at)
        known.spend(f"another at {clock.now}", signed_at=clock.now)
        clock.now += 10.0
    with pytest.raises(ReplayedError, match="Its date"):
        known.spend("a", signed_at=signed_at)


def test_what_is_out_of_date_is_forgotten() -> None:
    clock = Clock()
    known = nonces(clock, capacity=10)
    for number in range(10):
        known.spend(str(number), signed_at=clock.now)
    clock.now += SKEW_SECONDS + 2 * SKEW_SECONDS / 32
    known.spend("later", signed_at=clock.now)
    assert len(known) == 1


def test_when_no_more_can_be_remembered_nothing_is_accepted_and_nothing_forgotten() -> None:
    clock = Clock()
    known = nonces(clock, capacity=3)
    for nonce in ("a", "b", "c"):
        known.spend(nonce, signed_at=NOW)
    with pytest.raises(RefusedError) as refused:
        known.spend("d", signed_at=NOW)
    assert refused.value.status == 503
    assert 0 < int(refused.value.headers["Retry-After"]) <= SKEW_SECONDS
    with pytest.raises(ReplayedError):
        known.spend("a", signed_at=NOW)


def test_a_write_that_an_earlier_process_may_have_accepted_is_refused() -> None:
    known = nonces(Clock())
    known.spend("a read", signed_at=NOW - 60)
    with pytest.raises(ReplayedError, match="before this server started"):
        known.spend("a write", signed_at=NOW - 60, changes=True)
    known.spend("of this second, as dates say it", signed_at=int(NOW), changes=True)


def test_three_thousand_take_little_memory_and_as_much_later() -> None:
    clock = Clock()
    known = nonces(clock, capacity=6_000)
    tracemalloc.start()
    for number in range(3_000):
        known.spend(f"{number}", signed_at=clock.now)
    full, _ = tracemalloc.get_traced_memory()
    for _ in range(5):
        clock.now += SKEW_SECONDS * 2
        for number in range(3_000):
            known.spend(f"{number} at {clock.now}", signed_at=clock.now)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert full < 3_000 * 150
    assert after < full * 1.2
