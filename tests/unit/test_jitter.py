"""Delays differ, and have nothing to do with the chance of the program they happen in."""

from __future__ import annotations

import random

from modelfleet.cluster.jitter import jittered
from modelfleet.cluster.retry import RetryPolicy
from modelfleet.errors import UnavailableError


def delays() -> list[float | None]:
    busy = UnavailableError("the API server", "is busy")
    policy = RetryPolicy()
    return [policy.delay_seconds(busy, attempt=3, spent_seconds=0) for _ in range(20)]


def test_delays_are_between_half_and_all_of_what_they_may_be_and_differ() -> None:
    found = [jittered(8.0) for _ in range(100)]
    assert all(4.0 <= each <= 8.0 for each in found)
    assert len(set(found)) > 90
    assert all(6.0 <= jittered(8.0, least=0.75) <= 8.0 for _ in range(100))


def test_a_program_that_seeds_its_chance_neither_feels_nor_sets_them() -> None:
    random.seed(7)
    before = random.getstate()
    first = delays()
    assert random.getstate() == before
    random.seed(7)
    assert delays() != first
