"""What gateways' records of requests add up to. The lines are as gateways print them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from modelfleet.client.usage import Heard, Price, Tally, Usage, record_in, usage_in
from modelfleet.cluster.logs import LogLine
from modelfleet.gateway.app.records import UsageRecord
from modelfleet.gateway.app.usage import Usage as Tokens

STARTED = LogLine("front-0", "2026-03-01T08:00:00.000000001Z", "INFO: Application startup complete")


def line(
    time: str = "2026-03-01T10:00:00.000Z",
    *,
    key: str = "ci",
    model: str = "chat",
    tokens: tuple[int, int] = (100, 50),
    pod: str = "front-0",
    **more: Any,
) -> LogLine:
    """Return one line of a gateway's log; times of logs are those of records here."""
    record = {
        "time": time,
        "request_id": "b2c7",
        "path": "/v1/chat/completions",
        "key_name": key,
        "model": model,
        "served_by": "models/qwen",
        "status": 200,
        "error_code": None,
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": sum(tokens),
        "is_estimated": False,
        "latency_ms": 12.5,
        "first_byte_ms": None,
        "stream": False,
        "cache_hit": False,
        "retries": 0,
        "fallback": None,
    }
    return LogLine(pod, time, json.dumps({**record, **more}))


def heard(*lines: LogLine, missing: tuple[str, ...] = ()) -> Heard:
    found = Heard(missing=list(missing))
    for each in lines:
        found.take(each)
    return found


def used(*lines: LogLine, **asked: Any) -> Usage:
    return usage_in(heard(*lines), proxies=("models/front",), **asked)


def at(hour: int) -> datetime:
    return datetime(2026, 3, 1, hour, tzinfo=UTC)


def test_requests_and_tokens_are_summed_by_key_and_by_model() -> None:
    usage = used(
        STARTED,
        line(),
        line(model="small", tokens=(10, 5)),
        line(key="team", tokens=(1, 2), is_estimated=True, pod="front-1"),
        line(key="", model="", tokens=(0, 0), status=401),
    )
    assert usage.total == Tally(4, 1, 111, 57, 1)
    assert usage.total.total_tokens == 168
    assert usage.by_key == {
        "": Tally(1, 1, 0, 0),
        "ci": Tally(2, 0, 110, 55),
        "team": Tally(1, 0, 1, 2, 1),
    }
    assert usage.by_model == {
        "": Tally(1, 1, 0, 0),
        "chat": Tally(2, 0, 101, 52, 1),
        "small": Tally(1, 0, 10, 5),
    }
    assert (usage.cost, usage.currency) == (None, None)


def test_a_time_that_ends_a_range_begins_the_next_one() -> None:
    lines = [line(f"2026-03-01T{hour:02}:00:00.000Z") for hour in (9, 10, 11)]
    assert used(*lines, since=at(10)).total.requests == 2
    assert used(*lines, until=at(10)).total.requests == 1
    assert used(*lines, since=at(10), until=at(11)).total.requests == 1
    assert used(*lines, since=at(12)).total == Tally()


def test_of_a_service_only_what_it_served_itself_counts() -> None:
    lines = [
        line(),
        line(served_by="models/other"),
        line(served_by=""),
        line(served_by="qwen.models.svc"),
        line(served_by="qwen.models.svc.cluster.local:80"),
        line(served_by="qwen.others.svc"),
    ]
    assert used(*lines, served_by=("models", "qwen")).total.requests == 3


def test_what_is_no_record_of_a_request_is_passed_over() -> None:
    for text in ("", "{", "INFO: started", '{"level": "info"}', "[]", '{"a": ', "{}"):
        assert record_in(text) is None
    assert used(STARTED, line()).total.requests == 1


def test_what_a_gateway_prints_is_read() -> None:
    printed = UsageRecord("b2c7", "/v1/chat/completions", key_name="ci", usage=Tokens(3, 4, 7))
    record = record_in(printed.line().decode())
    assert record is not None
    assert (record["key_name"], record["prompt_tokens"]) == ("ci", 3)
    assert used(LogLine("front-0", "", printed.line().decode())).total.total_tokens == 7


# -- how far it reaches --------------------------------------------------------------------


def test_it_reaches_back_to_where_the_log_of_every_replica_begins() -> None:
    later = LogLine("front-1", "2026-03-01T09:30:00.123456789Z", "INFO: started")
    usage = used(STARTED, later, line(), since=at(9))
    assert usage.reaches_back_to == datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
    assert not usage.is_complete
    assert used(STARTED, later, line(), since=at(10)).is_complete
    assert not used(STARTED, line()).is_complete  # since ever is longer than logs are kept


def test_a_replica_without_a_log_makes_it_incomplete_and_is_told() -> None:
    silent = heard(STARTED, line(), missing=("Pod models/front-1: container is starting",))
    usage = usage_in(silent, proxies=("models/front",), since=at(10))
    assert usage.missing == ("Pod models/front-1: container is starting",)
    assert not usage.is_complete


def test_without_any_log_nothing_is_known() -> None:
    usage = used(since=at(10))
    assert (usage.total, usage.reaches_back_to, usage.is_complete) == (Tally(), None, False)


# -- what it costs -------------------------------------------------------------------------

PRICES = {"chat": Price(2.0, 8.0), "small": Price(0.5, 1.0)}


def test_a_million_tokens_cost_what_the_price_says_each_way() -> None:
    usage = used(
        line(tokens=(1_000_000, 500_000)),
        line(model="small", key="team", tokens=(2_000_000, 0)),
        prices=PRICES,
    )
    assert usage.by_model["chat"].cost == pytest.approx(6.0)
    assert usage.by_key["team"].cost == pytest.approx(1.0)
    assert (usage.cost, usage.currency) == (pytest.approx(7.0), "USD")
    assert used(prices=PRICES).cost == 0.0


def test_what_has_no_price_is_named_and_makes_no_sum_look_whole() -> None:
    usage = used(
        line(), line(model="new", key="team"), line(model="", tokens=(0, 0)), prices=PRICES
    )
    assert usage.unpriced_models == ("new",)
    assert usage.by_key["ci"].cost is not None
    assert usage.by_key["team"].cost is None
    assert usage.cost is None


def test_prices_are_of_one_currency() -> None:
    with pytest.raises(ValueError, match="prices are of several currencies: EUR, USD"):
        used(line(), prices={"a": Price(1, 1), "b": Price(1, 1, "EUR")})
