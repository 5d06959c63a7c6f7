"""How much anybody may ask for."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from modelfleet.adapters.query_api.bounds import KEYS, Rates, address_of
from modelfleet.adapters.query_api.refusal import RefusedError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(rates: Rates, key: str = "ci") -> int:
    """Return how many requests pass at this moment."""
    count = 0
    try:
        while True:
            rates.take(key, subject="it")
            count += 1
    except RefusedError:
        return count


def test_a_caller_may_send_a_burst_and_then_so_many_a_second() -> None:
    clock = Clock()
    rates = Rates(10.0, burst=20, now=clock)
    assert taken(rates) == 20
    clock.now += 1.5
    assert taken(rates) == 15
    clock.now += 3600
    assert taken(rates) == 20


def test_callers_do_not_use_up_one_anothers() -> None:
    rates = Rates(1.0, burst=5, now=Clock())
    assert (taken(rates, "a"), taken(rates, "b")) == (5, 5)


@pytest.mark.parametrize(("rate", "seconds"), [(10.0, "1"), (0.1, "10")])
def test_a_refusal_says_when_to_come_again_and_that_is_true(rate: float, seconds: str) -> None:
    clock = Clock()
    rates = Rates(rate, burst=1, now=clock)
    assert taken(rates) == 1
    with pytest.raises(RefusedError, match=f"Too many requests of it. Try again in {seconds} s"):
        rates.take("ci", subject="it")
    with pytest.raises(RefusedError) as refused:
        rates.take("ci", subject="it")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, seconds)
    clock.now += float(seconds)
    rates.take("ci", subject="it")


def test_the_number_of_callers_that_are_counted_is_bounded() -> None:
    rates = Rates(1.0, burst=2, now=Clock())
    for number in range(KEYS + 100):
        rates.take(str(number), subject="it")
    assert len(rates) == KEYS
    assert taken(rates, "0") == 2
    assert taken(rates, str(KEYS + 99)) == 1


@pytest.mark.parametrize(
    ("host", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_customer_is_one_caller_however_many_addresses(host: str, counted_as: str) -> None:
    assert address_of(Request({"type": "http", "client": (host, 1)})) == counted_as
