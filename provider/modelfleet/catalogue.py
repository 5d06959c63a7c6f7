"""Every resource of one cluster as last heard of, for those who look at many, and often.

Fed by watches: a look costs no request, however many there are and however large the fleet is. A
snapshot never changes, so that whoever goes through it page by page sees each resource once. Keeps
no content of Secrets. Writes nothing; what a resource means to an adapter is not known here.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.mirror import Key, key_of
from modelfleet.cluster.objects import DEPLOYMENT, POD, REPLICA_SET, SECRET, Kind, Object
from modelfleet.cluster.readiness import Outcome, Ready, readiness
from modelfleet.cluster.reasons import FieldNames
from modelfleet.cluster.records import Record, is_recorded, record_of
from modelfleet.cluster.revisions import current_hash
from modelfleet.cluster.slim import slim_pod, slim_primary, slim_replica_set
from modelfleet.cluster.watch import SETTLE_SECONDS, UNREACHABLE_SECONDS, SharedWatch
from modelfleet.desired import KIND
from modelfleet.errors import ConflictError, ForbiddenError, UnavailableError
from modelfleet.field_names import field_names_of
from modelfleet.resource_types import TYPES, ResourceSpec
from modelfleet.service import Service, service_of

_OURS: Final = f"{labels.MANAGED_BY}={labels.MANAGED_BY_VALUE}"
_SECRETS: Final = f"{_OURS},{labels.KIND}={KIND}"
_PAGE_SIZE: Final = 250

_SORTED_ANEW: Final = 100
"""From how many changes on a sort is cheaper than finding each one's place."""

_REST_SECONDS: Final = 5.0
"""How long a watch that was refused is let alone, however many look meanwhile."""


@dataclass(frozen=True)
class Entry:
    """One resource: how it is, and what it was declared as, without secrets.

    ``spec`` and ``record`` are None where the record cannot be read. ``primary`` is its primary
    object without what nobody asks of it; read only.
    """

    key: Key
    service: Service
    spec: ResourceSpec | None
    record: Record | None
    primary: Object = field(repr=False)

    @property
    def uid(self) -> str:
        """Return the UID of its primary object: another one is another resource."""
        return str(self.primary["metadata"]["uid"])


@dataclass(frozen=True)
class Snapshot:
    """All resources at one moment, by namespace, kind and name. Never changes.

    ``version`` grows with every change within one process.
    """

    version: int
    by_key: MappingProxyType[Key, Entry]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Freshness:
    """How far a catalogue may be trusted: ``age_seconds`` is how long it may have missed changes.

    ``synced`` says that it has been complete once, ``trouble`` why the API server cannot be asked
    at the moment, ``""`` while it can.
    """

    synced: bool
    age_seconds: float
    trouble: str


class Catalogue:
    """The resources of one cluster. Belongs to the event loop of whoever first asks."""

    def __init__(
        self,
        client: Client,
        *,
        settle_seconds: float = SETTLE_SECONDS,
        unreachable_seconds: float = UNREACHABLE_SECONDS,
    ) -> None:
        """Nothing is sent before the first look."""
        self._client = client
        self._cluster_uid = ""
        self._dirty: set[Key] = set()
        self._snapshot = Snapshot(0, MappingProxyType({}), ())
        self._naming: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

        def followed(kind: Kind, selector: str, slim: Callable[[Object], Object]) -> SharedWatch:
            return SharedWatch(
                client,
                kind,
                label_selector=selector,
                slim=slim,
                page_size=_PAGE_SIZE,
                settle_seconds=settle_seconds,
                unreachable_seconds=unreachable_seconds,
                on_touched=self._note,
            )

        self._deployments = followed(DEPLOYMENT, _OURS, slim_primary)
        self._secrets = followed(SECRET, _SECRETS, slim_primary)
        self._pods = followed(POD, labels.NAME, slim_pod)
        self._replica_sets = followed(REPLICA_SET, labels.NAME, slim_replica_set)
        self._primaries = (self._deployments, self._secrets)
        self._watches = (*self._primaries, self._pods, self._replica_sets)

    # -- looking ---------------------------------------------------------------------------

    async def fresh(self) -> Snapshot:
        """Return everything as it was at some moment after this call, as far as is promised.

        What that is, is said at :meth:`SharedWatch.fresh`.

        Raises:
            UnavailableError: the API server has not answered for a minute.
            ForbiddenError: it does not let us list.
        """
        await asyncio.gather(self._named(), *(watch.fresh() for watch in self._watches))
        return self.last_known()

    def last_known(self) -> Snapshot:
        """Return everything as last heard of; the same object while nothing changes."""
        if self._dirty:
            self._take_in()
        return self._snapshot

    def start(self) -> None:
        """See to it that the watches are kept; one that was given up begins anew."""
        self._named()
        for watch in self._watches:
            watch.start(rest_seconds=_REST_SECONDS)

    async def changed(self, *, timeout_seconds: float) -> bool:
        """Wait until anything has changed since this call; return whether it has."""
        changed = self._changed
        try:
            async with asyncio.timeout(timeout_seconds):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    @property
    def freshness(self) -> Freshness:
        """How far :meth:`last_known` may be trusted."""
        now = asyncio.get_running_loop().time()
        lost = [each.missing_since for each in self._watches if each.missing_since is not None]
        trouble = next(filter(None, (watch.trouble for watch in self._watches)), "")
        is_synced = all(watch.is_filled for watch in self._watches)
        return Freshness(is_synced, now - min(lost, default=now), trouble)

    def observe(self, obj: Object) -> None:
        """Let looks see at once what a write of this process returned."""
        for watch in self._primaries:
            if watch.kind.kind == obj.get("kind") and key_of(obj).kind in TYPES:
                watch.observe(obj)

    def observe_deletion(self, obj: Object, *, left: Object | None) -> None:
        """Let looks see at once what a deletion of this process has made of ``obj``."""
        if left is not None:
            self.observe(left)
            return
        for watch in self._primaries:
            if watch.kind.kind == obj["kind"]:
                watch.observe_gone(obj)

    async def aclose(self) -> None:
        """End all watches."""
        if self._naming is not None:
            self._naming.cancel()
        await asyncio.gather(*(watch.aclose() for watch in self._watches))

    def _named(self) -> asyncio.Future[None]:
        """Return when it is known which cluster this is, or when that cannot be known."""
        if self._naming is None:
            name = "name of the cluster"
            self._naming = asyncio.get_running_loop().create_task(self._name(), name=name)
        return asyncio.shield(self._naming)

    async def _name(self) -> None:
        try:
            self._cluster_uid = await self._client.cluster_uid()
        except ForbiddenError:
            return  # who may only see some namespaces does without
        except UnavailableError:
            self._naming = None  # the next look asks again
            return
        self._note(self._snapshot.by_key)

    # -- taking in -------------------------------------------------------------------------

    def _note(self, keys: Iterable[Key]) -> None:
        self._dirty.update(keys)
        self._changed.set()
        self._changed = asyncio.Event()

    def _take_in(self) -> None:
        by_key = self._snapshot.by_key.copy()  # without hashing each key anew
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            entry = self._entry(key)
            if entry is None:
                by_key.pop(key, None)
            else:
                by_key[key] = entry
        ordered = _reordered(self._snapshot.entries, by_key, changed=dirty)
        self._snapshot = Snapshot(self._snapshot.version + 1, MappingProxyType(by_key), ordered)

    def _entry(self, key: Key) -> Entry | None:
        found = [obj for watch in self._primaries for obj in watch.objects(key) if is_recorded(obj)]
        if not found:
            return None
        primary = max(found, key=_precedence)
        record, spec = _declared(primary)
        service = service_of(
            primary,
            outcome=self._outcome(key, primary, spec),
            cluster_uid=self._cluster_uid,
            spec=record.spec if record else None,
        )
        return Entry(key, service, spec, record, primary)

    def _outcome(self, key: Key, primary: Object, spec: ResourceSpec | None) -> Outcome:
        if primary["kind"] != DEPLOYMENT.kind:
            return Ready()
        version = None
        if primary["metadata"].get("generation", 1) > 1:
            version = current_hash(primary, self._replica_sets.objects(key))
        return readiness(
            primary,
            self._pods.objects(key),
            until="available",
            current_hash=version,
            fields=field_names_of(spec) if spec is not None else FieldNames(),
        )


def _precedence(primary: Object) -> tuple[bool, str]:
    """Return what the larger of stands for a service that is turning external, or hosted.

    It has both primary objects for a moment: the newer one is what it is becoming.
    """
    metadata = primary["metadata"]
    return "deletionTimestamp" not in metadata, metadata.get("creationTimestamp", "")


def _reordered(
    former: tuple[Entry, ...], by_key: Mapping[Key, Entry], *, changed: Collection[Key]
) -> tuple[Entry, ...]:
    """Return the entries in order; where few have ``changed``, without sorting all of them."""
    if len(changed) > _SORTED_ANEW:
        return tuple(by_key[key] for key in sorted(by_key))
    ordered = list(former)
    for key in changed:
        at = bisect_left(ordered, key, key=attrgetter("key"))
        is_there = at < len(ordered) and ordered[at].key == key
        ordered[at : at + is_there] = [by_key[key]] if key in by_key else []
    return tuple(ordered)


def _declared(primary: Object) -> tuple[Record | None, ResourceSpec | None]:
    try:
        record = record_of(primary)
        if record is None:
            return None, None
        return record, TYPES[record.kind].model.model_validate(record.spec)
    except (ConflictError, ValidationError, KeyError):
        return None, None
