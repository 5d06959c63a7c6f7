"""Waiting for an answer for so long as its giver takes, and not as its asker does.

A process that is busy with other requests, or imports a library, looks late at what has long
arrived: a common timeout would take an answer for missing that lies in the socket. Here the time
in which the event loop did not run is not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")

# A timer that is later than this says that the loop was held up.
_HELD_UP_SECONDS = 0.02

# How often the loop looks for what has arrived before its time is really over. An answer of
# several parts (connected, authenticated, answered) takes a look for each step.
_LOOKS = 12

_MOST_WAITS = 5


async def answer_within(seconds: float, question: Coroutine[Any, Any, _Answer]) -> _Answer:
    """The answer to ``question``. Raises TimeoutError, and what asking raises."""
    asking = asyncio.ensure_future(question)
    try:
        for _ in range(_MOST_WAITS):
            if not await _is_held_up(asking, seconds):
                break
        for _ in range(_LOOKS):
            if asking.done():
                return asking.result()
            await asyncio.sleep(0)
        raise TimeoutError
    finally:
        if not asking.done():
            asking.add_done_callback(_forget)
            asking.cancel()


async def _is_held_up(asking: asyncio.Future[_Answer], seconds: float) -> bool:
    """Wait; whether there is no answer, but the loop did not run for a part of that time."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    await asyncio.wait({asking}, timeout=seconds)
    return not asking.done() and loop.time() - ends_at > _HELD_UP_SECONDS


def _forget(asking: asyncio.Future[_Answer]) -> None:
    """Take note of how it ended, of which nobody else wants to know."""
    if not asking.cancelled():
        asking.exception()
