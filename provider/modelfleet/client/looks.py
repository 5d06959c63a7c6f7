"""Handing what a wait sees from the background loop to whoever waits, in its own thread or loop.

So that a callback may do whatever it likes, calls of the SDK included, without holding up others,
and that what it raises ends the wait.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from modelfleet.background import background_loop

T = TypeVar("T")

Wait = Callable[[Callable[[T], None]], Coroutine[Any, Any, None]]
"""Makes the coroutine of a wait, given what it is to call with everything it sees."""


def follow(wait: Wait[T], on_look: Callable[[T], object]) -> None:
    """Call ``on_look`` in this thread with all that ``wait`` sees, until it is over."""
    looks: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()
    waiting = asyncio.run_coroutine_threadsafe(
        wait(lambda look: looks.put((look,))), background_loop()
    )
    waiting.add_done_callback(lambda _: looks.put(None))
    try:
        while (look := looks.get()) is not None:
            on_look(*look)
        waiting.result()
    finally:
        waiting.cancel()


async def follow_async(wait: Wait[T], on_look: Callable[[T], object]) -> None:
    """Call ``on_look`` on this loop with all that ``wait`` sees, until it is over.

    What it returns is awaited where it can be.
    """
    loop = asyncio.get_running_loop()
    looks: asyncio.Queue[tuple[T] | None] = asyncio.Queue()

    def put(look: tuple[T] | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(looks.put_nowait, look)

    waiting = asyncio.run_coroutine_threadsafe(wait(lambda look: put((look,))), background_loop())
    waiting.add_done_callback(lambda _: put(None))
    try:
        while (look := await looks.get()) is not None:
            if inspect.isawaitable(told := on_look(*look)):
                await told
        waiting.result()
    finally:
        waiting.cancel()
