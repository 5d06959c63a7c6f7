"""The pure parts of the gateway's benchmark: figures, their table, how much is carried, callers."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.gateway_figures import (
    DIRECT,
    LIMITED,
    OURS,
    PLAIN,
    TIMES,
    Figure,
    markdown_of,
    most_carried,
    paired,
    rows_of,
)
from benchmarks.gateway_load import Answer, Door, asked, percentile, streamed
from benchmarks.gateway_places import MODEL, Cores, cores_among, declaration, kept_to, upstream
from modelfleet.spec import ModelProxySpec, spec_of
from modelfleet.spec.proxy_warnings import warnings_of

CPU = Figure(
    "CPU of a request", 8, "ms", {PLAIN: 10.0, OURS: 11.0, LIMITED: 12.0}, limit=1.15, digits=2
)
RATE = Figure("requests a second", 32, "", {DIRECT: 12_345.6, PLAIN: 70.0, OURS: 63.0}, digits=0)


def test_ours_stands_beside_litellm_alone_and_so_does_a_key_with_limits() -> None:
    rows = {row.name: row for row in rows_of([CPU, RATE])}
    assert (rows["gateway: CPU of a request"].ratio, rows["gateway: CPU of a request"].holds) == (
        1.1,
        True,
    )
    with_limits = rows["gateway: CPU of a request, ours, key with limits"]
    assert (with_limits.ratio, with_limits.holds) == (1.2, False)
    for name in ("CPU of a request, LiteLLM alone", "requests a second, direct"):
        assert (rows[f"gateway: {name}"].baseline, rows[f"gateway: {name}"].holds) == (None, None)
    assert {row.size for row in rows.values()} == {8, 32}


def test_the_table_says_on_what_it_was_measured_and_leaves_out_what_was_not() -> None:
    text = markdown_of(
        [CPU, RATE],
        machine={"cores": 2, "processor": "a fast one", "load_before": 0.1},
        versions={"litellm": "1.2.3", "python": "3.11.7"},
        cores=str(Cores(0, 1)),
    )
    where, empty, head, ruler, cpu, rate = text.splitlines()
    assert where == (
        "2 cores (a fast one), callers and upstream on core 0, gateway on core 1; LiteLLM 1.2.3, "
        "Python 3.11.7; load before: 0.1."
    )
    assert (empty, head.count("|"), ruler.count("---")) == ("", 9, 8)
    assert cpu == (
        "| CPU of a request | 8 |  | 10.00 ms | 11.00 ms | 12.00 ms "
        f"| 1.10 {TIMES} | ≤ 1.15 {TIMES} |"
    )
    assert rate == f"| requests a second | 32 | 12,346 | 70 | 63 |  | 0.90 {TIMES} |  |"


def test_each_turn_is_compared_with_its_neighbour() -> None:
    # The second turn was disturbed for both: a ratio of medians of all would say 2.
    found = paired({PLAIN: [10.0, 30.0, 10.0], OURS: [11.0, 33.0, 20.0]})
    assert found == {PLAIN: 10.0, OURS: pytest.approx(11.0)}


@pytest.mark.parametrize("limit", range(10))
def test_the_most_that_is_carried_is_found_with_few_questions(limit: int) -> None:
    asked_for: list[int] = []

    def carries(level: int) -> bool:
        asked_for.append(level)
        return level <= limit

    levels = (1, 2, 4, 6, 8)
    assert most_carried(levels, carries=carries) == max(
        (each for each in levels if each <= limit), default=0
    )
    assert len(asked_for) <= 3


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(each) for each in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 100)) == (
        50,
        99,
        100,
    )
    assert percentile([7.0], 50) == 7.0


def test_the_first_two_cores_are_taken_and_nothing_is_pinned_with_fewer() -> None:
    assert cores_among([6, 2, 4]) == Cores(2, 4)
    assert cores_among([3]) == cores_among([]) == Cores(None, None)
    assert "nothing pinned" in str(cores_among([3]))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are pinned on Linux")
def test_a_process_is_kept_to_a_core_only_meanwhile() -> None:
    before = os.sched_getaffinity(0)
    with kept_to(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_the_measured_proxy_is_a_valid_one_whose_limits_are_never_reached() -> None:
    spec = spec_of(declaration("http://127.0.0.1:9/v1"), model=ModelProxySpec)
    assert set(spec.routes) == {MODEL}
    assert [warning.path for warning in warnings_of(spec)] == ["api_keys.limited.limits.rpm"]


def test_a_request_is_whole_and_asks_for_the_stream_by_its_length() -> None:
    head, _, body = (
        Door(80, "chat", "sk-x").request(tokens=7, is_stream=True).partition(b"\r\n\r\n")
    )
    fields = json.loads(body)
    assert f"content-length: {len(body)}".encode() in head
    assert b"authorization: Bearer sk-x" in head
    assert (fields["model"], fields["stream"], fields["max_tokens"]) == ("chat", True, 7)


def test_the_upstream_answers_at_once_and_streams_at_its_pace() -> None:
    with upstream(None) as door:
        answers = asyncio.run(asked(door, number=6, at_once=2))
        streams = asyncio.run(asked(door, number=2, at_once=2, stream_tokens=11))
        open_together = asyncio.run(streamed(door, at_once=3, tokens=10, lasts=0.2))
    assert len(answers) == 6
    # Eleven tokens at 50 a second: ten pauses of 20 ms.
    assert [each.seconds >= 0.2 for each in streams] == [True, True]
    assert all(each.first_byte_seconds <= each.seconds for each in streams)
    assert all(each.seconds >= 0.18 for each in open_together)
    assert open_together


def test_an_answer_tells_its_time_to_the_first_part_and_to_the_last() -> None:
    answer = Answer(sent=1.0, first=1.25, last=3.0)
    assert (answer.first_byte_seconds, answer.seconds) == (0.25, 2.0)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"HTTP/1.1 429 Too Many\r\ncontent-length: 4\r\n\r\nslow", "refused: slow"),
        (b"HTTP/1.1 200 OK\r\n\r\n6\r\ndata: \r\n0\r\n\r\n", "A stream was cut"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "An answer was cut"),
    ],
)
async def test_an_answer_that_is_not_whole_is_an_error_and_no_figure(
    reply: bytes, said: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BenchmarkError, match=said):
            await asked(Door(port, "m", "k"), number=1, at_once=1)
