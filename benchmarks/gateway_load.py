"""Callers of a gateway: so many at a time, each on a connection of its own, and what they saw.

Plain asyncio and as little HTTP as it takes: the callers share a core with the upstream, and a full
client would be slower than what it measures. An answer that is not whole is an error, not a figure.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.errors import BenchmarkError

_MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant who answers in a few words."},
    {"role": "user", "content": "Tell me why a gateway in front of a model costs time. " * 2},
]
_ANSWERED_SECONDS = 60.0


@dataclass(frozen=True)
class Door:
    """Where callers ask: a port on loopback, the name of a model there, and a key."""

    port: int
    model: str
    key: str

    def request(self, *, tokens: int, is_stream: bool) -> bytes:
        """Return a whole request; a stream is as many tokens long."""
        fields: dict[str, Any] = {"model": self.model, "messages": _MESSAGES, "max_tokens": tokens}
        if is_stream:
            fields["stream"] = True
        body = json.dumps(fields).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\n"
            f"host: 127.0.0.1:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True)
class Answer:
    """When a request was sent, when the first part of its body came, and when the last."""

    sent: float
    first: float
    last: float

    @property
    def seconds(self) -> float:
        return self.last - self.sent

    @property
    def first_byte_seconds(self) -> float:
        return self.first - self.sent


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of ``values`` that so many percent of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class _Caller:
    """One connection, on which one request follows the other."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __aenter__(self) -> _Caller:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._door.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, request: bytes) -> Answer:
        """Send a request, and read its answer to the end."""
        try:
            async with asyncio.timeout(_ANSWERED_SECONDS):
                return await self._asked(request)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            raise BenchmarkError(f"An answer was cut: {error!r}") from error

    async def _asked(self, request: bytes) -> Answer:
        sent = time.perf_counter()
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length:" in head:
            length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            body = await self._reader.readexactly(int(length))
            first = time.perf_counter()
        else:
            first, body = await self._chunks()
        if not head.startswith(b"http/1.1 200"):
            raise BenchmarkError(f"The gateway refused: {body[:300].decode(errors='replace')}")
        return Answer(sent, first, time.perf_counter())

    async def _chunks(self) -> tuple[float, bytes]:
        """Return when the first chunk came, and the last chunk."""
        first, data = 0.0, b""
        while size := int(await self._reader.readline(), 16):
            data = await self._reader.readexactly(size + 2)
            first = first or time.perf_counter()
        await self._reader.readline()
        if b"[DONE]" not in data:
            raise BenchmarkError(f"A stream was cut: {data[:300].decode(errors='replace')}")
        return first, data


async def asked(door: Door, *, number: int, at_once: int, stream_tokens: int = 0) -> list[Answer]:
    """Ask ``number`` times, so many at a time; streams, if they are to have tokens."""
    request = door.request(tokens=stream_tokens or 100, is_stream=stream_tokens > 0)
    answers: list[Answer] = []
    turns = itertools.count()

    async def caller() -> None:
        async with _Caller(door) as caller:
            while next(turns) < number:
                answers.append(await caller.ask(request))

    await _together(caller() for _ in range(at_once))
    return answers


async def asked_for(door: Door, *, seconds: float, at_once: int) -> list[Answer]:
    """Ask as fast as answers come, so many at a time, until the time is over."""
    request = door.request(tokens=100, is_stream=False)
    answers: list[Answer] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        async with _Caller(door) as caller:
            while time.perf_counter() < end:
                answers.append(await caller.ask(request))

    await _together(caller() for _ in range(at_once))
    return answers


async def streamed(door: Door, *, at_once: int, tokens: int, lasts: float) -> list[Answer]:
    """Keep so many streams open, and return those that began while all of them were.

    ``lasts`` is how long one stream should: they begin one by one over that time, as callers do.
    Those of the following such time count, and new ones go on until the last of these has ended.
    Where streams are so slow that none began then, all of them count.
    """
    request = door.request(tokens=tokens, is_stream=True)
    answers: list[Answer] = []
    began = time.perf_counter()

    async def caller(number: int) -> None:
        await asyncio.sleep(number / at_once * lasts)
        async with _Caller(door) as caller:
            while time.perf_counter() < began + 3 * lasts:
                answers.append(await caller.ask(request))

    await _together(caller(number) for number in range(at_once))
    return [each for each in answers if lasts <= each.sent - began < 2 * lasts] or answers


async def _together(callers: Iterable[Coroutine[Any, Any, None]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for caller in callers:
                group.create_task(caller)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
