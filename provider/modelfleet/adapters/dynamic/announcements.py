"""What a user is told beside a resource while a run is under way.

At preview: what the changes of a service do to its pods. While waiting: for what. Messages
only; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelfleet.adapters.dynamic import engine_link
from modelfleet.adapters.dynamic.calls import Call, calling_request
from modelfleet.adapters.dynamic.state import DRIFT, OWNER
from modelfleet.diff import WORDS, Change, heaviest


def announce(
    changes: Sequence[Change], *, olds: Mapping[str, Any], news: Mapping[str, Any]
) -> None:
    """Say beside the resource what the update will do, heaviest first, if it will do anything."""
    text = "; ".join([*_other_changes(olds, news), *_field_changes(changes)])
    call = calling_request()
    if text and call is not None:
        engine_link.log("info", text, urn=call.urn)


def progress(call: Call | None) -> Callable[[str], None] | None:
    """Return what shows a waiting reason in the resource's line, None outside of a run."""
    if call is None:
        return None
    urn = call.urn
    return lambda text: engine_link.log("info", text, urn=urn, ephemeral=True)


def _field_changes(changes: Sequence[Change]) -> list[str]:
    heavy = heaviest(list(changes))
    if heavy is None:
        return []
    ordered = sorted(changes, key=lambda each: (-each.change.weight, each.path))
    fields = ", ".join(str(each) for each in ordered)
    return [f"{WORDS[heavy]}: {fields}"]


def _other_changes(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    told = []
    if olds.get(DRIFT):
        told.append("repairs drift")
    if olds.get(OWNER) != news.get(OWNER) and olds.get(OWNER):
        told.append(f"relabels it from {olds[OWNER]} to {news.get(OWNER)}")
    return told
