"""What the cluster has to tell lately: Events, those of one cause in one line.

A hundred pods that wait for the same GPU, and one that was told so a hundred times, are one line
with a count. Pure; what others wrote in a message is masked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.cluster.masking import without_values
from modelfleet.cluster.objects import Object
from modelfleet.cluster.others_words import short

EVENTS_TOLD: Final = 12

_KEPT: Final = (
    "metadata",
    "involvedObject",
    "type",
    "reason",
    "message",
    "count",
    "series",
    "lastTimestamp",
    "eventTime",
)
_KEPT_METADATA: Final = ("name", "namespace", "creationTimestamp")


@dataclass(frozen=True)
class Event:
    """What happened ``count`` times, the last time at ``last_at`` (RFC 3339).

    ``about`` is the object, ``Pod qwen-0``, or how many of a kind, ``8 Pods``; ``message`` is that
    of the last time.
    """

    last_at: str
    type: str
    reason: str
    about: str
    message: str
    count: int


def events_about(
    events: Iterable[Object],
    *,
    is_about: Callable[[str, str], bool],
    since: str = "",
    secrets: Collection[str] = (),
    limit: int = EVENTS_TOLD,
) -> tuple[Event, ...]:
    """Return the newest ``limit`` causes among ``events``, newest last.

    ``is_about`` says of kind and name whether an object is meant; what ended before ``since`` was
    about a namesake. ``secrets`` are values that must not be repeated.
    """
    groups: dict[tuple[str, ...], list[Object]] = {}
    for event in sorted(events, key=by_time):
        kind, name = _subject(event)
        if is_about(kind, name) and by_time(event) >= since.removesuffix("Z"):
            groups.setdefault(_cause(event), []).append(event)
    newest = sorted(groups.values(), key=lambda same: by_time(same[-1]))[-limit:]
    return tuple(_told(same, secrets) for same in newest)


def by_time(event: Object) -> str:
    """Return what events sort by: some tell fractions of a second, and some do not."""
    return last_seen(event).removesuffix("Z")


def last_seen(event: Object) -> str:
    """Return when the event last happened (RFC 3339 in UTC)."""
    series: Mapping[str, str] = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp", "")
    )


def slim_event(event: Object) -> Object:
    """Return the parts of an event that are read here or in a diagnosis."""
    slim: Object = {key: event[key] for key in _KEPT if key in event}
    metadata = event["metadata"]
    slim["metadata"] = {key: metadata[key] for key in _KEPT_METADATA if key in metadata}
    return slim


def _subject(event: Object) -> tuple[str, str]:
    involved: Mapping[str, Any] = event.get("involvedObject") or {}
    return str(involved.get("kind", "")), str(involved.get("name", ""))


def _cause(event: Object) -> tuple[str, ...]:
    """Return what events share that are told as one.

    Of a warning the message tells causes apart, once the names of its object are out of it; what
    goes well is the same for all.
    """
    kind, name = _subject(event)
    if event.get("type") != "Warning":
        return (kind, str(event.get("reason", "")))
    uid = str((event.get("involvedObject") or {}).get("uid", "")) or name
    message = str(event.get("message", "")).replace(name, "").replace(uid, "")
    return (kind, str(event.get("reason", "")), message)


def _told(same: Sequence[Object], secrets: Collection[str]) -> Event:
    last = same[-1]
    kind, name = _subject(last)
    names = {_subject(event)[1] for event in same}
    return Event(
        last_at=last_seen(last),
        type=str(last.get("type", "")),
        reason=str(last.get("reason", "")),
        about=f"{kind} {name}" if len(names) == 1 else f"{len(names)} {kind}s",
        message=without_values(short(str(last.get("message", ""))), secrets),
        count=sum(_times(event) for event in same),
    )


def _times(event: Object) -> int:
    series: Mapping[str, Any] = event.get("series") or {}
    return int(series.get("count") or event.get("count") or 1)
