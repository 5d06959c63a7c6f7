"""Make objects as declared, and touch nothing that is not ours.

Each object is read, checked and only then written, all objects of a resource being checked before
the first is written. What is written is bound to the very state that was checked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from modelfleet.cluster.adoption import notices_of, refuse_other_pods
from modelfleet.cluster.client import Client
from modelfleet.cluster.managed_fields import Manager, handed_over, managers, taken, unchanged
from modelfleet.cluster.objects import Object, Ref, ref_of
from modelfleet.cluster.ownership import (
    Ownership,
    belongs_to,
    may_be_adopted,
    refuse_foreign,
    refuse_held_fields,
    writers,
)
from modelfleet.errors import AlreadyExistsError, ClusterError, ConflictError

ATTEMPTS: Final = 5
"""How often an object is read anew because somebody wrote it between our read and our write."""

_FIRST_POLL_SECONDS: Final = 0.2
_LONGEST_POLL_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Change:
    """What an apply did to one object, and the object as it is now."""

    ref: Ref
    action: Literal["created", "configured", "unchanged"]
    live: Object


async def apply_objects(
    client: Client,
    objects: Sequence[Object],
    *,
    ownership: Ownership,
    adopt: bool = False,
    deletion_timeout_seconds: float = 300.0,
    refuse: Callable[[Object], None] | None = None,
    on_change: Callable[[Change], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> list[Change]:
    """Bring ``objects`` of one resource, in this order, to what they declare.

    An object that would not change is not written. Fields that a person edited are put back.
    With ``adopt`` an object of another maker is taken over whole: what it has beyond the
    declaration goes, its labels, annotations and finalizers aside. An object that is being
    deleted is waited for, up to ``deletion_timeout_seconds``, and made anew. ``refuse`` is shown
    each live object before the first write, and raises where it is to stay. ``on_change`` is told
    of each object as it is done, also where a later one fails; ``on_notice``, before the first
    write, what taking over objects of others does beyond what a declaration says.

    Raises AlreadyExistsError for an object of somebody else, ConflictError for fields that other
    appliers or autoscalers hold and for an object that will not go, ImmutableFieldError for what
    cannot change, NotFoundError for a missing namespace.
    """
    applier = _Applier(client, ownership, adopt, deletion_timeout_seconds)
    lives = await asyncio.gather(*(applier.settled(ref_of(obj)) for obj in objects))
    for obj, live in zip(objects, lives, strict=True):
        applier.check(obj, live)
        if refuse is not None and live is not None:
            refuse(live)
    if on_notice is not None:
        for notice in notices_of(zip(objects, lives, strict=True), owners=ownership.owners):
            on_notice(notice)
    changes = []
    for obj, live in zip(objects, lives, strict=True):
        change = await applier.converge(obj, live)
        changes.append(change)
        if on_change is not None:
            on_change(change)
    return changes


@dataclass(frozen=True)
class _Applier:
    """One call of apply_objects: for whom, how, and the steps for a single object."""

    client: Client
    ownership: Ownership
    adopt: bool
    deletion_timeout_seconds: float

    async def settled(self, ref: Ref) -> Object | None:
        """Return the live object, after a deletion under way has come to its end."""
        started = time.monotonic()
        delay_seconds = _FIRST_POLL_SECONDS
        live = await self.client.get(ref)
        while live is not None and live["metadata"].get("deletionTimestamp"):
            if time.monotonic() - started > self.deletion_timeout_seconds:
                raise _will_not_go(ref, live)
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(delay_seconds * 2, _LONGEST_POLL_SECONDS)
            live = await self.client.get(ref)
        return live

    def check(self, desired: Object, live: Object | None) -> None:
        """Raise where ``live`` must not become ``desired``."""
        if live is None:
            return
        refuse_foreign(desired, live, ownership=self.ownership, adopt=self.adopt)
        if not self.adopt:
            refuse_held_fields(
                desired,
                taken(desired, self.taken_over(live), field_manager=self.ownership.field_manager),
            )
        is_ours = belongs_to(live, self.ownership.owners)
        refuse_other_pods(desired, live, is_ours=is_ours)

    async def converge(self, desired: Object, live: Object | None) -> Change:
        """Write one object, reading and checking it anew when another writer was faster.

        The other writer may be we: an attempt whose answer was lost. What is found to be as desired
        after one of those is a change of ours; and an error after one says so.
        """
        action: Literal["created", "configured"] = "created" if live is None else "configured"
        maybe_written = False
        attempt = 1
        try:
            while True:
                try:
                    change = await self._write(desired, live)
                    is_ours = maybe_written and change.action == "unchanged"
                    return replace(change, action=action) if is_ours else change
                except (ConflictError, AlreadyExistsError) as error:
                    maybe_written = maybe_written or error.maybe_written
                    if attempt == ATTEMPTS:
                        raise
                # A conflict over fields comes here too: the check tells by name whose they are.
                live = await self.settled(ref_of(desired))
                self.check(desired, live)
                attempt += 1
        except AlreadyExistsError:
            raise  # it belongs to somebody else, so nothing in it is ours
        except ClusterError as error:
            error.maybe_written = error.maybe_written or maybe_written
            raise

    def taken_over(self, live: Object) -> Object:
        """Return ``live`` as it is once we own what earlier owners, or the adopted ones, did.

        It is ``live`` itself where there is nothing to take over.
        """
        earlier = self.ownership.earlier_managers

        def from_whom(manager: Manager) -> bool:
            if manager.name in earlier:
                return True
            return is_adopted and may_be_adopted(manager)

        # An object that is ours already is not adopted again: edits to it are drift.
        is_adopted = self.adopt and not belongs_to(live, self.ownership.owners)
        field_manager = self.ownership.field_manager
        if not any(
            manager.name != field_manager and from_whom(manager) for manager in managers(live)
        ):
            return live
        fields = handed_over(live, to=field_manager, whose=from_whom, with_metadata=not is_adopted)
        return {**live, "metadata": {**live["metadata"], "managedFields": fields}}

    async def _write(self, desired: Object, live: Object | None) -> Change:
        if live is None:
            return await self._create(desired)
        ref, field_manager = ref_of(desired), self.ownership.field_manager
        ours = self.taken_over(live)
        if ours is not live:
            ours = await self.client.patch(ref, operations=_handover(ours))
        if unchanged(desired, ours, field_manager=field_manager):
            return Change(ref, "unchanged", ours)
        applied = await self.client.apply(
            _bound(desired, ours),
            field_manager=field_manager,
            force=self.adopt or bool(taken(desired, ours, field_manager=field_manager)),
        )
        is_same = _version(applied.live) == _version(live)
        return Change(ref, "unchanged" if is_same else "configured", applied.live)

    async def _create(self, desired: Object) -> Change:
        """Apply an object that was not there; if it is by now, and not by us, step back."""
        ref, field_manager = ref_of(desired), self.ownership.field_manager
        applied = await self.client.apply(desired, field_manager=field_manager)
        others = [writer for writer in writers(applied.live) if writer != field_manager]
        if not applied.created and others:
            # Nothing conflicted, so all we added is ours alone, and applying nothing removes it.
            await self.client.apply(_identity(desired), field_manager=field_manager)
            raise ConflictError(str(ref), f"{others[0]} made it in the same moment", status=409)
        return Change(ref, "created", applied.live)


def _bound(desired: Object, live: Object) -> Object:
    """Return ``desired`` so that it is applied to ``live`` in this very state, or refused."""
    precondition = {name: live["metadata"][name] for name in ("uid", "resourceVersion")}
    return {**desired, "metadata": {**desired["metadata"], **precondition}}


def _identity(obj: Object) -> Object:
    metadata = {name: obj["metadata"][name] for name in ("name", "namespace")}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}


def _handover(live: Object) -> list[dict[str, Any]]:
    """Return the patch that gives ``live`` its managedFields, if it is still the same."""
    return [
        # Replacing the version with itself is the precondition: JSON Patch's own test fails with
        # 422, which would look like a refused object.
        {"op": "replace", "path": f"/metadata/{name}", "value": live["metadata"][name]}
        for name in ("resourceVersion", "managedFields")
    ]


def _version(live: Object) -> str:
    return str(live["metadata"]["resourceVersion"])


def _will_not_go(ref: Ref, live: Object) -> ConflictError:
    metadata = live["metadata"]
    waiting_for = ", ".join(metadata.get("finalizers") or ()) or "what it waits for is not said"
    return ConflictError(
        str(ref),
        f"is being deleted since {metadata['deletionTimestamp']} and is still there "
        f"(finalizers: {waiting_for})",
        status=409,
        hint="Find out what holds it, and run this again when it is gone.",
    )
