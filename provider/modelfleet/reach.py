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
    ProviderBugError,
)
from modelfleet.field_names import field_names_of
from modelfleet.found import declared_in
from modelfleet.named import Address, find_primary, kind_of
from modelfleet.service import STOPPED, Service, service_of
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import access_name_of, proxy_mode_of, routes_of
from modelfleet.spec.service import ModelType

BASE_PATH: Final = "/v1"

_CHATS: Final = str(ModelType.LLM)

_KEY_VARIABLES: Final = ("VLLM_API_KEY", "LLAMA_API_KEY", "API_KEY")
"""By which engines are told, in ``deployment.secret_env``, the key that callers need."""


@dataclass(frozen=True)
class Target:
    """A service or proxy that somebody wants to talk to, as it was found.

    ``model_type`` is what it does, in the words of ``ModelType``; ``models`` are the names that it
    answers to in that way, and ``model`` the one to use where nobody says another, None where none
    goes before the others; ``credential_name`` is the Secret, and key in it, that it is called
    with. ``others`` are the names to use for what a proxy does beside that, by model type.
    ``primary`` may hold a key.
    """

    service: Service
    model_type: str
    models: tuple[str, ...]
    model: str | None
    credential_name: str | None
    primary: Object = field(repr=False)
    others: Mapping[str, str | None] = field(default_factory=dict)

    def model_for(self, model_type: str) -> str | None:
        """Return the name to use for what a call does, None where none goes before the others."""
        return self.others.get(model_type, self.model)

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

    @property
    def external_url(self) -> str:
        """The base URL of an external service, "" of everything else."""
        return "" if self.is_hosted else _text_in(self.primary, "base_url")

    @property
    def service_ref(self) -> Ref:
        """The Service in front of a hosted one, which is called as its Deployment."""
        return Ref(SERVICE, self.service.namespace, self.primary["metadata"]["name"])


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
        yield Endpoint(target.external_url, api_key=await api_key_of(client, target))
        return
    door = (await doors_of(client, target))[0]
    async with port_forward(client, door.pod, port=door.port) as forward:
        yield Endpoint(forward.url + BASE_PATH, pod=door.pod.name, forward=forward)


def _served(primary: Object, service: Service, spec: Mapping[str, Any]) -> Target:
    declared = (spec.get("provider_settings") or {}).get("model_names") or ()
    own = [service.access_name] if primary["kind"] == DEPLOYMENT.kind else []
    models = tuple(dict.fromkeys([*own, *map(str, declared)]))
    return Target(
        service,
        model_type=str(spec.get("model_type") or _CHATS),
        models=models,
        model=next(iter(models), None),
        credential_name=spec.get("credential_name") or _engines_key(service.name, spec),
        primary=primary,
    )


def _engines_key(name: str, spec: Mapping[str, Any]) -> str | None:
    """Return where the key is kept that an engine was told to ask for, None where it was not."""
    told = (spec.get("deployment") or {}).get("secret_env") or {}
    variable = next((each for each in _KEY_VARIABLES if each in told), None)
    return None if variable is None else f"{labels.env_secret_name(name)}/{variable}"


def _proxy(primary: Object, service: Service) -> Target:
    """Return a proxy as what its chatting routes make it, or its others where none chats."""
    spec = declared_in(primary).spec
    if not isinstance(spec, ModelProxySpec):
        raise ProviderBugError(f"the record of {service.id} is none of a proxy, as its labels say")
    by_type: dict[str, list[str]] = {}
    for route in routes_of(spec).values():
        by_type.setdefault(str(route.model_type), []).append(route.access_name)
    model_type = _CHATS if _CHATS in by_type else next(iter(by_type), _CHATS)
    models = by_type.get(model_type, [])
    return Target(
        service,
        model_type=model_type,
        models=tuple(models),
        model=_first_name(spec, models),
        credential_name=spec.credential_name,
        primary=primary,
        others={
            other: _first_name(spec, names)
            for other, names in by_type.items()
            if other != model_type
        },
    )


def _first_name(spec: ModelProxySpec, names: Sequence[str]) -> str | None:
    """Return the one of ``names`` that goes before the others, None where none does.

    As AgentRun has it, that of its only endpoint, where it has one; or else the proxy's own.
    """
    workspace_id = spec.workspace_id
    endpoints = spec.proxy_config.endpoints if spec.proxy_config else ()
    single = endpoints[0].model_names[:1] if proxy_mode_of(spec) == "single" and endpoints else ()
    first = [access_name_of(each, workspace_id=workspace_id) for each in (*single, spec.name)]
    alone = names[0] if len(names) == 1 else None
    return next((each for each in first if each in names), alone)


async def api_key_of(client: Client, target: Target) -> str | None:
    """Return the key that ``target`` is called with, as far as there is one that may be read.

    The own one of an external service, else that of the Secret its ``credential_name`` names.
    """
    if not target.is_hosted and (own := _text_in(target.primary, "api_key")):
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
