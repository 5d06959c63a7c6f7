"""Logs over a scripted network: in which order, from where on, and what is told beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import httpx
import pytest

from modelfleet.cluster import logs
from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client
from modelfleet.cluster.logs import LogLine, Wanted, follow_logs, read_logs
from modelfleet.cluster.objects import POD, Ref
from modelfleet.cluster.retry import NO_RETRY
from modelfleet.errors import ForbiddenError

A, B = (Ref(POD, "models", name) for name in ("qwen-a", "qwen-b"))

GOES_ON = "the stream stays open"
BREAKS = "the connection breaks"


def at(second: int, text: str, *, nanos: str = "000000001") -> str:
    return f"2026-01-01T00:00:{second:02}.{nanos}Z {text}"


def no(code: int, reason: str, message: str) -> httpx.Response:
    return httpx.Response(code, json={"kind": "Status", "reason": reason, "message": message})


class Script(httpx.AsyncByteStream):
    """The body of one log: lines, and what then becomes of the connection."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for line in self._lines:
            if line == GOES_ON:
                await asyncio.Event().wait()
            if line == BREAKS:
                raise httpx.ReadTimeout("silence")
            yield f"{line}\n".encode()


class Nodes(httpx.AsyncBaseTransport):
    """Answers each request for a pod's log with the next of its answers; the last one stays."""

    def __init__(self, **answers: Sequence[Sequence[str] | httpx.Response]) -> None:
        self.answers = {name.replace("_", "-"): list(each) for name, each in answers.items()}
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pod = request.url.path.split("/")[-2]
        self.asked.append((pod, dict(request.url.params)))
        waiting = self.answers.get(pod, [no(404, "NotFound", f'pods "{pod}" not found')])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, content=answer.content)
        return httpx.Response(200, stream=Script(answer))

    def client(self) -> Client:
        return Client(Access(server="https://api:6443", source="a test"), retry=NO_RETRY, http=self)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(logs, "AGAIN_SECONDS", 0.001)


async def heard(
    nodes: Nodes, pods: Sequence[Sequence[Ref]], *, lines: int, wanted: Wanted | None = None
) -> tuple[list[str], list[str]]:
    """Return the first lines and the notices; ``pods`` are those of each look, the last stays."""
    looks = list(pods)
    notices: list[str] = []

    async def present() -> Sequence[Ref]:
        return looks.pop(0) if len(looks) > 1 else looks[0]

    client = nodes.client()
    told: list[str] = []
    followed = follow_logs(
        client, present, container="engine", wanted=wanted or Wanted(), on_notice=notices.append
    )
    try:
        async with asyncio.timeout(120), aclosing(followed):
            async for line in followed:
                told.append(f"{line.pod}: {line.text}")
                if len(told) == lines:
                    break
    finally:
        await client.aclose()
    return told, notices


async def test_logs_are_read_pod_by_pod_and_a_pod_without_one_is_told() -> None:
    waiting = 'container "engine" in pod "qwen-b" is waiting to start: ContainerCreating'
    nodes = Nodes(
        qwen_a=[[at(1, "one"), at(2, "two words")]], qwen_b=[no(400, "BadRequest", waiting)]
    )
    client, notices = nodes.client(), list[str]()
    wanted = Wanted(previous=True, tail_lines=5, since_seconds=600)
    lines = [
        line
        async for line in read_logs(
            client, [A, B], container="engine", wanted=wanted, on_notice=notices.append
        )
    ]
    await client.aclose()

    assert lines == [
        LogLine("qwen-a", "2026-01-01T00:00:01.000000001Z", "one"),
        LogLine("qwen-a", "2026-01-01T00:00:02.000000001Z", "two words"),
    ]
    (notice,) = notices
    assert "qwen-b" in notice
    assert "waiting to start" in notice
    part = {"previous": "true", "tailLines": "5", "sinceSeconds": "600"}
    same = {"container": "engine", "timestamps": "true"}
    assert nodes.asked == [("qwen-a", {**same, **part}), ("qwen-b", {**same, **part})]


async def test_an_empty_log_is_told_so_that_silence_is_no_riddle() -> None:
    nodes, notices = Nodes(qwen_a=[[]]), list[str]()
    client = nodes.client()
    logged = read_logs(client, [A], container="engine", wanted=Wanted(), on_notice=notices.append)
    assert [line async for line in logged] == []
    await client.aclose()
    assert notices == ["Pod models/qwen-a: there is nothing in its log"]


@pytest.mark.parametrize("end", [[], [BREAKS]], ids=["ends", "breaks"])
async def test_a_stream_that_ends_is_taken_up_where_it_ended(end: list[str]) -> None:
    nodes = Nodes(
        qwen_a=[
            [at(1, "one"), at(2, "two", nanos="25"), *end],
            # Asked for by the second: what was heard of that second comes again.
            [at(2, "two", nanos="25"), at(2, "three", nanos="250000001"), at(3, "four"), GOES_ON],
        ]
    )
    told, notices = await heard(nodes, [[A]], lines=4, wanted=Wanted(tail_lines=10))
    assert told == [f"qwen-a: {word}" for word in ("one", "two", "three", "four")]
    assert notices == []
    (_, first), (_, second) = nodes.asked
    assert first["tailLines"] == "10"
    assert "tailLines" not in second
    assert second["sinceTime"] == "2026-01-01T00:00:02Z"


async def test_a_line_that_was_broken_stays_with_what_it_continues() -> None:
    nodes = Nodes(
        qwen_a=[
            [at(1, "50 %"), "100 %"],
            [at(1, "50 %"), "100 %", at(2, "done"), GOES_ON],
        ]
    )
    told, _ = await heard(nodes, [[A]], lines=3)
    assert told == ["qwen-a: 50 %", "qwen-a: 100 %", "qwen-a: done"]


async def test_a_new_pod_is_heard_from_its_first_line_and_one_that_is_gone_is_let_go() -> None:
    nodes = Nodes(
        qwen_a=[[at(1, "going")], no(404, "NotFound", "gone")], qwen_b=[[at(5, "new"), GOES_ON]]
    )
    told, notices = await heard(nodes, [[A], [A, B], [B]], lines=2, wanted=Wanted(tail_lines=0))
    assert told == ["qwen-a: going", "qwen-b: new"]
    assert notices == []
    assert {pod: "tailLines" in how for pod, how in reversed(nodes.asked)} == {
        "qwen-a": True,
        "qwen-b": False,
    }


async def test_a_container_that_is_yet_to_start_is_told_once_and_waited_for() -> None:
    waiting = no(400, "BadRequest", 'container "engine" is waiting to start: PodInitializing')
    nodes = Nodes(qwen_a=[waiting, waiting, waiting, [at(1, "up"), GOES_ON]])
    told, notices = await heard(nodes, [[A]], lines=1)
    assert told == ["qwen-a: up"]
    assert len(notices) == 1


async def test_where_logs_may_not_be_read_following_ends_with_the_refusal() -> None:
    nodes = Nodes(qwen_a=[no(403, "Forbidden", "pods/log is forbidden")])
    with pytest.raises(ForbiddenError, match="pods/log is forbidden"):
        await heard(nodes, [[A]], lines=1)
