"""Connections of callers: how many there may be, and how long a request's head may take.

uvicorn bounds the size of a head and how long a connection may idle between requests; one that has
not sent a whole head it would keep for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST: Final = 2_000
HEAD_BYTES: Final = 32 * 1024
HEAD_SECONDS: Final = 15.0


GOODBYE_SECONDS: Final = 1.0
"""How long a caller may take to end a connection of TLS that was ended here; asyncio gives 30."""


class Connection(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _goodbye_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take it, or, where there are too many, end it."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.abort()
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Hand on, and see to it that a head which has begun comes to an end."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_head()
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_response_complete(self) -> None:
        """Go on with the next request, or see the connection end."""
        super().on_response_complete()
        self._see_it_end()

    def shutdown(self) -> None:
        """End it, or have it end after the request that runs."""
        super().shutdown()
        self._see_it_end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        for timer in (self._head_timer, self._goodbye_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _see_it_end(self) -> None:
        if self.transport.is_closing():
            self._goodbye_timer = self.loop.call_later(GOODBYE_SECONDS, self._hang_up)

    def _hang_up(self) -> None:
        if self.transport.get_write_buffer_size():
            self._see_it_end()  # a slow reader, not one who has gone
        else:
            self.transport.abort()
