"""The background loop: results, errors, sharing, interruption, and the end of a process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelfleet.background import background_loop, run
from modelfleet.errors import ConflictError, ProviderBugError


async def test_a_result_crosses_from_the_loop_to_the_calling_thread() -> None:
    async def answer() -> int:
        return 42

    assert await asyncio.to_thread(lambda: run(answer())) == 42


def test_an_error_keeps_its_type_and_its_fields() -> None:
    async def fail() -> None:
        raise ConflictError("Deployment models/qwen", "is being changed", status=409)

    with pytest.raises(ConflictError) as caught:
        run(fail())
    assert caught.value.status == 409


def test_all_threads_share_one_loop_and_wait_at_the_same_time() -> None:
    # Eight waits that need one another end only if they run side by side.
    meeting = asyncio.Barrier(8)

    async def meet() -> asyncio.AbstractEventLoop:
        async with asyncio.timeout(60), meeting:
            return asyncio.get_running_loop()

    with ThreadPoolExecutor(8) as pool:
        loops = set(pool.map(lambda _: run(meet()), range(8)))
    assert loops == {background_loop()}


def test_waiting_on_the_loop_for_itself_is_refused() -> None:
    async def nested() -> None:
        run(asyncio.sleep(0))

    with pytest.raises(ProviderBugError, match="on the background loop itself"):
        run(nested())


def test_a_process_ends_what_still_runs_on_the_loop_and_lets_it_clean_up() -> None:
    program = """
import asyncio, threading
from modelfleet.background import run
started = threading.Event()
async def work():
    started.set()
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)
threading.Thread(target=lambda: run(work()), daemon=True).start()
started.wait()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=True
    )
    assert ended.stdout == "cleaned up\n"
