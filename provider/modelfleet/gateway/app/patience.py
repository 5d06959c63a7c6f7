"""Waiting for an answer for so long as its giver takes, and not as its asker does.

A process that is busy with other requests, or imports a library, looks late at what has long
arrived: a common timeout would take an answer for missing that lies in the socket. Here time is
counted in slices, and one that lasts longer because the event loop was held up counts as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")

# As many as a new connection has steps (connected, authenticated, answered), and some: where
# every slice is a single turn of a loop that is never idle, they must do for all of them.
_SLICES = 20


async def answer_within(seconds: float, question: Coroutine[Any, Any, _Answer]) -> _Answer:
    """The answer to ``question``. Raises TimeoutError, and what asking raises."""
    asking = asyncio.ensure_future(question)
    try:
        for _ in range(_SLICES):
            await asyncio.wait({asking}, timeout=seconds / _SLICES)
            if asking.done():
                return asking.result()
        raise TimeoutError
    finally:
        if not asking.done():
            asking.add_done_callback(_forget)
            asking.cancel()


def _forget(asking: asyncio.Future[_Answer]) -> None:
    """Take note of how it ended, of which nobody else wants to know."""
    if not asking.cancelled():
        asking.exception()
