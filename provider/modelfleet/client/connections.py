"""The connections of a process: one per cluster, shared by every call, on the background loop.

A connection is made by the first call that needs it, and holds the watches that all waits share.
Nothing here knows a verb; what calls do with a connection is ``verbs.py``.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakSet, finalize

from modelfleet.agentrun.paging import Pages
from modelfleet.agentrun.registry import Registry
from modelfleet.background import run
from modelfleet.client.addresses import Addresses
from modelfleet.client.config import Config
from modelfleet.cluster.client import Client
from modelfleet.clusters import ClusterConfig
from modelfleet.errors import ConfigError
from modelfleet.fleet import Fleet

_SECONDS_TO_END: Final = 2.0

_Address = tuple[str, ClusterConfig, str | None]


@dataclass(eq=False)
class Connection:
    """One cluster as calls use it. ``holders`` are the open clients that have used it.

    ``calls`` is how many calls are under way, and answers that are still coming.
    """

    fleet: Fleet
    registry: Registry
    pages: Pages
    addresses: Addresses
    holders: WeakSet[object] = field(default_factory=WeakSet)
    calls: int = 0


class Lent:
    """A connection that is lent beyond the call that began with it, on the background loop.

    ``end`` gives it back, from any thread and as often as one likes; so does forgetting it.
    """

    def __init__(self, connection: Connection) -> None:
        connection.calls += 1
        self.end = finalize(self, _give_back, connection, asyncio.get_running_loop())
        self.end.atexit = False


# All touched on the background loop alone.
_open: Final[dict[_Address, Connection]] = {}
_released: Final[set[Connection]] = set()
_closing: Final[set[asyncio.Task[None]]] = set()


@asynccontextmanager
async def connected(config: Config, *, holder: object = None) -> AsyncIterator[Connection]:
    """Lend the connection that ``config`` means for one call, on the background loop.

    ``holder`` is the client whose :func:`release` it outlives, if any.

    Raises:
        ConfigError: the cluster is not configured, or its kubeconfig cannot be used.
    """
    address = _address_of(config)
    connection = _open.get(address)
    if connection is None:
        connection = _open[address] = _connection(config)
    if holder is not None:
        connection.holders.add(holder)
    connection.calls += 1
    try:
        yield connection
    finally:
        connection.calls -= 1
        await _close_if_over(connection)


async def release(holder: object) -> None:
    """Close the connections that ``holder`` used and no other open client has, once they rest.

    Whoever calls after that gets a new one.
    """
    for address, connection in list(_open.items()):
        if holder in connection.holders:
            connection.holders.discard(holder)
            if not connection.holders:
                del _open[address]
                _released.add(connection)
                await _close_if_over(connection)


async def _close_if_over(connection: Connection) -> None:
    if connection in _released and not connection.calls:
        _released.discard(connection)
        await _close(connection)


def _give_back(connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
    with suppress(RuntimeError):  # the process ends, and the loop before it
        loop.call_soon_threadsafe(_given_back, connection)


def _given_back(connection: Connection) -> None:
    connection.calls -= 1
    task = asyncio.get_running_loop().create_task(_close_if_over(connection))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _close(connection: Connection) -> None:
    await connection.addresses.aclose()
    await connection.fleet.aclose()


def _address_of(config: Config) -> _Address:
    cluster = config.get_cluster_config()
    ambient = os.environ.get("KUBECONFIG") if cluster.kubeconfig is None else None
    return config.get_cluster(), cluster, ambient


def _connection(config: Config) -> Connection:
    name, cluster = config.get_cluster(), config.get_cluster_config()
    try:
        client = Client.connect(kubeconfig=cluster.kubeconfig, context=cluster.context)
    except ConfigError as error:
        raise ConfigError(f"cluster {name!r}: {error.message}", hint=error.hint) from None
    fleet = Fleet(client, cluster=name)
    if not _open:
        # Later than the loop's own end was, and so to be called before it.
        atexit.unregister(_end)
        atexit.register(_end)
    return Connection(fleet, Registry(fleet), Pages(), Addresses(fleet))


async def _close_all() -> None:
    left = [*_open.values(), *_released]
    _open.clear()
    _released.clear()
    async with asyncio.timeout(_SECONDS_TO_END):
        await asyncio.gather(*map(_close, left), *_closing)


def _end() -> None:
    """Close what is open, for a bounded time, while the background loop still runs."""
    with suppress(Exception):
        run(_close_all())


def _forget() -> None:
    """Leave the connections of a parent process to it."""
    _open.clear()
    _released.clear()
    _closing.clear()
    atexit.unregister(_end)


if hasattr(os, "register_at_fork"):  # nothing forks on Windows
    os.register_at_fork(after_in_child=_forget)
