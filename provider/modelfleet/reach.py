"""An address of a service or proxy that works from this machine, wherever the service runs.

A hosted service and a proxy are reached through a port-forward over the API server to a ready pod,
an external service at its own base URL. Whoever may read Deployments and pods and forward ports
needs no right to Secrets, which only external services are looked for in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import (
    POD,
    REPLICA_SET,
    Kind,
    Object,
    Ref,
    ref_of,
)
from modelfleet.cluster.pod_state import is_over, is_ready
from modelfleet.cluster.port_forward import PortForward, port_forward
from modelfleet.cluster.readiness import readiness
from modelfleet.cluster.reasons import FieldNames
from modelfleet.cluster.revisions import current_hash
from modelfleet.errors import (
    ConflictError,
    ModelFleetError,
    NotFoundError,
    NotReadyError,
)
from modelfleet.field_names import field_names_of
from modelfleet.found import declared_in
from modelfleet.service import STOPPED, service_of
from modelfleet.targets import Target, api_key_of

BASE_PATH: Final = "/v1"


@dataclass(frozen=True)
class Endpoint:
    """Where a service answers while it is held open: an OpenAI-compatible base URL.

    ``api_key`` is the one of an external service, as far as there is one that may be read; ``pod``
    names the pod at which a hosted service is reached, by ``forward``.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    pod: str = ""
    forward: PortForward | None = field(default=None, repr=False)

    @property
    def failure(self) -> ModelFleetError | None:
        """Why the last connection broke, as far as it broke on the way to the pod."""
        return self.forward.failure if self.forward else None


@dataclass(frozen=True)
class Door:
    """A pod that serves, and the port on which it does."""

    pod: Ref
    port: int


@asynccontextmanager
async def reached(client: Client, target: Target) -> AsyncIterator[Endpoint]:
    """Hold an address of ``target`` open.

    Raises:
        NotReadyError: it is hosted, and no pod of it serves; says why.
        ForbiddenError: no right to ``pods/portforward``.
        UnavailableError: the API server, or the pod's node, cannot be reached.
    """
    if not target.is_hosted:
        yield Endpoint(target.external_url, api_key=await api_key_of(client, target))
        return
    door = (await doors_of(client, target))[0]
    async with port_forward(client, door.pod, port=door.port) as forward:
        yield Endpoint(forward.url + BASE_PATH, pod=door.pod.name, forward=forward)


async def serving_pods(client: Client, target: Target) -> list[Object]:
    """Return the pods of ``target`` that serve: the youngest first, in a rollout the new version.

    Raises NotReadyError where there is none.
    """
    service = target.service
    selector = ",".join(
        f"{key}={value}"
        for key, value in labels.selector(kind=service.kind, name=service.name).items()
    )

    async def listed(kind: Kind) -> list[Object]:
        listing = await client.list(kind, namespace=service.namespace, label_selector=selector)
        return listing.items

    pods = await listed(POD)
    if serving := [pod for pod in pods if _serves(pod)]:
        return sorted(serving, key=_created_at, reverse=True)
    version = current_hash(target.primary, await listed(REPLICA_SET))
    raise _not_ready(target, pods, version=version)


def _created_at(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _serves(pod: Object) -> bool:
    return is_ready(pod) and not is_over(pod) and not pod["metadata"].get("deletionTimestamp")


def _not_ready(target: Target, pods: Sequence[Object], *, version: str | None) -> NotReadyError:
    outcome = readiness(
        target.primary,
        pods,
        until="available",
        current_hash=version,
        fields=_fields(target.primary),
    )
    service = service_of(target.primary, outcome=outcome)
    if service.status == STOPPED:
        replicas = "replicas" if target.is_proxy else "deployment.replicas"
        why = f"It is stopped: {replicas} is 0."
    else:
        why = service.status_reason or "None of its pods is ready."
    return NotReadyError(target.subject, [f"nobody answers, it is {service.status}.", why])


def _fields(primary: Object) -> FieldNames:
    """Return the fields that were declared, as far as the record tells."""
    try:
        return field_names_of(declared_in(primary).spec)
    except ConflictError:
        return FieldNames()


async def doors_of(client: Client, target: Target) -> list[Door]:
    """Return where the pods of ``target`` that serve do so, the youngest of them first.

    Raises:
        NotReadyError: there is none; says why.
        NotFoundError: no Service leads to them, which says on which port that is.
    """
    pods = await serving_pods(client, target)
    ref = target.service_ref
    live = await client.get(ref)
    wanted = next((each.get("targetPort") for each in _ports_in(live)), None)
    doors = [Door(ref_of(pod), port) for pod in pods for port in _ports_of(pod, wanted)]
    if not doors:
        raise NotFoundError(
            str(ref),
            f"it is missing, or leads to no port of pod {pods[0]['metadata']['name']}",
            hint="`pulumi up` of its stack makes it anew.",
        )
    return doors


def _ports_in(service: Object | None) -> Sequence[Mapping[str, Any]]:
    return ((service or {}).get("spec") or {}).get("ports") or ()


def _ports_of(pod: Object, wanted: int | str | None) -> list[int]:
    """Return the port of a pod that is called, or has the number, ``wanted``: one, or none."""
    if isinstance(wanted, int):
        return [wanted]
    ports = (port for each in pod["spec"]["containers"] for port in each.get("ports") or ())
    return [int(port["containerPort"]) for port in ports if wanted and port.get("name") == wanted][
        :1
    ]
