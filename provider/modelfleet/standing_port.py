"""A port of this machine behind which a service or proxy stands, whatever becomes of its pods.

Each connection is led to a pod that serves when it comes, in turn; so a pod that goes takes along
the requests it was busy with, and the next ones find another. For programs that stay; a person's
one conversation is led by ``reach.reached``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from modelfleet.cluster.client import Client
from modelfleet.cluster.port_forward import LocalPort
from modelfleet.cluster.tunnel import Tunnel, tunnel_to
from modelfleet.errors import ClusterError, NotFoundError, NotReadyError, UnavailableError
from modelfleet.named import Address
from modelfleet.reach import Door, doors_of
from modelfleet.targets import Target, target_of

LOOK_SECONDS: Final = 5.0
"""How long it is relied upon that pods which served still do; whose connection fails, no longer."""

_TRIES: Final = 3


class StandingPort(LocalPort):
    """A local address that leads to the pods of ``target``. Belongs to one event loop."""

    def __init__(self, client: Client, target: Target) -> None:
        super().__init__(self._led)
        self.target = target
        self._client = client
        self._doors: list[Door] = []
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def open(self) -> None:
        """Take connections from now on, once it has been tried whether one can be made.

        Raises as ``check`` does, and ForbiddenError without the right to forward ports.
        """
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
