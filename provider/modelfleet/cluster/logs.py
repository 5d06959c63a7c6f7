"""What the containers of several pods say, line by line, for as long as somebody listens.

A stream that ends early (a proxy that cuts what is silent, a container that starts again) is taken
up where it ended, by the time in front of each line; a pod that is new is listened to from its
first line. Which pods there are is asked for every few seconds. Lines are as their programs wrote
them: masking is for those who show them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import Ref
from modelfleet.cluster.subresources import pod_log_lines
from modelfleet.errors import ImmutableFieldError, NotFoundError, UnavailableError

LOOK_SECONDS: Final = 2.0
"""How often it is asked which pods there are: one small request."""

AGAIN_SECONDS: Final = 1.0
_LINES_AHEAD: Final = 1_000

Notice = Callable[[str], None]

_Instant = tuple[datetime, str]
"""A time by its second and its nanoseconds, of which ``datetime`` keeps micro only."""

_TIME: Final = re.compile(
    r"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)"
)


@dataclass(frozen=True)
class Wanted:
    """Which part of a log is wanted; unset means all that is kept of it.

    ``previous`` means the run before the last restart.
    """

    previous: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None


@dataclass(frozen=True)
class LogLine:
    """One line of a pod's log and its time (RFC 3339), empty where the node did not tell it."""

    pod: str
    time: str
    text: str


async def read_logs(
    client: Client, pods: Sequence[Ref], *, container: str, wanted: Wanted, on_notice: Notice
) -> AsyncGenerator[LogLine, None]:
    """Yield what the container has said in each of ``pods``, pod by pod.

    ``on_notice`` is told of pods that have no log (yet).
    """
    for ref in pods:
        lines = pod_log_lines(
            client,
            ref,
            container=container,
            previous=wanted.previous,
            tail_lines=wanted.tail_lines,
            since_seconds=wanted.since_seconds,
        )
        is_empty = True
        try:
            async with aclosing(lines):
                async for line in lines:
                    is_empty = False
                    yield _parted(ref, line)
            if is_empty:
                on_notice(f"{ref}: there is nothing in its log")
        except (NotFoundError, ImmutableFieldError) as error:  # 400: it has not started
            on_notice(error.message)


async def follow_logs(
    client: Client,
    pods: Callable[[], Awaitable[Sequence[Ref]]],
    *,
    container: str,
    wanted: Wanted,
    on_notice: Notice,
) -> AsyncGenerator[LogLine, None]:
    """Yield what the container says in all ``pods`` as it is said, without end.

    ``pods`` is asked again and again: those that are new are heard from their first line on.
    Raises what the server refuses, and UnavailableError where it does not answer any more.
    """
    heard: asyncio.Queue[LogLine] = asyncio.Queue(_LINES_AHEAD)
    listeners: dict[Ref, asyncio.Task[None]] = {}

    async def listen_to_all() -> None:
        part = wanted
        while True:
            present = await pods()
            for ref in present:
                if ref not in listeners:
                    listener = _Listener(client, ref, container, part, on_notice)
                    listeners[ref] = asyncio.ensure_future(listener.run(heard))
            for ref in [ref for ref, task in listeners.items() if task.done()]:
                listeners[ref].result()
                if ref not in present:
                    del listeners[ref]
            part = Wanted()
            await asyncio.sleep(LOOK_SECONDS)

    looking = asyncio.ensure_future(listen_to_all())
    try:
        while True:
            hearing = asyncio.ensure_future(heard.get())
            await asyncio.wait((hearing, looking), return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                hearing.cancel()
                looking.result()  # raises: it never ends by itself
            yield hearing.result()
    finally:
        tasks = [looking, *listeners.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Listener:
    """Listens to one pod until it is gone."""

    def __init__(
        self, client: Client, ref: Ref, container: str, wanted: Wanted, on_notice: Notice
    ) -> None:
        self._client = client
        self._ref = ref
        self._container = container
        self._wanted = wanted
        self._on_notice = on_notice
        self._noticed = ""
        self._last: _Instant | None = None

    async def run(self, heard: asyncio.Queue[LogLine]) -> None:
        while True:
            try:
                await self._listen_once(heard)
            except NotFoundError:
                return
            except (ImmutableFieldError, UnavailableError) as error:
                self._notice(error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _listen_once(self, heard: asyncio.Queue[LogLine]) -> None:
        is_first = self._last is None
        lines = pod_log_lines(
            self._client,
            self._ref,
            container=self._container,
            follow=True,
            tail_lines=self._wanted.tail_lines if is_first else None,
            since_seconds=self._wanted.since_seconds if is_first else None,
            since_time=_second_of(self._last) if self._last else "",
        )
        known_until, is_new = self._last, True
        async with aclosing(lines):
            async for text in lines:
                line = _parted(self._ref, text)
                if time := _instant(line.time):
                    # Asked for by the second, what was heard of that second comes again.
                    is_new = known_until is None or time > known_until
                    self._last = time if is_new else self._last
                if is_new:
                    self._noticed = ""
                    await heard.put(line)

    def _notice(self, error: ImmutableFieldError | UnavailableError) -> None:
        """Tell once why there is nothing to hear; a silent program is no news."""
        is_silence = isinstance(error, UnavailableError) and not error.status
        if not is_silence and error.message != self._noticed:
            self._noticed = error.message
            self._on_notice(error.message)


def _parted(ref: Ref, line: str) -> LogLine:
    """Return a line of the server, time and text; it may be the rest of a broken one, with none."""
    time, _, text = line.partition(" ")
    return LogLine(ref.name, time, text) if _instant(time) else LogLine(ref.name, "", line)


def _instant(time: str) -> _Instant | None:
    """Return an RFC 3339 time to compare by, None where ``time`` is something else."""
    if not (found := _TIME.fullmatch(time)):
        return None
    second = datetime.fromisoformat(found["second"] + found["zone"])
    return second, (found["fraction"] or "").ljust(9, "0")


def _second_of(time: _Instant) -> str:
    return time[0].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
