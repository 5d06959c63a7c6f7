"""Points in time as ZStack writes them, and as people write them in conditions. Pure.

The original writes the time of its own clock without a zone. Here it is always UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

FORMS: Final = "`Nov 21, 2026 9:05:00 PM`, `2026-11-21 21:05:00`, `2026-11-21T21:05:00Z`, a date"
"""How a point in time may be written, for messages and docs."""

_MONTHS: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]
_OWN: Final = re.compile(
    r"([A-Z][a-z]{2}) (\d{1,2}), (\d{4}),? (\d{1,2}):(\d{2}):(\d{2})[ \u202f]([AP])M", re.ASCII
)
_ISO: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?"
)


def point_in_time(text: str) -> datetime | None:
    """Return what ``text`` means, in whole seconds of UTC; None where it is no point in time."""
    text = text.strip()
    try:
        if own := _OWN.fullmatch(text):
            return _of(own)
        if _ISO.fullmatch(text):
            found = datetime.fromisoformat(text)
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
            return found.replace(microsecond=0)
    except (ValueError, OverflowError):
        pass
    return None


def written(moment: datetime) -> str:
    """Return a point in time as ZStack writes it, such as ``Nov 21, 2026 9:05:00 PM``."""
    moment = moment.astimezone(UTC)
    month, half = _MONTHS[moment.month - 1], "AM" if moment.hour < 12 else "PM"
    hour = moment.hour % 12 or 12
    return f"{month} {moment.day}, {moment.year} {hour}:{moment:%M:%S} {half}"


def _of(own: re.Match[str]) -> datetime:
    month, day, year, hour, minute, second, half = own.groups()
    if not 1 <= int(hour) <= 12:
        raise ValueError
    clock = int(hour) % 12 + (12 if half == "P" else 0)
    number = _MONTHS.index(month) + 1
    return datetime(int(year), number, int(day), clock, int(minute), int(second), tzinfo=UTC)
