"""What the gateway of a ModelProxy costs, beside LiteLLM alone and the upstream itself.

Both gateways run all the time, on one core, from the same litellm.yaml; one of them is busy at a
time, in turns. What is promised is processor time of the gateway's process for a request: unlike a
duration it hardly depends on what else the machine does. docs/benchmarks.md says what each row is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks.gateway_figures import (
    DIRECT,
    LIMITED,
    OURS,
    PLAIN,
    Figure,
    most_carried,
    paired,
)
from benchmarks.gateway_load import Answer, Door, asked, asked_for, percentile, streamed
from benchmarks.gateway_places import (
    KEY_WITH_LIMITS,
    KEY_WITHOUT_LIMITS,
    Gateways,
    Server,
    cores_among,
    kept_to,
    upstream,
    usable_cores,
)
from benchmarks.gateway_stub import TOKENS_PER_SECOND

CPU_LIMIT = 1.15
"""How many times LiteLLM's own processor time a request may take."""

_WARM_UP = 150
_SECONDS = 3.0
_ROUNDS = 3
_PAIRS = 10
_REQUESTS, _REQUESTS_AT_ONCE = 100, 8
_STREAMS, _STREAM_TOKENS = 16, 50
_LEVELS = (4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64)
_CARRIED_TOKENS = 100
_SLOWER = 1.1
_REST_SECONDS = 0.2
"""For what a gateway still does when the answer has gone out."""

Values = dict[str, list[float]]


@dataclass(frozen=True)
class _Running:
    """What callers can ask, by way, and the process behind each."""

    doors: Mapping[str, Door]
    servers: Mapping[str, Server]

    @property
    def in_turns(self) -> Iterator[Sequence[str]]:
        """The ways through a gateway, without end: forth and back."""
        ways = [way for way in self.doors if way != DIRECT]
        while True:
            yield ways
            yield ways[::-1]


def measure_gateway(folder: Path, *, console: Console, starts: int | None) -> list[Figure]:
    """Return the figures; ``starts`` is how often each gateway is started, 3 times unless given.

    Files are made below ``folder``. Takes five minutes. Raises BenchmarkError and LocalError.
    """
    cores = cores_among(usable_cores())
    console.print(f"gateway: {cores}", highlight=False)
    with ExitStack() as stack:
        stack.enter_context(kept_to(cores.callers))
        direct = stack.enter_context(upstream(cores.callers))
        gateways = Gateways(folder, direct, core=cores.gateways)
        console.print("gateway: starts", highlight=False)
        servers, begun = _started(gateways, stack, times=starts or 3)
        ways = {
            DIRECT: direct,
            PLAIN: gateways.plain_door,
            OURS: gateways.door(KEY_WITHOUT_LIMITS),
            LIMITED: gateways.door(KEY_WITH_LIMITS),
        }
        running = _Running(ways, servers)
        for door in running.doors.values():
            asyncio.run(asked(door, number=_WARM_UP, at_once=8))
            asyncio.run(asked(door, number=8, at_once=4, stream_tokens=10))
        figures: list[Figure] = []
        for title, measure in _MEASURES.items():
            console.print(f"gateway: {title}", highlight=False)
            figures += measure(running)
        return [*figures, *_memory(servers), *begun]


def _started(
    gateways: Gateways, stack: ExitStack, *, times: int
) -> tuple[dict[str, Server], list[Figure]]:
    """Start each gateway so often, by turns; the last ones stay."""
    seconds: Values = defaultdict(list)
    servers: dict[str, Server] = {}
    starts = {PLAIN: gateways.start_plain, OURS: gateways.start_ours}
    for turn in range(times):
        for way, start in starts.items():
            server = start()
            seconds[way].append(server.cold_start_seconds)
            if turn < times - 1:
                server.close()
            else:
                stack.callback(server.close)
                servers[way] = server
    servers[LIMITED] = servers[OURS]
    return servers, [Figure("from its start until ready", 1, "s", _medians(seconds))]


def _speed(running: _Running) -> Iterator[Figure]:
    for at_once in (1, 32):
        found: dict[str, list[Answer]] = defaultdict(list)
        per_second: Values = defaultdict(list)
        for _ in range(_ROUNDS):
            for way in (DIRECT, PLAIN, OURS):
                load = asked_for(running.doors[way], seconds=_SECONDS, at_once=at_once)
                answers = asyncio.run(load)
                found[way] += answers
                lasted = max(each.last for each in answers) - min(each.sent for each in answers)
                per_second[way].append(len(answers) / lasted)
        yield Figure("requests a second", at_once, "", _medians(per_second), digits=0)
        for percent in (50, 99):
            took = {
                way: percentile([each.seconds * 1000 for each in answers], percent)
                for way, answers in found.items()
            }
            yield Figure(f"time of an answer, p{percent}", at_once, "ms", took, digits=2)


def _cost(running: _Running) -> Iterator[Figure]:
    def of_requests(door: Door) -> int:
        load = asked(door, number=_REQUESTS, at_once=_REQUESTS_AT_ONCE)
        return len(asyncio.run(load))

    def of_streams(door: Door) -> int:
        load = asked(door, number=_STREAMS, at_once=_STREAMS, stream_tokens=_STREAM_TOKENS)
        return len(asyncio.run(load))

    name = "CPU of a request"
    taken = _cpu_milliseconds(running, of_requests)
    yield Figure(name, _REQUESTS_AT_ONCE, "ms", taken, limit=CPU_LIMIT, digits=2)
    name = f"CPU of a stream of {_STREAM_TOKENS} tokens"
    yield Figure(name, _STREAMS, "ms", _cpu_milliseconds(running, of_streams))


def _cpu_milliseconds(running: _Running, load: Callable[[Door], int]) -> dict[str, float]:
    """Return the processor time of one request, by way, from turns that follow one another."""
    taken: Values = defaultdict(list)
    for ways, _ in zip(running.in_turns, range(_PAIRS), strict=False):
        for way in ways:
            server = running.servers[way]
            before = server.cpu_seconds
            number = load(running.doors[way])
            asyncio.run(asyncio.sleep(_REST_SECONDS))
            taken[way].append((server.cpu_seconds - before) * 1000 / number)
    return paired(taken)


def _first_byte(running: _Running) -> Iterator[Figure]:
    """One stream at a time; what a gateway adds is the difference to the upstream itself."""
    seconds: Values = defaultdict(list)
    for _ in range(_ROUNDS):
        for way in (DIRECT, PLAIN, OURS):
            answers = asyncio.run(
                asked(running.doors[way], number=12, at_once=1, stream_tokens=5),
            )
            seconds[way] += [each.first_byte_seconds * 1000 for each in answers]
    direct = median(seconds.pop(DIRECT))
    added = {way: value - direct for way, value in _medians(seconds).items()}
    yield Figure("first byte of a stream, added", 1, "ms", added)


def _streams(running: _Running) -> Iterator[Figure]:
    carried = {way: float(_most_streams(running.doors[way])) for way in (PLAIN, OURS)}
    most = int(max(*carried.values(), 1))
    yield Figure("streams at 50 tokens a second that one core carries", most, "", carried, digits=0)
    seconds = {way: _stream_seconds(running.doors[way], most) for way in (DIRECT, PLAIN, OURS)}
    name = f"time of a stream of {_CARRIED_TOKENS} tokens, p50"
    yield Figure(name, most, "s", seconds, digits=2)


def _most_streams(door: Door) -> int:
    """Return how many a core carries at a time before the median takes a tenth longer.

    The better of two tries counts: one that is disturbed would end the search far too low.
    """
    bound = _SLOWER * _stream_seconds(door, 1)
    return most_carried(
        _LEVELS,
        carries=lambda at_once: any(_stream_seconds(door, at_once) <= bound for _ in range(2)),
    )


def _stream_seconds(door: Door, at_once: int) -> float:
    lasts = _CARRIED_TOKENS / TOKENS_PER_SECOND
    load = streamed(door, at_once=at_once, tokens=_CARRIED_TOKENS, lasts=lasts)
    return median(each.seconds for each in asyncio.run(load))


def _memory(servers: Mapping[str, Server]) -> list[Figure]:
    found = {way: servers[way].memory_mib for way in (PLAIN, OURS)}
    return [
        Figure(f"memory after all of this, {name}", 1, "MiB", values, digits=0)
        for at, name in enumerate(("RSS", "PSS"))
        for values in [{way: each[at] for way, each in found.items()}]
    ]


def _medians(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {way: median(each) for way, each in values.items()}


_MEASURES: Mapping[str, Callable[[_Running], Iterator[Figure]]] = {
    "processor time, in pairs": _cost,
    "requests a second": _speed,
    "first byte": _first_byte,
    "streams": _streams,
}
