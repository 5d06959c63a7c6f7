"""Reading one service: what it is, what its pods say, what its deletion would take away.

Asks for the objects of that service alone, so that it costs the same in a fleet of any size; reads
of many services go by the live copies of ``fleet``. Who may not read Secrets, or other namespaces,
is told all the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.diagnosis import diagnose
from modelfleet.cluster.events import slim_event
from modelfleet.cluster.logs import LogLine, Notice, Wanted, follow_logs, read_logs
from modelfleet.cluster.masking import masked
from modelfleet.cluster.objects import (
    DEPLOYMENT,
    EVENT,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
    Kind,
    Object,
    Ref,
    ref_of,
)
from modelfleet.cluster.ownership import belongs_to, incarnation_of
from modelfleet.cluster.reasons import FieldNames
from modelfleet.cluster.records import is_recorded
from modelfleet.desired import KIND, Desired
from modelfleet.errors import ConflictError, ForbiddenError, NotFoundError
from modelfleet.field_names import field_names_of
from modelfleet.found import declared_in
from modelfleet.named import Address, find_deployed
from modelfleet.prune import OWNED_KINDS
from modelfleet.report import Report, Seen, report_of
from modelfleet.resource_types import ResourceSpec
from modelfleet.service import Service, service_alone

_PODS: Final = (POD, REPLICA_SET)

_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Deletion:
    """What a deletion of a service takes away: its objects by address, each with its UID.

    ``desired`` is what it was declared as, for ``Fleet.delete``. Objects of other owners, and of
    another creation of the service, are not among them.
    """

    service: Service
    desired: Desired
    objects: Mapping[Ref, str]
    pods: int


@dataclass(frozen=True)
class Candidate:
    """What an import may mean: an object, what is told of it, and the Service of its name."""

    primary: Object
    service: Service
    beside: Object | None


async def read_candidate(client: Client, address: Address) -> Candidate:
    """Return the resource, or Deployment, that ``address`` means, as ``find_deployed`` does."""
    primary = await find_deployed(client, address)
    metadata = primary["metadata"]
    beside = Ref(SERVICE, metadata["namespace"], metadata["name"])
    live, uid = await asyncio.gather(client.get(beside), _uid(client))
    return Candidate(primary, service_alone(primary, cluster_uid=uid), live)


async def read_status(
    client: Client, namespace: str, name: str, *, kind: str = KIND
) -> Report | None:
    """Return one resource in full, None where there is none. Raises what the server refuses."""
    seen, events, uid = await asyncio.gather(
        _see(client, namespace, name, kind=kind),
        client.list(EVENT, namespace=namespace, slim=slim_event),
        _uid(client),
    )
    if seen is None:
        return None
    seen = replace(seen, events=events.items)
    service = seen.service(cluster_uid=uid)
    report = report_of(seen, service, diagnosis=())
    if report.serves_as_declared:
        return report
    reasons = await diagnose(
        client,
        seen.pods,
        seen.outcome.reasons,
        fields=seen.fields,
        secrets=seen.secrets,
        events=seen.events,
    )
    return replace(report, diagnosis=reasons)


async def read_service_logs(
    client: Client,
    namespace: str,
    name: str,
    *,
    kind: str = KIND,
    wanted: Wanted,
    pod: str | None,
    follow: bool,
    on_notice: Notice,
) -> AsyncGenerator[LogLine, None]:
    """Yield what the engines of a service have said, and with ``follow`` what they go on to say.

    ``pod`` narrows it down to one. What is known, or looks, like a secret is masked.

    Raises:
        NotFoundError: there is no such service, or it has no such pod, or none at all.
    """
    seen = await _see(client, namespace, name, kind=kind)
    if seen is None or seen.primary["kind"] != DEPLOYMENT.kind:
        why = "there is none" if seen is None else "runs elsewhere: it has no logs here"
        raise NotFoundError(f"{kind} {namespace}/{name}", why)
    refs = _chosen(seen, f"{kind} {namespace}/{name}", pod=pod, follow=follow)
    selector = _selector(kind, name)

    async def pods() -> Sequence[Ref]:
        listing = await client.list(POD, namespace=namespace, label_selector=selector)
        present = [ref_of(each) for each in listing.items]
        return [ref for ref in present if pod in (None, ref.name)]

    container = labels.ENGINE_CONTAINER if kind == KIND else labels.GATEWAY_CONTAINER
    lines = (
        follow_logs(client, pods, container=container, wanted=wanted, on_notice=on_notice)
        if follow
        else read_logs(client, refs, container=container, wanted=wanted, on_notice=on_notice)
    )
    secrets = seen.secrets
    async with contextlib.aclosing(lines):
        async for line in lines:
            yield replace(line, text=masked(line.text, secrets))


async def read_deletion(
    client: Client, namespace: str, name: str, *, kind: str = KIND
) -> Deletion | None:
    """Return what a deletion of a resource would take away, None where there is none.

    Raises:
        ConflictError: what was declared cannot be read.
    """
    seen, uid = await asyncio.gather(_see(client, namespace, name, kind=kind), _uid(client))
    if seen is None:
        return None
    desired = declared_in(seen.primary)
    mine = [
        obj
        for obj in seen.objects
        if belongs_to(obj, desired.ownership.owners)
        and (incarnation_of(obj) or "") == desired.incarnation
    ]
    objects = {ref_of(obj): str(obj["metadata"]["uid"]) for obj in mine}
    return Deletion(seen.service(cluster_uid=uid), desired, objects, pods=len(seen.pods))


async def wait_until_gone(
    client: Client, deletion: Deletion, *, timeout_seconds: float
) -> Sequence[Ref]:
    """Wait until nothing of a deletion is there any more; return what is at the timeout.

    All of it is looked at once at least, and once after the timeout.
    """
    clock = asyncio.get_running_loop().time
    ends_at = clock() + timeout_seconds
    left = dict(deletion.objects)
    while True:
        is_over = clock() >= ends_at
        for ref, uid in list(left.items()):
            live = await client.get(ref)
            if live is None or live["metadata"]["uid"] != uid:
                del left[ref]
        if not left or is_over:
            return tuple(left)
        await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, ends_at - clock())))


async def _see(client: Client, namespace: str, name: str, *, kind: str) -> Seen | None:
    selector = _selector(kind, name)
    lists = await asyncio.gather(
        *(_listed(client, each, namespace, selector=selector) for each in (*OWNED_KINDS, *_PODS))
    )
    *owned, pods, replica_sets = lists
    objects = [obj for same in owned for obj in same]
    recorded = [obj for obj in objects if is_recorded(obj)]
    if not recorded:
        return None
    primary = recorded[-1]
    spec: ResourceSpec | None
    try:
        spec = declared_in(primary).spec
    except ConflictError:
        spec = None
    fields = field_names_of(spec) if spec else FieldNames()
    return Seen(primary, spec, fields, objects, pods, replica_sets)


async def _uid(client: Client) -> str:
    """Return the cluster's UID, "" for whoever may only see some namespaces."""
    try:
        return await client.cluster_uid()
    except ForbiddenError:
        return ""


async def _listed(client: Client, kind: Kind, namespace: str, *, selector: str) -> list[Object]:
    """Return the objects of a kind, no Secrets for whoever may not read them."""
    try:
        listing = await client.list(kind, namespace=namespace, label_selector=selector)
    except ForbiddenError:
        if kind != SECRET:
            raise
        return []
    return listing.items


def _selector(kind: str, name: str) -> str:
    return ",".join(
        f"{key}={value}" for key, value in labels.selector(kind=kind, name=name).items()
    )


def _chosen(seen: Seen, subject: str, *, pod: str | None, follow: bool) -> list[Ref]:
    """Return the pods that are meant, in the order of their names."""
    refs = sorted((ref_of(each) for each in seen.pods), key=lambda ref: ref.name)
    names = [ref.name for ref in refs]
    if pod is not None and pod not in names:
        raise NotFoundError(subject, f"has no pod {pod} (it has: {', '.join(names) or 'none'})")
    if not refs and not follow:
        raise NotFoundError(subject, "has no pods", hint="modelfleet status says why.")
    return [ref for ref in refs if pod in (None, ref.name)]
