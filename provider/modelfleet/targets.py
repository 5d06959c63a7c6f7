"""A service or proxy that somebody wants to talk to: what it answers to, and with which key.

Whoever may read Deployments needs no right to Secrets, which only external services and keys are
looked for in. Nobody is talked to here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import DEPLOYMENT, SECRET, SERVICE, Object, Ref
from modelfleet.cluster.readiness import Ready
from modelfleet.cluster.records import record_of
from modelfleet.errors import ConfigError, ForbiddenError, ProviderBugError
from modelfleet.found import declared_in
from modelfleet.named import Address, find_primary, kind_of
from modelfleet.service import Service, service_of
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import access_name_of, proxy_mode_of, routes_of
from modelfleet.spec.service import ModelType

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
        return "" if self.is_hosted else text_in(self.primary, "base_url")

    @property
    def service_ref(self) -> Ref:
        """The Service in front of a hosted one, which is called as its Deployment."""
        return Ref(SERVICE, self.service.namespace, self.primary["metadata"]["name"])


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

    Raises:
        ConfigError: there is no such Secret, or no such key in it.
    """
    if not target.is_hosted and (own := text_in(target.primary, "api_key")):
        return own
    if target.credential_name is None:
        return None
    name, key = secret_name_and_key(target.credential_name)
    ref = Ref(SECRET, target.service.namespace, name)
    try:
        secret = await client.get(ref)
    except ForbiddenError:
        return None
    if found := text_in(secret or {}, key):
        return found
    cause = "does not exist" if secret is None else f"has nothing under {key}"
    raise ConfigError(
        f"{ref} {cause}: it is the credential_name of {target.subject}, the key it is called with.",
        hint="Make it, or name another one.",
    )


def text_in(secret: Object, key: str) -> str:
    """Return one value of a Secret as text, "" where it has none."""
    return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
