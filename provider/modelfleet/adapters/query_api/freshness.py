"""Says on every response how old the answer may be, and why, where it is.

Strangers hear that, not what the API server said: an address may stand in it.
"""

from __future__ import annotations

import math

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

from modelfleet.catalogue import Catalogue

AGE = "X-Modelfleet-Age-Seconds"
STALE = "X-Modelfleet-Stale"

_LONGEST = 300


def tell_freshness(headers: MutableHeaders, scope: Scope, catalogue: Catalogue) -> None:
    """Add how long changes may have been missed, 0 while they are told as they happen."""
    freshness = catalogue.freshness
    headers[AGE] = str(math.ceil(freshness.age_seconds))
    if freshness.synced and freshness.age_seconds == 0:
        return
    reason = "the API server cannot be asked at the moment"
    if "account" in scope.get("state", {}) and freshness.trouble:
        reason = freshness.trouble
    headers[STALE] = _header_text(reason)


def _header_text(reason: str) -> str:
    text = "".join(each if " " <= each <= "~" else " " for each in reason)
    return " ".join(text.split())[:_LONGEST]
