"""An address of a service or proxy that works from this machine, wherever the service runs.

A hosted service and a proxy are reached through a port-forward over the API server to a ready pod,
an external service at its own base URL. Whoever may read Deployments and pods and forward ports
needs no right to Secrets, which only external services are looked for in.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
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
from modelfleet.errors import (
    ConflictError,
    ForbiddenError,
    ModelFleetError,
    NotFoundError,
    NotReadyError,
)
from modelfleet.field_names import field_names_of
from modelfleet.found import declared_in
from modelfleet.named import Address, find_primary, kind_of
from modelfleet.service import STOPPED, Service, service_of
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import routes_of
from modelfleet.spec.service import ModelType

BASE_PATH: Final = "/v1"

_CHATS: Final = str(ModelType.LLM)


@dataclass(frozen=True)
class Target:
    """A service or proxy that somebody wants to talk to, as it was found.

    ``model_type`` is what it does, in the words of ``ModelType``; ``models`` are the names that it
    answers to in that way, and ``model`` the one to use where nobody says another, None where none
    goes before the others; ``credential_name`` is the Secret, and key in it, that an external
    service is called with. ``primary`` may hold a key.
    """

    service: Service
    model_type: str
    models: tuple[str, ...]
    model: str | None
    credential_name: str | None
    primary: Object = field(repr=False)

    @property
    def subject(self) -> str:
        """What messages call it."""
        return f"{self.service.kind} {self.service.id}"

    @property
    def is_proxy(self) -> bool:
        """Whether a gateway answers, and not an engine."""
        return self.service.kind == ModelProxySpec.kind

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


async def target_of(client: Client, address: Address) -> Target:
    """Return the one service or proxy, of any owner, that ``address`` means.

    Raises:
        NotFoundError: there is none.
        ConfigError: there are several.
        ConflictError: it is a proxy whose record cannot be read, so that its names are not known.
    """
    primary = await find_primary(client, address)
    record = record_of(primary)
    spec: dict[str, Any] = dict(record.spec) if record else {}
    service = service_of(primary, outcome=Ready(), spec=spec)
    if kind_of(primary) == ModelProxySpec.kind:
        return _proxy(primary, service)
    return _served(primary, service, spec)


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


def _served(primary: Object, service: Service, spec: Mapping[str, Any]) -> Target:
    declared = (spec.get("provider_settings") or {}).get("model_names") or ()
    own = [service.access_name] if primary["kind"] == DEPLOYMENT.kind else []
    models = tuple(dict.fromkeys([*own, *map(str, declared)]))
    return Target(
        service,
        model_type=str(spec.get("model_type") or _CHATS),
        models=models,
        model=next(iter(models), None),
        credential_name=spec.get("credential_name"),
        primary=primary,
    )


def _proxy(primary: Object, service: Service) -> Target:
    """Return a proxy as what its chatting routes make it, or its others where none chats."""
    spec = declared_in(primary).spec
    routes = list(routes_of(spec).values()) if isinstance(spec, ModelProxySpec) else []
    types = [str(each.model_type) for each in routes]
    model_type = _CHATS if _CHATS in types else next(iter(types), _CHATS)
    models = [each.access_name for each in routes if each.model_type == model_type]
    own = labels.access_name(spec.name, workspace_id=spec.workspace_id)
    alone = models[0] if len(models) == 1 else None
    return Target(
        service,
        model_type=model_type,
        models=tuple(models),
        model=own if own in models else alone,
        credential_name=None,
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
        f"{key}={value}"
        for key, value in labels.selector(kind=service.kind, name=service.name).items()
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


async def _port(client: Client, target: Target, pod: Object) -> int:
    """Return the port of the pod that the Service, which is called as the Deployment, leads to."""
    ref = Ref(SERVICE, target.service.namespace, target.primary["metadata"]["name"])
    live = await client.get(ref)
    ports = ((live or {}).get("spec") or {}).get("ports") or ()
    wanted = next((each.get("targetPort") for each in ports), None)
    if isinstance(wanted, int):
        return wanted
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if wanted is not None and port.get("name") == wanted:
                return int(port["containerPort"])
    raise NotFoundError(
        str(ref),
        f"it is missing, or leads to no port of pod {pod['metadata']['name']}",
        hint="`pulumi up` of its stack makes it anew.",
    )
