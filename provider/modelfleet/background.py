"""The one background event loop of a process.

The core is async; the engine's threads and synchronous callers of the SDK are not. All of them hand
their coroutines to one loop in one daemon thread, so that connections and watches are shared
however many calls wait. This module owns the loop and its thread, nothing that runs on it.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from modelfleet.errors import ProviderBugError

T = TypeVar("T")

_SECONDS_TO_END = 5.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run ``coroutine`` on the background loop and return its result; the caller's thread waits.

    What the coroutine raises is raised here, unchanged. When the wait is interrupted
    (KeyboardInterrupt), the coroutine is cancelled. Raises ProviderBugError when called on the
    loop itself, which could never end.
    """
    loop = background_loop()
    if _running_loop() is loop:
        coroutine.close()
        raise ProviderBugError("background.run was called on the background loop itself")
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run ``coroutine`` on the background loop from another one, which stays free meanwhile.

    What the coroutine raises is raised here, unchanged; when the caller is cancelled, so is it.
    """
    loop = background_loop()
    if _running_loop() is loop:
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, started on first use and ended with the process."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = _started_loop()
        return _loop


def _started_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="modelfleet-loop", daemon=True)
    thread.start()
    atexit.register(_end, loop, thread)
    return loop


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Cancel what still runs and let it clean up, for a bounded time."""

    async def cancel_all() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_SECONDS_TO_END)
        loop.stop()

    asyncio.run_coroutine_threadsafe(cancel_all(), loop)
    thread.join(timeout=_SECONDS_TO_END)
    if not thread.is_alive():
        loop.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _forget() -> None:
    """Leave the loop of a parent process to it: a forked child has no thread that runs it."""
    global _lock, _loop
    _lock, _loop = threading.Lock(), None
    atexit.unregister(_end)


if hasattr(os, "register_at_fork"):  # nothing forks on Windows
    os.register_at_fork(after_in_child=_forget)
