"""Requests signed with an access key: the text that is signed, its date, and whether it fits. Pure.

What is signed is the verb, the ``Date`` as it was sent, and the path without ``/zstack``: neither
the query nor the body. So a signature proves who asks, and not what for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Final

PREFIX: Final = "/zstack"

_ZONES: Final = {"CST": 8, "PRC": 8}
"""What ZStack's clients write for the time of China, by hours; elsewhere CST is something else."""

_ZONE: Final = re.compile(r" ([A-Z]{2,5})$")


def signature_of(secret: str, *, method: str, path: str, date: str) -> str:
    """Return the signature of a request; ``path`` may begin with ``/zstack``."""
    text = f"{method}\n{date}\n{path.removeprefix(PREFIX)}"
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def is_signature(said: str, *, secret: str, method: str, path: str, date: str) -> bool:
    """Return whether ``said`` is the signature of that request."""
    try:
        given = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = base64.b64decode(signature_of(secret, method=method, path=path, date=date))
    return hmac.compare_digest(given, expected)


def date_of(text: str) -> datetime | None:
    """Return the point in time of a ``Date``, None where it is none."""
    zone = UTC
    if (named := _ZONE.search(text)) and named[1] in _ZONES:
        zone = timezone(timedelta(hours=_ZONES[named[1]]))
        text = text[: named.start()] + " GMT"
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None or zone is not UTC:
            return moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
