"""The verbs of AgentRun on the fleet of one cluster: what the SDK and the HTTP API both call.

Looks are answered by the catalogue; writes go through the fleet. Decides what may be written, by
whom and in which workspace. Knows no HTTP, no call shapes, and no words of the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from modelfleet.agentrun.declared import declaration_of, updated
from modelfleet.agentrun.hidden import refuse_what_is_hidden
from modelfleet.agentrun.kept_secrets import read_kept_secrets, read_secret
from modelfleet.agentrun.looks import (
    Fields,
    Looks,
    Resource,
    key_in,
    missing,
    subject_of,
    visible_in,
)
from modelfleet.agentrun.scope import (
    Scope,
    in_workspace,
    is_visible,
    refuse_foreign_owner,
    refuse_foreign_workspace,
)
from modelfleet.agentrun.writes import Write, change_of, creation_of
from modelfleet.catalogue import Entry, Snapshot
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import ref_of
from modelfleet.errors import AlreadyExistsError, ConflictError
from modelfleet.fleet import Fleet
from modelfleet.found import declared_in
from modelfleet.resource_types import MODEL_SERVICE, type_of
from modelfleet.service import DELETING

__all__ = ["Registry", "Resource"]


class Registry(Looks):
    """The services and proxies of one fleet. Belongs to the event loop of the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Nothing is sent before the first verb."""
        super().__init__(fleet.catalogue)
        self._fleet = fleet

    async def create(self, fields: Fields, *, kind: str, scope: Scope) -> Resource:
        """Make what ``fields`` declare, and return once it is accepted: CREATING, where it runs.

        What an interrupted create of the same owner has left is converged, as long as the primary
        object, which comes last, was not among it. Of two creates at once in one process one wins;
        of two processes, what the later one declares stands.

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
        key = key_in(name, kind, scope)
        async with self._fleet.alone(key):
            snapshot = await self._catalogue.fresh()
            entry = visible_in(snapshot, key, scope)
            refuse_foreign_owner(entry, scope)
            if entry.service.status == DELETING:
                raise ConflictError(subject_of(key), "is being deleted", status=409)
            prior = declared_in(entry.primary)
            if entry.record is None:
                raise ConflictError(subject_of(key), "has no record of its declaration")
            declared = updated(
                dict(entry.record.spec),
                fields,
                kind=kind,
                clear=clear,
                referred=_referred(snapshot, scope),
            )
            refuse_foreign_workspace(declared.get("workspace_id"), scope, subject=subject_of(key))
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
        key = key_in(name, kind, scope)
        async with self._fleet.alone(key):
            entry = visible_in(await self._catalogue.fresh(), key, scope)
            if incarnation and entry.service.incarnation != incarnation:
                raise missing(key, "is another one by now, made after it")
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
            raise missing(desired.key, "was deleted by somebody else in the same moment")
        return Resource(desired.spec.kind, entry, write.made_keys)

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


def _already_there(present: Entry, scope: Scope) -> AlreadyExistsError:
    cause = "already exists"
    if is_visible(present, scope) and present.service.owner != scope.owner:
        cause += f", and belongs to {present.service.owner or 'nobody'}"
    if present.service.status == DELETING:
        cause += ": it is still being deleted"
    hint = "Update it, or choose another name."
    return AlreadyExistsError(subject_of(present.key), cause, status=409, hint=hint)


def _is_hidden(snapshot: Snapshot, key: Key, *, scope: Scope) -> bool:
    entry = snapshot.by_key.get(key)
    return entry is not None and not is_visible(entry, scope)


def _referred(snapshot: Snapshot, scope: Scope) -> Callable[[str], Entry | None]:
    """Return how a declaration's name of a service is looked up, of another namespace too."""

    def referred(name: str) -> Entry | None:
        namespace, _, own = name.rpartition("/")
        entry = snapshot.by_key.get(Key(namespace or scope.namespace, MODEL_SERVICE.kind, own))
        return entry if entry is not None and is_visible(entry, scope) else None

    return referred
