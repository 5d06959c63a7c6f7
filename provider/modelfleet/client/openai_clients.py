"""OpenAI's own clients over connections that a whole process shares.

A client is made for each call, as each has an address, a key and headers of its own; what costs
time, connections and trusted certificates, is kept: for threads one pool, for coroutines one per
event loop, which ends with it. The package is imported when a model is first called.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import openai

CONNECT_SECONDS: Final = 10.0

_KEY_HEADER: Final = "authorization"
_NO_KEY: Final = "none"
"""What OpenAI's client is told where there is no key, as it wants one; it is not sent."""


@dataclass(frozen=True)
class Caller:
    """How requests of one call are sent.

    ``is_direct`` says that no proxy of the environment stands in between; ``silence_seconds`` is
    how long an answer, or the next part of a streamed one, may take.
    """

    base_url: str
    api_key: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    silence_seconds: float
    is_direct: bool = False
    max_retries: int | None = None


def client_for(caller: Caller) -> openai.OpenAI:
    """Return a client for threads. It need not be closed."""
    import openai

    return openai.OpenAI(http_client=_pool(caller.is_direct), **_arguments(caller))


async def async_client_for(caller: Caller) -> openai.AsyncOpenAI:
    """Return a client for the coroutines of the running loop. It need not be closed."""
    import openai

    pool = await _pool_of_this_loop(caller.is_direct)
    return openai.AsyncOpenAI(http_client=pool, **_arguments(caller))


def without_a_key(caller: Caller, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``parameters`` of a call with word that no key is to be sent, where there is none."""
    import openai

    given = parameters.get("extra_headers") or {}
    if caller.api_key or any(each.lower() == _KEY_HEADER for each in (*caller.headers, *given)):
        return dict(parameters)
    return {**parameters, "extra_headers": {**given, _KEY_HEADER: openai.omit}}


def _arguments(caller: Caller) -> dict[str, Any]:
    import openai

    # Of the environment nothing is taken: keys and organisations there are for OpenAI.
    nobody: dict[str, Any] = {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
    retries = {} if caller.max_retries is None else {"max_retries": caller.max_retries}
    return {
        "base_url": caller.base_url,
        "api_key": caller.api_key or _NO_KEY,
        "default_headers": {**nobody, **caller.headers},
        "timeout": openai.Timeout(caller.silence_seconds, connect=CONNECT_SECONDS),
        **retries,
    }


_making: Final = threading.Lock()
_pools: Final[dict[bool, Any]] = {}
_keepers: Final[WeakKeyDictionary[Any, dict[bool, tuple[Any, Any]]]] = WeakKeyDictionary()


def _pool(is_direct: bool) -> Any:
    import openai

    with _making:
        if is_direct not in _pools:
            _pools[is_direct] = openai.DefaultHttpxClient(trust_env=not is_direct)
            atexit.register(_pools[is_direct].close)
        return _pools[is_direct]


async def _pool_of_this_loop(is_direct: bool) -> Any:
    """Return the pool of the running loop, which is closed when the loop ends.

    A loop that ends in good order closes its asynchronous generators, so one of them keeps it.
    """
    kept = _keepers.setdefault(asyncio.get_running_loop(), {})
    if is_direct not in kept:
        keeper = _kept_pool(kept, is_direct)
        kept[is_direct] = (keeper, await anext(keeper))
    return kept[is_direct][1]


async def _kept_pool(kept: dict[bool, Any], is_direct: bool) -> AsyncGenerator[Any, None]:
    import openai

    pool = openai.DefaultAsyncHttpxClient(trust_env=not is_direct)
    try:
        yield pool
    finally:
        del kept[is_direct]
        await pool.aclose()


def _forget() -> None:
    """Leave the connections of a parent process to it."""
    _pools.clear()


os.register_at_fork(after_in_child=_forget)
