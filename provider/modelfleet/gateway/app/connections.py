"""Connections of callers, and how long the head of a request on them may be.

httptools sets no limit: anybody, without a key, could fill the memory with one header. uvicorn's
other parser, h11, has a limit of its own, and is taken as it is.
"""

from __future__ import annotations

import importlib
from typing import Any

MAX_HEAD_BYTES = 64 * 1024
"""What h11 allows as well; and somewhat more, as it is looked at after each read of a socket."""


def protocol() -> Any:
    """What ``uvicorn.Config`` takes as ``http``: a protocol for httptools, or ``auto`` without."""
    try:
        base: Any = importlib.import_module("uvicorn.protocols.http.httptools_impl")
    except ImportError:
        return "auto"

    class BoundedProtocol(base.HttpToolsProtocol):  # type: ignore[misc]
        """Counts what is neither a body nor the end of a request: lines, headers, trailers."""

        _outside_bytes = 0

        def data_received(self, data: bytes) -> None:
            self._outside_bytes += len(data)
            super().data_received(data)
            if self._outside_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

        def on_body(self, body: bytes) -> None:
            self._outside_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._outside_bytes = 0
            super().on_message_complete()

    return BoundedProtocol
