"""From `pulumi up` to the first answer: the instants in between, and who bears witness to them.

Each function reads one kind of evidence: an object of the cluster as a watch delivers it, a line
that a program printed, a line of a log. Pure. Instants are seconds since the epoch by the one clock
of a machine on which everything runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from benchmarks.audit import READS
from modelfleet.labels import ENGINE_CONTAINER

STARTED: Final = "started"
CREATE_CALLED: Final = "create called"
WRITTEN: Final = "written"
SCHEDULED: Final = "scheduled"
CONTAINER_STARTED: Final = "container started"
LISTENING: Final = "listening"
READY: Final = "ready"
NOTICED: Final = "noticed"
ENDED: Final = "ended"
REACHED: Final = "reached"
ANSWERED: Final = "answered"

PARTS: Final[Mapping[str, str]] = {
    "Pulumi, before": CREATE_CALLED,
    "apply": WRITTEN,
    "schedule": SCHEDULED,
    "container start": CONTAINER_STARTED,
    "model load": LISTENING,
    "probe": READY,
    "noticing": NOTICED,
    "Pulumi, after": ENDED,
    "port-forward": REACHED,
    "first token": ANSWERED,
}
"""The parts of the way in their order, each with the instant that ends it."""

LISTENS: Final = "listening on http"
"""What llama-server says when its model is loaded and it answers."""

_CREATE_CALLED: Final = re.compile(r"^\W*\S*:(ModelService|Floor) \S+ creating\b")
_CREATED: Final = re.compile(r"^\W*\S*:(ModelService|Floor) \S+ created\b")
_FORWARDING: Final = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ")


def parts_of(instants: Mapping[str, float]) -> dict[str, float]:
    """Return how many seconds each part took; together they are exactly the whole way.

    A part without an instant is left out, and its time counts as the next one's. Witnesses report
    with milliseconds of delay, so of two instants in the wrong order the earlier one counts as the
    later: its part took no time.
    """
    known = [name for name in PARTS if PARTS[name] in instants]
    reached = instants[STARTED]
    ends = [reached := max(reached, instants[PARTS[name]]) for name in known]
    lasted = (end - start for start, end in pairwise([instants[STARTED], *ends]))
    return dict(zip(known, lasted, strict=True))


def instants_of_pod(pod: Mapping[str, Any]) -> frozenset[str]:
    """Return which instants a pod is past."""
    names = {"PodScheduled": SCHEDULED, "Ready": READY}
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return frozenset(
        names[each["type"]]
        for each in conditions
        if each["type"] in names and each["status"] == "True"
    )


def instants_of_event(event: Mapping[str, Any]) -> frozenset[str]:
    """Return the instant that an event tells of: the kubelet has started the engine."""
    where = (event.get("involvedObject") or {}).get("fieldPath")
    is_start = event.get("reason") == "Started"
    is_engine = where == f"spec.containers{{{ENGINE_CONTAINER}}}"
    return frozenset({CONTAINER_STARTED} if is_start and is_engine else ())


def instants_of_engine_line(line: str) -> frozenset[str]:
    """Return the instant that a line printed by ``pulumi up`` tells of."""
    if _CREATE_CALLED.match(line):
        return frozenset({CREATE_CALLED})
    return frozenset({NOTICED} if _CREATED.match(line) else ())


def local_port_in(line: str) -> int | None:
    """Return the port in a line of ``kubectl port-forward`` that says it is open."""
    found = _FORWARDING.match(line)
    return int(found[1]) if found else None


def listening_at(log: Iterable[str]) -> float | None:
    """Return when an engine said that it listens, from its log with timestamps."""
    for line in log:
        at, _, text = line.partition(" ")
        if LISTENS in text:
            return epoch_seconds(at)
    return None


def last_write_at(audit_log: Iterable[str], *, namespace: str) -> float | None:
    """Return when the last of a namespace's objects was written, from lines of an audit log."""
    events = map(json.loads, audit_log)
    return max(
        (
            epoch_seconds(event["stageTimestamp"])
            for event in events
            if (event.get("objectRef") or {}).get("namespace") == namespace
            and event["verb"] not in READS
        ),
        default=None,
    )


def text_in(line: str) -> str:
    """Return what one line of a streamed chat completion adds to the answer."""
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line.removeprefix("data: ")).get("choices") or [{}]
    return str((choices[0].get("delta") or {}).get("content") or "")


def epoch_seconds(timestamp: str) -> float:
    """Return an RFC 3339 time, which may have nanoseconds, in seconds since the epoch."""
    second, _, fraction = timestamp.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{second}+00:00").timestamp() + float(f"0.{fraction or 0}")
