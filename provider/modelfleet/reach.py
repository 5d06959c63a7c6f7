"""An address of a service that works from this machine, wherever the service runs.

A hosted service is reached through a port-forward over the API server to one of its ready pods, an
external one at its own base URL. Asks for no more than that takes: whoever may read Deployments and
pods and forward ports needs no right to Secrets, which only external services are looked for in.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import (
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
    Kind,
    Object,
    Ref,
    ref_of,
)
from modelfleet.cluster.pod_state import is_over, is_ready
from modelfleet.cluster.port_forward import PortForward, port_forward
from modelfleet.cluster.readiness import Ready, readiness
from modelfleet.cluster.reasons import FieldNames
from modelfleet.cluster.records import record_of
from modelfleet.cluster.revisions import current_hash
from modelfleet.desired import KIND
from modelfleet.errors import (
    ConfigError,
    ConflictError,
    ForbiddenError,
    ModelFleetError,
    NotFoundError,
    NotReadyError,
)
from modelfleet.field_names import field_names_of
from modelfleet.found import declared_in
from modelfleet.service import STOPPED, Service, service_of
from modelfleet.spec.fields import secret_name_and_key

BASE_PATH: Final = "/v1"


@dataclass(frozen=True)
class Target:
    """A service that somebody wants to talk to, as it was found.

    ``model_type`` is what it does, in the words of ``ModelType``; ``models`` are the names that it
    answers to, the one to use first, none where nobody declared any; ``credential_name`` is the
    Secret, and key in it, that an external service is called with. ``primary`` may hold a key.
    """

    service: Service
    model_type: str
    models: tuple[str, ...]
    credential_name: str | None
    primary: Object = field(repr=False)

    @property
    def is_hosted(self) -> bool:
        """Whether it runs on the cluster, and not elsewhere."""
        return bool(self.primary["kind"] == DEPLOYMENT.kind)


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


async def target_of(client: Client, name: str, *, namespace: str | None = None) -> Target:
    """Return the service of that name, of any owner, of one namespace or whichever has it.

    Raises:
        NotFoundError: there is none.
        ConfigError: there are several.
    """
    found = await _named(client, DEPLOYMENT, name, namespace=namespace)
    note = ""
    if not found:
        try:
            secret = labels.external_secret_name(name)
            found = await _named(client, SECRET, secret, namespace=namespace)
        except ForbiddenError:
            note = " (external services cannot be looked for without the right to list secrets)"
    if not found:
        where = f"namespace {namespace}" if namespace else "any namespace"
        raise NotFoundError(
            f"{KIND} {name}",
            f"there is none in {where}{note}",
            hint="modelfleet ls lists those there are.",
        )
    if len(found) > 1:
        spaces = ", ".join(sorted(each["metadata"]["namespace"] for each in found))
        raise ConfigError(
            f"{KIND} {name} is there several times, in {spaces}.",
            hint="Say which one is meant, with --namespace.",
        )
    return _target(found[0])


@asynccontextmanager
async def reached(client: Client, target: Target) -> AsyncIterator[Endpoint]:
    """Hold an address of ``target`` open.

    Raises:
        NotReadyError: it is hosted, and no pod of it serves; says why.
        ForbiddenError: no right to ``pods/portforward``.
        UnavailableError: the API server, or the pod's node, cannot be reached.
    """
    if not target.is_hosted:
        yield Endpoint(_text_in(target.primary, "base_url"), api_key=await _key(client, target))
        return
    pod = await _ready_pod(client, target)
    port = await _port(client, target, pod)
    async with port_forward(client, ref_of(pod), port=port) as forward:
        yield Endpoint(forward.url + BASE_PATH, pod=str(pod["metadata"]["name"]), forward=forward)


async def _named(client: Client, kind: Kind, name: str, *, namespace: str | None) -> list[Object]:
    """Return the primary objects of that name, one per namespace at most."""
    listing = await client.list(kind, namespace=namespace, field_selector=f"metadata.name={name}")
    records = ((obj, record_of(obj)) for obj in listing.items)
    return [obj for obj, record in records if record is not None and record.kind == KIND]


def _target(primary: Object) -> Target:
    record = record_of(primary)
    spec: dict[str, Any] = dict(record.spec) if record else {}
    declared = (spec.get("provider_settings") or {}).get("model_names") or ()
    service = service_of(primary, outcome=Ready(), spec=spec)
    own = [service.access_name] if primary["kind"] == DEPLOYMENT.kind else []
    return Target(
        service,
        model_type=str(spec.get("model_type") or "llm"),
        models=tuple(dict.fromkeys([*own, *map(str, declared)])),
        credential_name=spec.get("credential_name"),
        primary=primary,
    )


async def _key(client: Client, target: Target) -> str | None:
    """Return the key of an external service: its own, or that of the Secret it names."""
    if own := _text_in(target.primary, "api_key"):
        return own
    if target.credential_name is None:
        return None
    name, key = secret_name_and_key(target.credential_name)
    try:
        secret = await client.get(Ref(SECRET, target.service.namespace, name))
    except ForbiddenError:
        return None
    return _text_in(secret or {}, key) or None


def _text_in(secret: Object, key: str) -> str:
    return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()


async def _ready_pod(client: Client, target: Target) -> Object:
    """Return a pod that serves: the youngest, which in a rollout is one of the new version."""
    service = target.service
    selector = ",".join(
        f"{key}={value}" for key, value in labels.selector(kind=KIND, name=service.name).items()
    )

    async def listed(kind: Kind) -> list[Object]:
        listing = await client.list(kind, namespace=service.namespace, label_selector=selector)
        return listing.items

    pods = await listed(POD)
    serving = [pod for pod in pods if _serves(pod)]
    if serving:
        return max(serving, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    version = current_hash(target.primary, await listed(REPLICA_SET))
    raise _not_ready(target, pods, version=version)


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
        why = "It is stopped: deployment.replicas is 0."
    else:
        why = service.status_reason or "None of its pods is ready."
    return NotReadyError(f"{KIND} {service.id}", [f"nobody answers, it is {service.status}.", why])


def _fields(primary: Object) -> FieldNames:
    """Return the fields that were declared, as far as the record tells."""
    try:
        return field_names_of(declared_in(primary).spec)
    except ConflictError:
        return FieldNames()


async def _port(client: Client, target: Target, pod: Object) -> int:
    """Return the port of the pod that the service's own Service leads to."""
    service = target.service
    live = await client.get(Ref(SERVICE, service.namespace, service.name))
    ports = ((live or {}).get("spec") or {}).get("ports") or ()
    wanted = next((each.get("targetPort") for each in ports), None)
    if isinstance(wanted, int):
        return wanted
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if wanted is not None and port.get("name") == wanted:
                return int(port["containerPort"])
    raise NotFoundError(
        f"Service {service.id}",
        f"it is missing, or leads to no port of pod {pod['metadata']['name']}",
        hint="`pulumi up` of its stack makes it anew.",
    )
