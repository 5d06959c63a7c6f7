"""The server's thread pool is found from a thread of its own, and grows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from modelfleet.adapters.dynamic.pool import widen_pool


def test_a_pool_grows_when_asked_from_one_of_its_own_threads() -> None:
    everybody = threading.Barrier(16, timeout=60)
    with ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(widen_pool, 16).result()
        for waiting in [pool.submit(everybody.wait) for _ in range(16)]:
            waiting.result()


def test_a_pool_that_is_large_enough_keeps_its_size() -> None:
    with ThreadPoolExecutor(max_workers=3) as pool:
        assert pool.submit(widen_pool, 2).result()
        everybody = threading.Barrier(3, timeout=60)
        for waiting in [pool.submit(everybody.wait) for _ in range(3)]:
            waiting.result()


def test_outside_of_a_pool_nothing_is_found_and_nothing_breaks() -> None:
    assert not widen_pool(16)
