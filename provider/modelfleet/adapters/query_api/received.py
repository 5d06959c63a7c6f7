"""The body of a request as it comes in: bounded in length and in time, whatever its head says."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from modelfleet.adapters.query_api.refusal import RefusedError

BODY_SECONDS: Final = 15.0
BODY_BYTES_PER_SECOND: Final = 32 * 1024
"""How long a body may be waited for: so long, and longer by what has come at that rate."""


class Body:
    """Receives, and stops where a body is longer than is allowed, or comes too slowly."""

    def __init__(self, scope: Scope, receive: Receive, limit_bytes: int) -> None:
        """Raise RefusedError where the head says already that it cannot be taken."""
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._waited_seconds = 0.0
        self._is_whole = False
        self.is_awaited = False
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        if declared and "transfer-encoding" in headers:
            raise _two_lengths()
        if declared.isascii() and declared.isdigit() and int(declared) > limit_bytes:
            raise self._too_large()

    async def __call__(self) -> Message:
        """Return the next part, or the end of the connection.

        Raises:
            RefusedError: it is too much, or took too long.
        """
        if self._is_whole:  # then it is the end of the connection that is waited for
            return await self._receive()
        # Only what is spent on waiting counts: whoever takes the body may be slow as well.
        clock = asyncio.get_running_loop().time
        seconds = BODY_SECONDS + self._bytes / BODY_BYTES_PER_SECOND - self._waited_seconds
        since, self.is_awaited = clock(), True
        try:
            async with asyncio.timeout(seconds):
                message = await self._receive()
        except TimeoutError:
            raise too_slow() from None
        self._waited_seconds += clock() - since
        self.is_awaited = False
        self._is_whole = not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._limit_bytes:
            raise self._too_large()
        return message

    def _too_large(self) -> RefusedError:
        return RefusedError(
            413,
            "TooLarge",
            f"The body is larger than {self._limit_bytes} bytes.",
            # Else the rest of it would have to be read before the next request.
            headers={"Connection": "close"},
        )


def too_slow() -> RefusedError:
    """Return why a request ends whose body is still waited for."""
    return RefusedError(
        408, "TooSlow", "The body did not arrive in time.", headers={"Connection": "close"}
    )


def _two_lengths() -> RefusedError:
    """Refuse what others on the way may have read as two requests, or as another one."""
    return RefusedError(
        400,
        "BadRequest",
        "A body has Content-Length or Transfer-Encoding, not both.",
        headers={"Connection": "close"},
    )
