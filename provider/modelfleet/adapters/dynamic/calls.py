"""The engine's call that the running thread is serving.

The SDK hands a dynamic provider its properties and drops the rest of the request: URN, name,
type, timeout. The request and its gRPC context still sit in the frames of the SDK's server that
called us. This module finds them there, and does nothing else with them; where it finds none
(another SDK, a test, a notebook) callers get None and do without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import Message

# From a verb to the server's frame there are a handful of steps; a bound keeps a miss cheap.
_FRAMES_TO_SEARCH = 64


@dataclass(frozen=True)
class Call:
    """One request of the engine.

    ``verb`` is ``create``, ``update`` and so on. ``urn``, ``name`` and ``type`` are those of the
    resource; ``name`` is the logical one. ``timeout_seconds`` is the user's ``customTimeouts`` for
    this verb, None where there is none. ``request`` and ``context`` are for this adapter's
    plumbing only.
    """

    verb: str
    urn: str
    name: str
    type: str
    timeout_seconds: float | None
    request: Message = field(repr=False)  # holds secrets
    context: grpc.ServicerContext = field(repr=False)


def calling_request() -> Call | None:
    """Return the call that the running thread is serving, or None outside of one."""
    for frame in _calling_frames():
        request, context = frame.f_locals.get("request"), frame.f_locals.get("context")
        if isinstance(request, Message) and isinstance(context, grpc.ServicerContext):
            return Call(
                verb=type(request).__name__.removesuffix("Request").lower(),
                urn=getattr(request, "urn", ""),
                name=getattr(request, "name", ""),
                type=getattr(request, "type", ""),
                timeout_seconds=getattr(request, "timeout", 0.0) or None,
                request=request,
                context=context,
            )
    return None


def _calling_frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_FRAMES_TO_SEARCH):
        if frame is None:
            return
        yield frame
        frame = frame.f_back
