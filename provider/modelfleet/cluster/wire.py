"""What goes over the wire and comes back, as values: JSON, listings, watch events. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from modelfleet.cluster.api_errors import Asked, api_error, unreachable_error
from modelfleet.cluster.objects import Kind, Object
from modelfleet.errors import ConflictError


@dataclass(frozen=True)
class Listing:
    """Objects as they were at ``resource_version``, from which a watch may continue."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True)
class Applied:
    """The object as the server has it after an apply, and whether it is new."""

    live: Object
    created: bool


@dataclass(frozen=True)
class WatchEvent:
    """One event of a watch. Of a BOOKMARK only ``resource_version`` means anything."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object

    @property
    def resource_version(self) -> str:
        """The version from which a watch that ends here may continue."""
        return str(self.object["metadata"]["resourceVersion"])


class WatchExpired(ConflictError):  # noqa: N818 - what happened to the watch, not a fault
    """The version a watch should continue from is no longer known: list again."""


def encoded(content: Any) -> bytes:
    """Return ``content`` as compact JSON."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def decoded(body: bytes, asked: Asked) -> Object:
    """Return the JSON object of a successful reply, whatever its Content-Type claims."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        error = unreachable_error(asked, "its reply is not JSON (is it an API server?)")
        error.maybe_written = asked.verb not in ("get", "list")
        raise error
    return content


def typed(item: Object, kind: Kind) -> Object:
    """Return ``item`` with the apiVersion and kind that a list says once for all of its items."""
    return {"apiVersion": kind.api_version, "kind": kind.kind, **item}


def event_in(line: str, kind: Kind, asked: Asked) -> WatchEvent:
    """Return the event of one line; an ERROR event is raised as what it says."""
    try:
        event = json.loads(line)
        type_, obj = event["type"], event["object"]
    except (ValueError, KeyError, TypeError):  # the connection broke in the middle of a line
        raise unreachable_error(asked, "the watch sent half an event") from None
    if type_ == "ERROR":
        raise api_error(asked, status=int(obj.get("code") or 500), body=encoded(obj))
    return WatchEvent(type_, typed(obj, kind))
