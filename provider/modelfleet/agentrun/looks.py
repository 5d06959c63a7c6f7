"""Looks at the services and proxies of a fleet, in AgentRun's words, for one caller at a time.

Answered by the catalogue, at no request each; what a caller may not know of is as good as missing.
Writes nothing, and knows no HTTP and no call shapes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from modelfleet.agentrun.matching import matches
from modelfleet.agentrun.scope import Scope, is_visible
from modelfleet.agentrun.told import fields_of
from modelfleet.catalogue import Catalogue, Entry, Snapshot
from modelfleet.cluster.mirror import Key
from modelfleet.errors import NotFoundError, UnavailableError
from modelfleet.resource_types import TYPES

FIRST_LOOK_SECONDS: Final = 10.0
"""How long the first look of a wait may take, however short the wait is."""

Fields = Mapping[str, Any]
OnLook = Callable[["Resource"], Awaitable[None] | None]


@dataclass(frozen=True)
class Resource:
    """One service or proxy as a verb found or left it.

    ``generated_keys`` are those made by this very call, by name: nobody can ask for them again.
    """

    kind: str
    entry: Entry
    generated_keys: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Return its name, without the namespace."""
        return self.entry.key.name

    @property
    def status(self) -> str:
        """Return how it is: AgentRun's words, and STOPPED and DEGRADED."""
        return self.entry.service.status

    @property
    def fields(self) -> dict[str, Any]:
        """Return what AgentRun's object has, in snake_case; no secrets."""
        return fields_of(self.entry)


class Looks:
    """Looks at one fleet. Belongs to the event loop of the fleet."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Nothing is sent before the first look."""
        self._catalogue = catalogue

    async def get(self, name: str, *, kind: str, scope: Scope, fresh: bool = True) -> Resource:
        """Return one resource; with ``fresh`` as it was after this call, else as last heard of.

        Raises:
            NotFoundError: there is none, or ``scope`` may not know of it.
        """
        snapshot = await self._snapshot(fresh=fresh)
        return Resource(kind, visible_in(snapshot, key_in(name, kind, scope), scope))

    async def find(self, name: str, *, scope: Scope) -> list[Resource]:
        """Return what is called so: nothing, a service, a proxy, or both."""
        snapshot = await self._snapshot(fresh=True)
        found = (snapshot.by_key.get(key_in(name, kind, scope)) for kind in TYPES)
        return [
            Resource(entry.key.kind, entry)
            for entry in found
            if entry is not None and is_visible(entry, scope)
        ]

    async def list(
        self, *, kind: str, scope: Scope, where: Fields | None = None, fresh: bool = True
    ) -> tuple[Resource, ...]:
        """Return the resources of a kind by name; ``where`` is as ``matching.matches`` says."""
        snapshot = await self._snapshot(fresh=fresh)
        return tuple(
            Resource(kind, entry)
            for entry in snapshot.entries
            if (entry.key.namespace, entry.key.kind) == (scope.namespace, kind)
            if is_visible(entry, scope) and matches(entry, where or {})
        )

    async def wait(
        self,
        name: str,
        *,
        kind: str,
        scope: Scope,
        is_over: Callable[[Resource], bool],
        on_look: OnLook | None = None,
        interval_seconds: float = 5.0,
        timeout_seconds: float = 300.0,
    ) -> Resource:
        """Look at a resource until ``is_over`` says so, and return it as it is then.

        It is looked at once at least, and again whenever it has changed, or else every
        ``interval_seconds``; no look costs a request. ``on_look`` is told of each.

        Raises:
            NotFoundError: it is not there, or not any more.
            TimeoutError: it was not over after ``timeout_seconds``.
            UnavailableError: it could not be looked at even once.
        """
        key, clock = key_in(name, kind, scope), asyncio.get_running_loop().time
        deadline = clock() + timeout_seconds
        snapshot = await self._looked(key, seconds=max(timeout_seconds, FIRST_LOOK_SECONDS))
        while True:
            resource = Resource(kind, visible_in(snapshot, key, scope))
            if on_look is not None and inspect.isawaitable(told := on_look(resource)):
                await told
            if is_over(resource):
                return resource
            seconds_left = deadline - clock()
            if seconds_left <= 0:
                trouble = self._catalogue.freshness.trouble
                raise TimeoutError(_late(resource, timeout_seconds, trouble))
            snapshot = await self._next(resource.entry, min(interval_seconds, seconds_left))

    async def _looked(self, key: Key, *, seconds: float) -> Snapshot:
        try:
            async with asyncio.timeout(seconds):
                return await self._snapshot(fresh=True)
        except TimeoutError:
            trouble = self._catalogue.freshness.trouble or "the API server does not answer"
            told = f"could not be looked at in {seconds:g} s: {trouble}"
            raise UnavailableError(subject_of(key), told) from None

    async def _next(self, entry: Entry, seconds: float) -> Snapshot:
        """Return what is known once ``entry`` is not the latest any more, or after ``seconds``."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        while True:
            snapshot = await self._snapshot(fresh=False)
            seconds_left = until - clock()
            if snapshot.by_key.get(entry.key) is not entry or seconds_left <= 0:
                return snapshot
            await self._catalogue.changed(timeout_seconds=seconds_left)

    async def _snapshot(self, *, fresh: bool) -> Snapshot:
        if fresh:
            return await self._catalogue.fresh()
        self._catalogue.start()
        return self._catalogue.last_known()


def key_in(name: str, kind: str, scope: Scope) -> Key:
    """Return what ``scope`` means by a name."""
    return Key(scope.namespace, kind, name)


def subject_of(key: Key) -> str:
    """Return what messages call a resource."""
    return f"{key.kind} {key.namespace}/{key.name}"


def visible_in(snapshot: Snapshot, key: Key, scope: Scope) -> Entry:
    """Return an entry that ``scope`` may see.

    Raises:
        NotFoundError: there is none, or it may not.
    """
    entry = snapshot.by_key.get(key)
    if entry is None or not is_visible(entry, scope):
        raise missing(key, "does not exist")
    return entry


def missing(key: Key, cause: str) -> NotFoundError:
    """Return the error about a resource that is not there."""
    return NotFoundError(subject_of(key), cause, status=404)


def _late(resource: Resource, timeout_seconds: float, trouble: str) -> str:
    service = resource.entry.service
    why = f": {service.status_reason}" if service.status_reason else "."
    unheard = f" The API server has not been heard since: {trouble}" if trouble else ""
    return (
        f"{subject_of(resource.entry.key)} is {service.status} after {timeout_seconds:g} s{why}"
        f"{unheard}"
    )
