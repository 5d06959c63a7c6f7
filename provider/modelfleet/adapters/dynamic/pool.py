"""More threads for the SDK's server.

The server of dynamic providers runs every call on four threads. A create waits for minutes until
pods are ready, and four of them would stop even the checks of all other resources, which the
engine makes one after another. The pool therefore has to be larger than the engine's
``--parallel``; a thread that waits costs little.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

# Twice the parallelism that a large fleet would use.
POOL_THREADS = 1024


def widen_pool(threads: int = POOL_THREADS) -> bool:
    """Let the pool that runs this thread grow to ``threads``; return whether it was found.

    Where it is not found, nothing breaks: calls are served four at a time, as without us.
    """
    pool = _pool_of_this_thread()
    if pool is None:
        return False
    pool._max_workers = max(pool._max_workers, threads)
    return True


def _pool_of_this_thread() -> ThreadPoolExecutor | None:
    # The lowest frame of a pool's thread holds a weak reference to its pool.
    frame = sys._getframe(1)
    while frame.f_back is not None:
        reference = frame.f_locals.get("executor_reference")
        pool = reference() if callable(reference) else None
        if isinstance(pool, ThreadPoolExecutor):
            return pool
        frame = frame.f_back
    return None
