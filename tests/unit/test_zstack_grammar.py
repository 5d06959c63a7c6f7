"""Conditions as text, patterns and dates: what is read, and what is refused in which words."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from modelfleet.adapters.query_api.zstack_api.dates import point_in_time, written
from modelfleet.adapters.query_api.zstack_api.error_codes import RequestError
from modelfleet.adapters.query_api.zstack_api.grammar import Condition, Operator, condition_of
from modelfleet.adapters.query_api.zstack_api.patterns import like

EQ, NE, IN, NOT_IN = Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN, Operator.NOT_IN
LIKE, NOT_LIKE, GE = Operator.LIKE, Operator.NOT_LIKE, Operator.GREATER_OR_EQUAL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name=qwen", Condition("name", EQ, "qwen")),
        ("name!=qwen", Condition("name", NE, "qwen")),
        ("name>a", Condition("name", Operator.GREATER, "a")),
        ("name>=a", Condition("name", GE, "a")),
        ("name<a", Condition("name", Operator.LESS, "a")),
        ("name<=a", Condition("name", Operator.LESS_OR_EQUAL, "a")),
        ("name?=a,b", Condition("name", IN, "a,b")),
        ("name!?=a,b", Condition("name", NOT_IN, "a,b")),
        ("name~=q%", Condition("name", LIKE, "q%")),
        ("name!~=q%", Condition("name", NOT_LIKE, "q%")),
        ("name is null", Condition("name", Operator.IS_NULL)),
        ("name not null", Condition("name", Operator.NOT_NULL)),
        ("name=null", Condition("name", Operator.IS_NULL)),
        ("name!=null", Condition("name", Operator.NOT_NULL)),
        ("name?=null", Condition("name", IN, "null")),
        ("name=", Condition("name", EQ, "")),
        ("name?=", Condition("name", IN, "")),
        (" name = qwen ", Condition("name", EQ, " qwen ")),
        ("a.b.c=1", Condition("a.b.c", EQ, "1")),
        ("__userTag__=team::search", Condition("__userTag__", EQ, "team::search")),
        ("description=line\nbreak", Condition("description", EQ, "line\nbreak")),
    ],
)
def test_a_condition_is_a_name_an_operator_and_a_value_as_it_is(
    text: str, expected: Condition
) -> None:
    assert condition_of(text) == expected


@pytest.mark.parametrize("sign", Operator)
@pytest.mark.parametrize("outer", ["=", "!=", "~=", "!~=", "?=", "!?=", ">=", "<=", ">", "<"])
def test_an_operator_inside_a_value_is_part_of_the_value(outer: str, sign: str) -> None:
    value = f"x{sign}y"
    assert condition_of(f"description{outer}{value}") == Condition(
        "description", Operator(outer), value
    )


def test_a_name_that_no_field_can_have_is_a_name_all_the_same() -> None:
    assert condition_of("na-me!=x=y") == Condition("na-me", NE, "x=y")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "doesn't contain any query operator"),
        ("name", "Valid query operators are [=, !=, >, >=, <, <=, ?=, !?=, ~=, !~=, is null"),
        ("=x", "it has no name"),
        (" !=x", "it has no name"),
        ("name=" + "x" * 40_000, "at most 32768 are allowed"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, says: str) -> None:
    with pytest.raises(RequestError) as raised:
        condition_of(text)
    assert raised.value.status == 400
    assert says in raised.value.text
    assert len(raised.value.text) < 400


@pytest.mark.parametrize(
    ("pattern", "alike", "others"),
    [
        ("qwen", ["qwen"], ["qwen3", "a qwen", "", "Qwen"]),
        ("", [""], ["a"]),
        ("%", ["", "a", "a\nb"], []),
        ("qwen%", ["qwen", "qwen3"], ["my qwen"]),
        ("%wen", ["qwen", "wen"], ["qwen3"]),
        ("%we%", ["we", "qwen"], ["ew"]),
        ("q_en", ["qwen", "qaen", "q\nen"], ["qen", "qween"]),
        ("a%b%c", ["abc", "a-b-c", "abbcc"], ["acb", "ab"]),
        ("ab%ba", ["abba", "ab-ba"], ["aba", "ab"]),
        ("%a_%c", ["abc", "xxabxxc"], ["ac"]),
        (r"50\%", ["50%"], ["50", "500"]),
        (r"a\_b", ["a_b"], ["axb"]),
        (r"a\\b", [r"a\b"], [r"a\\b"]),
        (r"a\b", [r"a\b"], ["ab"]),
        ("a\\", ["a\\"], ["a"]),
        ("a.c*", ["a.c*"], ["abc", "a.ccc"]),
        ("__%", ["ab", "abc"], ["a"]),
    ],
)
def test_like_is_sqls(pattern: str, alike: list[str], others: list[str]) -> None:
    matches = like(pattern)
    assert [text for text in [*alike, *others] if matches(text)] == alike


def test_no_pattern_takes_more_than_time_in_proportion() -> None:
    matches = like("%a" * 2_000 + "b")
    began = time.process_time()  # whatever else the machine does
    assert not matches("a" * 20_000)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        "Nov 2, 2026 1:04:05 PM",
        "2026-11-02 13:04:05",
        "2026-11-02T13:04:05Z",
        "2026-11-02T13:04:05.987Z",
        "2026-11-02T14:04:05+01:00",
    ],
)
def test_a_point_in_time_can_be_written_in_several_ways(text: str) -> None:
    assert point_in_time(text) == datetime(2026, 11, 2, 13, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("hour", range(24))
def test_a_date_is_read_as_it_is_written(hour: int) -> None:
    moment = datetime(2026, 1, 31, hour, 0, 9, tzinfo=UTC)
    assert point_in_time(written(moment)) == moment


@pytest.mark.parametrize(
    "text",
    ["", "now", "Nov 31, 2026 1:00:00 PM", "Nov 2, 2026 13:00:00 PM", "2026-13-01", "20261102"],
)
def test_what_is_no_point_in_time_is_none(text: str) -> None:
    assert point_in_time(text) is None
