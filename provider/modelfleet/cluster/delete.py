"""Delete what is ours, and of the right incarnation; leave everything else where it is.

Deletion is asked for here; that objects are gone, which takes as long as their pods drain, is
seen on the shared watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import Object, Ref
from modelfleet.cluster.ownership import belongs_to, incarnation_of
from modelfleet.errors import ConflictError

ATTEMPTS: Final = 10
"""How often an object is read anew when it changed under our hands (controllers write status)."""


@dataclass(frozen=True)
class Deleted:
    """An object on its way out, as last read. It is gone once ``ref`` has none of that ``uid``."""

    ref: Ref
    live: Object

    @property
    def uid(self) -> str:
        """The identity of the object that goes; its name may be taken by another one at once."""
        return str(self.live["metadata"]["uid"])


async def delete_objects(
    client: Client,
    refs: Sequence[Ref],
    *,
    owners: Collection[str],
    incarnation: str | None,
) -> list[Deleted]:
    """Ask for the deletion of ``refs`` in reverse order, and return what is now going.

    Only objects of ``owners`` and of ``incarnation`` (None: of any, ``""``: of none) are deleted:
    after a replacement that kept its name, the old incarnation's delete finds nothing of its own.
    Others and missing ones are passed over. What is being deleted already is returned too, to be
    waited for. Dependents go first (foreground). Raises ConflictError for an object that never
    rests.
    """
    lives = await asyncio.gather(*(client.get(ref) for ref in refs))
    going = []
    for ref, live in reversed(list(zip(refs, lives, strict=True))):
        deleted = await _delete(client, ref, live, owners=owners, incarnation=incarnation)
        if deleted is not None:
            going.append(deleted)
    return going


async def is_anything_meant(
    client: Client, refs: Sequence[Ref], *, owners: Collection[str], incarnation: str | None
) -> bool:
    """Say whether :func:`delete_objects` would find anything to delete."""
    lives = await asyncio.gather(*(client.get(ref) for ref in refs))
    return any(
        live is not None and _is_meant(live, owners=owners, incarnation=incarnation)
        for live in lives
    )


async def _delete(
    client: Client,
    ref: Ref,
    live: Object | None,
    *,
    owners: Collection[str],
    incarnation: str | None,
) -> Deleted | None:
    """Delete one object in the state that was checked, reading it anew where that changed."""
    attempt = 1
    while live is not None and _is_meant(live, owners=owners, incarnation=incarnation):
        metadata = live["metadata"]
        going = Deleted(ref, live)
        if metadata.get("deletionTimestamp"):
            return going
        try:
            is_going = await client.delete(
                ref, uid=metadata["uid"], resource_version=metadata["resourceVersion"]
            )
            return going if is_going else None
        except ConflictError:
            if attempt == ATTEMPTS:
                raise
        live = await client.get(ref)
        attempt += 1
    return None


def _is_meant(live: Object, *, owners: Collection[str], incarnation: str | None) -> bool:
    return belongs_to(live, owners) and incarnation in (None, incarnation_of(live) or "")
