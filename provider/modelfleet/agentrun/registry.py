"""The verbs of AgentRun on the fleet of one cluster: what the SDK and the HTTP API both call.

Looks are answered by the catalogue, at no request each; writes go through the fleet. Decides what
may be seen and written, and by whom. Knows no HTTP, no call shapes, and no words of the wire.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from modelfleet.agentrun.declared import declaration_of, updated
from modelfleet.agentrun.hidden import refuse_what_is_hidden
from modelfleet.agentrun.kept_secrets import read_kept_secrets, read_secret
from modelfleet.agentrun.matching import matches
from modelfleet.agentrun.scope import (
    Scope,
    in_workspace,
    is_visible,
    refuse_foreign_owner,
    refuse_foreign_workspace,
)
from modelfleet.agentrun.told import fields_of
from modelfleet.agentrun.writes import Write, change_of, creation_of
from modelfleet.catalogue import Entry, Snapshot
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import ref_of
from modelfleet.errors import AlreadyExistsError, ConflictError, NotFoundError
from modelfleet.fleet import Fleet
from modelfleet.found import declared_in
from modelfleet.resource_types import MODEL_SERVICE, TYPES, type_of
from modelfleet.service import DELETING

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


class Registry:
    """The services and proxies of one fleet. Belongs to the event loop of the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Nothing is sent before the first verb."""
        self._fleet = fleet
        self._catalogue = fleet.catalogue

    # -- reading -----------------------------------------------------------------------------

    async def get(self, name: str, *, kind: str, scope: Scope, fresh: bool = True) -> Resource:
        """Return one resource; with ``fresh`` as it was after this call, else as last heard of.

        Raises:
            NotFoundError: there is none, or ``scope`` may not know of it.
        """
        snapshot = await self._snapshot(fresh=fresh)
        return Resource(kind, _visible(snapshot, _key(name, kind, scope), scope))

    async def find(self, name: str, *, scope: Scope) -> list[Resource]:
        """Return what is called so: nothing, a service, a proxy, or both."""
        snapshot = await self._snapshot(fresh=True)
        found = (snapshot.by_key.get(_key(name, kind, scope)) for kind in TYPES)
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
        """
        key, clock = _key(name, kind, scope), asyncio.get_running_loop().time
        deadline = clock() + timeout_seconds
        snapshot = await self._snapshot(fresh=True)
        while True:
            resource = Resource(kind, _visible(snapshot, key, scope))
            if on_look is not None and inspect.isawaitable(told := on_look(resource)):
                await told
            if is_over(resource):
                return resource
            seconds_left = deadline - clock()
            if seconds_left <= 0:
                trouble = self._catalogue.freshness.trouble
                raise TimeoutError(_late(resource, timeout_seconds, trouble))
            snapshot = await self._next(resource.entry, min(interval_seconds, seconds_left))

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

    async def secret_of(self, credential_name: str, *, scope: Scope) -> str:
        """Return the text in an existing Secret, ``name`` or ``name/key`` (default key api_key).

        Whose a Secret is that somebody else has made cannot be told: workspaces share those of
        their namespace.

        Raises:
            SpecError: it is no such reference.
            NotFoundError: there is no such Secret, or no such key in it.
            ForbiddenError: no right to read Secrets.
        """
        snapshot = await self._snapshot(fresh=scope.workspaces is not None)
        return await read_secret(
            self._fleet.client,
            credential_name,
            namespace=scope.namespace,
            is_secret_of_others=partial(_is_hidden, snapshot, scope=scope),
        )

    # -- writing -----------------------------------------------------------------------------

    async def create(self, fields: Fields, *, kind: str, scope: Scope) -> Resource:
        """Make what ``fields`` declare, and return once it is accepted: CREATING, where it runs.

        What an interrupted create of the same owner has left is converged, as long as the primary
        object, which comes last, was not among it.

        Raises:
            SpecError: with everything that is wrong with it.
            AlreadyExistsError: there is one of that name, whoever may see it, or it is still going.
            ForbiddenError: its workspace is not one of ``scope``'s.
        """
        snapshot = await self._catalogue.fresh()
        declared = declaration_of(
            fields, kind=kind, scope=scope, referred=_referred(snapshot, scope)
        )
        name = declared.get(type_of(kind).name_field)
        subject = f"{kind} {scope.namespace}/{name}"
        declared = in_workspace(declared, scope, subject=subject)
        write = creation_of(declared, kind=kind, scope=scope)
        refuse_what_is_hidden(write.desired.spec, prior=None, snapshot=snapshot, scope=scope)
        async with self._fleet.alone(write.desired.key):
            present = self._catalogue.last_known().by_key.get(write.desired.key)
            if present is not None:
                raise _already_there(present, scope)
            return await self._applied(write)

    async def update(
        self,
        name: str,
        fields: Fields,
        *,
        kind: str,
        scope: Scope,
        clear: Collection[str] = (),
    ) -> Resource:
        """Change what ``fields`` say, and ``clear`` unsets; the rest stays, secrets too.

        Nothing is written where nothing changes.

        Raises:
            SpecError: with everything that is wrong with it, and what cannot be changed.
            NotFoundError: there is none, or ``scope`` may not know of it.
            ConflictError: it belongs to another owner, is being deleted, or cannot be read.
            ForbiddenError: it would go to a workspace that is not one of ``scope``'s.
        """
        key = _key(name, kind, scope)
        async with self._fleet.alone(key):
            snapshot = await self._catalogue.fresh()
            entry = _visible(snapshot, key, scope)
            refuse_foreign_owner(entry, scope)
            if entry.service.status == DELETING:
                raise ConflictError(_subject(key), "is being deleted", status=409)
            prior = declared_in(entry.primary)
            if entry.record is None:
                raise ConflictError(_subject(key), "has no record of its declaration")
            declared = updated(
                dict(entry.record.spec),
                fields,
                kind=kind,
                clear=clear,
                referred=_referred(snapshot, scope),
            )
            refuse_foreign_workspace(declared.get("workspace_id"), scope, subject=_subject(key))
            kept = await read_kept_secrets(self._fleet.client, prior.spec)
            write = change_of(entry.record, declared, kept=kept, scope=scope)
            refuse_what_is_hidden(
                write.desired.spec, prior=prior.spec, snapshot=snapshot, scope=scope
            )
            return await self._applied(write)

    async def delete(
        self, name: str, *, kind: str, scope: Scope, incarnation: str = ""
    ) -> Resource:
        """Have a resource go, and return it at once, DELETING; one that goes already goes on.

        With ``incarnation`` it is that very creation or none.

        Raises:
            NotFoundError: there is none, or ``scope`` may not know of it.
            ConflictError: it belongs to another owner, or a proxy sends requests to it.
            ConfigError: it is protected.
        """
        key = _key(name, kind, scope)
        async with self._fleet.alone(key):
            entry = _visible(await self._catalogue.fresh(), key, scope)
            if incarnation and entry.service.incarnation != incarnation:
                raise _missing(key, "is another one by now, made after it")
            refuse_foreign_owner(entry, scope)
            if entry.service.status != DELETING:
                desired = replace(
                    declared_in(entry.primary),
                    owner=scope.owner,
                    former_owner=entry.service.owner,
                )
                await self._fleet.delete(desired, wait=False)
                live = await self._fleet.client.get(ref_of(entry.primary))
                self._catalogue.observe_deletion(entry.primary, left=live)
            going = replace(entry, service=replace(entry.service, status=DELETING))
            return Resource(kind, going)

    async def _applied(self, write: Write) -> Resource:
        desired = write.desired
        await self._fleet.apply(desired, wait=False)
        entry = self._catalogue.last_known().by_key.get(desired.key)
        if entry is None:
            raise _missing(desired.key, "was deleted by somebody else in the same moment")
        return Resource(desired.spec.kind, entry, write.made_keys)


def _key(name: str, kind: str, scope: Scope) -> Key:
    return Key(scope.namespace, kind, name)


def _subject(key: Key) -> str:
    return f"{key.kind} {key.namespace}/{key.name}"


def _visible(snapshot: Snapshot, key: Key, scope: Scope) -> Entry:
    entry = snapshot.by_key.get(key)
    if entry is None or not is_visible(entry, scope):
        raise _missing(key, "does not exist")
    return entry


def _is_hidden(snapshot: Snapshot, key: Key, *, scope: Scope) -> bool:
    entry = snapshot.by_key.get(key)
    return entry is not None and not is_visible(entry, scope)


def _missing(key: Key, cause: str) -> NotFoundError:
    return NotFoundError(_subject(key), cause, status=404)


def _late(resource: Resource, timeout_seconds: float, trouble: str) -> str:
    service = resource.entry.service
    why = f": {service.status_reason}" if service.status_reason else "."
    unheard = f" The API server has not been heard since: {trouble}" if trouble else ""
    return (
        f"{_subject(resource.entry.key)} is {service.status} after {timeout_seconds:g} s{why}"
        f"{unheard}"
    )


def _already_there(present: Entry, scope: Scope) -> AlreadyExistsError:
    cause = "already exists"
    if is_visible(present, scope) and present.service.owner != scope.owner:
        cause += f", and belongs to {present.service.owner or 'nobody'}"
    if present.service.status == DELETING:
        cause += ": it is still being deleted"
    hint = "Update it, or choose another name."
    return AlreadyExistsError(_subject(present.key), cause, status=409, hint=hint)


def _referred(snapshot: Snapshot, scope: Scope) -> Callable[[str], Entry | None]:
    """Return how a declaration's name of a service is looked up, of another namespace too."""

    def referred(name: str) -> Entry | None:
        namespace, _, own = name.rpartition("/")
        entry = snapshot.by_key.get(Key(namespace or scope.namespace, MODEL_SERVICE.kind, own))
        return entry if entry is not None and is_visible(entry, scope) else None

    return referred
