"""The fleet of one cluster: what every adapter does with services and proxies, in one place.

Composes rendering, applying, waiting and records; each verb is one coroutine. Knows no Pulumi,
no command line and no HTTP: adapters translate to and from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final
from weakref import WeakValueDictionary

from modelfleet import labels
from modelfleet.catalogue import Catalogue
from modelfleet.cluster.client import Client
from modelfleet.cluster.delete import delete_objects
from modelfleet.cluster.live import LiveObjects, LiveServices
from modelfleet.cluster.logs import LogLine, Notice, Wanted
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import DEPLOYMENT, SECRET, Object, Ref, ref_of
from modelfleet.cluster.ownership import belongs_to
from modelfleet.cluster.readiness import Outcome
from modelfleet.cluster.records import is_recorded, recorded_spec
from modelfleet.desired import KIND, Desired, new_incarnation
from modelfleet.errors import NotReadyError
from modelfleet.found import Found, declared_in, found_of
from modelfleet.gateway_pods import GatewayPods
from modelfleet.gateway_waiting import GatewayWaiting
from modelfleet.named import Address, find_primary
from modelfleet.plan import plan
from modelfleet.prune import OWNED_KINDS, Orphan, orphans_of
from modelfleet.reading import (
    Candidate,
    Deletion,
    read_candidate,
    read_deletion,
    read_service_logs,
    read_status,
    wait_until_gone,
)
from modelfleet.refusals import Refusals
from modelfleet.report import Report
from modelfleet.service import (
    CREATE_FAILED,
    UPDATE_FAILED,
    Service,
    service_alone,
    service_of,
)
from modelfleet.waiting import Progress
from modelfleet.writing import OnFailure, Writer, verified_uid

__all__ = [
    "Address",
    "Candidate",
    "Deletion",
    "Desired",
    "Fleet",
    "Found",
    "LogLine",
    "Progress",
    "Report",
    "Wanted",
    "new_incarnation",
]

_OURS: Final = f"{labels.MANAGED_BY}={labels.MANAGED_BY_VALUE}"
_SERVICES: Final = f"{_OURS},{labels.KIND}={KIND}"


class Fleet:
    """The services of one cluster. Belongs to one event loop; safe for many tasks at once.

    ``plan`` says what a declaration will become, and asks no cluster.
    """

    plan = staticmethod(plan)

    def __init__(self, client: Client, *, cluster: str = "default") -> None:
        self._client = client
        self._cluster = cluster
        self._services = LiveServices(client)
        self._objects = LiveObjects(client, reversed(OWNED_KINDS))
        self._refusals = Refusals(client)
        self._callees = LiveObjects(client, [DEPLOYMENT, SECRET], label_selector=_SERVICES)
        self._gateway_pods = GatewayPods(client)
        self._catalogue = Catalogue(client)
        self._alone: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._writer = Writer(
            client,
            cluster,
            objects=self._objects,
            callees=self._callees,
            catalogue=self._catalogue,
            services=self._services,
            gateways=GatewayWaiting(client, self._services, self._callees, self._gateway_pods),
        )

    @property
    def client(self) -> Client:
        """The connection, for what is not a verb of a fleet."""
        return self._client

    @property
    def catalogue(self) -> Catalogue:
        """All resources as last heard of, for those who look at many, and often."""
        return self._catalogue

    def alone(self, key: Key) -> asyncio.Lock:
        """Return the lock of one resource, for whoever looks and then writes what follows."""
        return self._alone.setdefault(key, asyncio.Lock())

    async def aclose(self) -> None:
        """End watches and connections."""
        await self._catalogue.aclose()
        await self._services.aclose()
        await self._objects.aclose()
        await self._refusals.aclose()
        await self._callees.aclose()
        await self._gateway_pods.aclose()
        await self._client.aclose()

    # -- apply -----------------------------------------------------------------------------

    async def apply(
        self,
        desired: Desired,
        *,
        wait: bool = True,
        timeout_seconds: float | None = None,
        on_failure: OnFailure | None = None,
        progress: Progress | None = None,
    ) -> Service:
        """Converge ``desired`` and wait as its spec asks; return the live service.

        ``timeout_seconds`` and ``on_failure`` override the spec's; ``progress`` is told what is
        waited for, and what taking over objects of others does. Without ``wait`` this returns once
        everything was accepted.

        Raises:
            SpecError: it refers to what is not there; nothing was written.
            ClusterError: refused; nothing was written.
            NotReadyError: the service exists, but is not, or not yet, what is declared; or, where
                it was ``taken_back``, is again what it was.
        """
        applied = await self._writer.apply(
            desired,
            wait=wait,
            timeout_seconds=timeout_seconds,
            on_failure=on_failure,
            progress=progress,
        )
        return await self._service(*applied)

    # -- read ------------------------------------------------------------------------------

    async def drift(self, desired: Desired) -> Found | None:
        """Return the live service and what others changed about it; None when it is gone.

        Costs no request of its own: all reads of a process share one LIST and WATCH per kind.
        """
        uid = await self._verified_uid(desired)
        lives = {ref_of(obj): obj for obj in await self._objects.read(desired.key)}
        primary = lives.get(desired.primary_ref)
        if primary is None or primary["metadata"].get("deletionTimestamp"):
            return None
        service = await self._service(primary)
        if not belongs_to(primary, desired.ownership.owners):
            whose = {"owner": f"now belongs to {service.owner or 'nobody'}"}
            return Found(service, drift=whose, live={}, renderer_version=desired.renderer_version)
        return found_of(desired, service, objects=lives, cluster_uid=uid)

    async def status(self, namespace: str, name: str, *, kind: str = KIND) -> Report | None:
        """Return one resource in full: rollout, pods, diagnosis, events; None where there is none.

        Asked of the cluster anew, at a cost that does not depend on the size of the fleet.
        """
        return await read_status(self._client, namespace, name, kind=kind)

    def logs(
        self,
        namespace: str,
        name: str,
        *,
        wanted: Wanted,
        on_notice: Notice,
        kind: str = KIND,
        pod: str | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[LogLine, None]:
        """Yield what engines, or gateways, say, secrets masked; with ``follow`` without end.

        ``pod`` narrows it down to one; ``on_notice`` is told of pods that have nothing to say yet.

        Raises:
            NotFoundError: there is no such service, or it has no such pods.
        """
        return read_service_logs(
            self._client,
            namespace,
            name,
            kind=kind,
            wanted=wanted,
            pod=pod,
            follow=follow,
            on_notice=on_notice,
        )

    async def recorded(
        self, namespace: str, name: str, *, kind: str = KIND
    ) -> tuple[Service, Desired] | None:
        """Return one resource and what it was declared as, of any owner; None where there is none.

        Raises:
            ConflictError: what was declared cannot be read.
        """
        primary = await self._primary(namespace, name, kind=kind)
        if primary is None:
            return None
        return await self._service(primary), declared_in(primary)

    async def _primary(self, namespace: str, name: str, *, kind: str) -> Object | None:
        objects = await self._objects.read(Key(namespace, kind, name))
        return next(filter(is_recorded, objects), None)

    async def list(
        self, *, owner: str | None = None, namespace: str | None = None
    ) -> list[Service]:
        """Return the services of an owner, or of all, by namespace and name."""
        services = [
            await self._service(obj)
            for obj in filter(is_recorded, await self._objects.read_all())
            if owner is None or belongs_to(obj, {owner})
            if namespace is None or obj["metadata"]["namespace"] == namespace
        ]
        return sorted(services, key=lambda each: (each.namespace, each.name))

    async def find(self, address: Address) -> Service:
        """Return the one service or proxy, of any owner, that ``address`` means.

        As far as its primary object alone tells; on which cluster, which not everybody may ask, is
        left open.

        Raises:
            NotFoundError: there is none.
            ConfigError: there are several.
        """
        return service_alone(await find_primary(self._client, address), cluster_uid="")

    async def candidate(self, address: Address) -> Candidate:
        """Return what an import of ``address`` means: the same, or a Deployment of any maker.

        Raises:
            NotFoundError: there is none.
            ConfigError: there are several.
        """
        return await read_candidate(self._client, address)

    async def incomplete(self, desired: Desired, error: NotReadyError) -> Service:
        """Return the service that ``error`` is about, for whoever keeps a record of it."""
        service = Service(
            namespace=desired.spec.namespace,
            name=desired.spec.name,
            status="",
            owner=desired.owner,
            incarnation=desired.incarnation,
            cluster_uid=await self._client.cluster_uid(),
        )
        if error.live is not None:
            service = await self._service(dict(error.live))
        status = CREATE_FAILED if desired.prior is None else UPDATE_FAILED
        return replace(service, status=status, status_reason=" ".join(error.reasons))

    async def _verified_uid(self, desired: Desired) -> str:
        return await verified_uid(self._client, desired.cluster_uid, cluster=self._cluster)

    async def _service(self, primary: Object, outcome: Outcome | None = None) -> Service:
        uid = await self._client.cluster_uid()
        if outcome is None:
            return service_alone(primary, cluster_uid=uid)
        spec = recorded_spec(primary)
        return service_of(primary, outcome=outcome, cluster_uid=uid, spec=spec)

    # -- delete ----------------------------------------------------------------------------

    async def delete(
        self, desired: Desired, *, wait: bool = True, timeout_seconds: float | None = None
    ) -> None:
        """Delete what this incarnation of the service owns, and wait until it is gone.

        ``timeout_seconds`` is how long; unset, its ``drain_seconds`` and two minutes. Without
        ``wait`` this returns once everything was told to go.

        Raises:
            ConfigError: it is protected.
            ConflictError: a proxy sends requests to it.
            NotReadyError: it is still going at the timeout.
        """
        await self._verified_uid(desired)
        await self.refuse_deletion(desired)
        await self._writer.delete(desired, wait=wait, timeout_seconds=timeout_seconds)

    async def refuse_deletion(self, desired: Desired) -> None:
        """Raise what keeps a resource from being deleted, and write nothing.

        Raises:
            ConfigError: it is protected.
            ConflictError: a proxy sends requests to it.
        """
        await self._refusals.refuse_deletion(desired)

    async def deletion(self, namespace: str, name: str, *, kind: str = KIND) -> Deletion | None:
        """Return what a delete of a resource of any owner takes away, None where there is none.

        Raises:
            ConflictError: what was declared cannot be read.
        """
        return await read_deletion(self._client, namespace, name, kind=kind)

    async def until_gone(self, deletion: Deletion, *, timeout_seconds: float) -> Sequence[Ref]:
        """Wait until nothing of a deletion is there any more; return what is at the timeout."""
        return await wait_until_gone(self._client, deletion, timeout_seconds=timeout_seconds)

    async def orphans(
        self, owner: str, *, known: Mapping[Key, Collection[str]]
    ) -> Sequence[Orphan]:
        """Return what ``owner`` has here beside ``known``, its incarnations by resource."""
        objects = [obj for obj in await self._objects.read_all() if belongs_to(obj, {owner})]
        return orphans_of(objects, known=known)

    async def prune(self, orphan: Orphan, *, owner: str) -> None:
        """Delete an orphan; its pods may still be ending when this returns."""
        await delete_objects(
            self._client, orphan.refs, owners={owner}, incarnation=orphan.incarnation
        )
