"""Ports of this machine behind which services and proxies stand, whatever becomes of their pods.

Each connection is led to a pod that serves when it comes, in turn; so a pod that goes takes along
the requests it was busy with, and the next ones find another. For programs that stay; a person's
one conversation is led by ``reach.reached``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from modelfleet.catalogue import Catalogue
from modelfleet.cluster.client import Client
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.port_forward import LocalPort
from modelfleet.cluster.tunnel import Tunnel, tunnel_to
from modelfleet.errors import (
    ClusterError,
    ModelFleetError,
    NotFoundError,
    NotReadyError,
    UnavailableError,
)
from modelfleet.named import Address
from modelfleet.reach import Door, doors_of
from modelfleet.targets import Target, target_of

LOOK_SECONDS: Final = 5.0
"""How long it is relied upon that pods which served still do; whose connection fails, no longer."""

MOST_PORTS: Final = 256
"""How many ports are held open at most: each takes a socket, of which a process has some 1,000."""

REST_SECONDS: Final = 5.0
"""How long nobody has asked for a port, and nothing has gone through it, before it is closed."""

_TRIES: Final = 3


class StandingPort(LocalPort):
    """A local address that leads to the pods of ``target``. Belongs to one event loop."""

    def __init__(self, client: Client, target: Target) -> None:
        super().__init__(self._led)
        self.target = target
        self.asked_at = float("-inf")
        self._client = client
        self._doors: list[Door] = []
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._opening = asyncio.Lock()

    @property
    def is_in_use(self) -> bool:
        """Whether it is being opened, or has connections."""
        return self._opening.locked() or bool(self._connections)

    async def open(self) -> None:
        """Take connections from now on, once it has been tried whether one can be made.

        Raises as ``check`` does, and ForbiddenError without the right to forward ports.
        """
        async with self._opening:
            if not self.local_port:
                async with self._led():
                    pass
            await super().open()

    async def check(self) -> None:
        """Raise NotReadyError where nobody would answer; asks anew every few seconds at most."""
        await self._next()

    async def _next(self) -> Door:
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if not self._doors or now - self._looked_at > LOOK_SECONDS:
                self._doors = await self._look()
                self._looked_at = now
            door = self._doors.pop(0)
            self._doors.append(door)
            return door

    async def _look(self) -> list[Door]:
        try:
            return await doors_of(self._client, self.target)
        except NotReadyError:  # why, is told by what it is now
            service = self.target.service
            address = Address(service.name, namespace=service.namespace, kind=service.kind)
            self.target = await target_of(self._client, address)
            return await doors_of(self._client, self.target)

    def _forget(self, door: Door) -> None:
        self._doors = [each for each in self._doors if each != door]

    @asynccontextmanager
    async def _led(self) -> AsyncIterator[Tunnel]:
        async with AsyncExitStack() as stack:
            tunnel, door = await self._entered(stack)
            try:
                yield tunnel
            except ClusterError:
                self._forget(door)
                raise

    async def _entered(self, stack: AsyncExitStack) -> tuple[Tunnel, Door]:
        """Open a tunnel to the first pod that can be reached."""
        tries_left = _TRIES
        while True:
            tries_left -= 1
            door = await self._next()
            way = tunnel_to(self._client, door.pod, port=door.port)
            try:
                return await stack.enter_async_context(way), door
            except (NotFoundError, UnavailableError):
                self._forget(door)
                if not tries_left:
                    raise


class StandingPorts:
    """The ports to the resources of one cluster, one each. Belongs to one event loop.

    There are ``at_most`` so many, and more only while more are in use. Where one is added, those
    at rest are closed whose resource is gone, and if need be those that rest the longest.
    """

    def __init__(self, client: Client, catalogue: Catalogue, *, at_most: int = MOST_PORTS) -> None:
        self._client = client
        self._catalogue = catalogue
        self._at_most = at_most
        self._ports: dict[Key, StandingPort] = {}

    async def to(self, key: Key, target: Target) -> StandingPort:
        """Return the port to ``target``; whether it is open yet, is its caller's to see to."""
        known = self._ports.pop(key, None)
        port = known or StandingPort(self._client, target)
        self._ports[key] = port  # behind all that have rested longer
        port.target, port.asked_at = target, asyncio.get_running_loop().time()
        if known is None:
            await self._close_unneeded()
        return port

    def failure(self, key: Key) -> ModelFleetError | None:
        """Return what the last connection to a resource broke with, as far as that is known."""
        port = self._ports.get(key)
        return port.failure if port else None

    async def aclose(self) -> None:
        """Close every port, and what goes through it."""
        ports, self._ports = tuple(self._ports.values()), {}
        await asyncio.gather(*(port.aclose() for port in ports))

    async def _close_unneeded(self) -> None:
        rested_since = asyncio.get_running_loop().time() - REST_SECONDS
        resting = [
            key
            for key, port in self._ports.items()
            if port.asked_at <= rested_since and not port.is_in_use
        ]
        is_known = self._catalogue.freshness.synced
        there = self._catalogue.last_known().by_key if is_known else self._ports
        gone = [key for key in resting if key not in there]
        others = [key for key in resting if key in there]
        surplus = max(0, len(self._ports) - len(gone) - self._at_most)
        for key in (*gone, *others[:surplus]):
            if (port := self._ports.get(key)) is not None and not port.is_in_use:
                del self._ports[key]
                await port.aclose()
