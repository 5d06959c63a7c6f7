"""What a proxy refers to and does not make: services and Secrets. They must be there before it is.

Services are found in live copies that are shared by all proxies; only one that is not in them is
asked for, since it may have been made a moment ago. Each Secret is read once per apply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.live import LiveObjects
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import DEPLOYMENT, SECRET, Object, Ref
from modelfleet.cluster.records import is_recorded, recorded_spec
from modelfleet.errors import ForbiddenError, Problem, SpecError
from modelfleet.gateway.upstreams import served_by
from modelfleet.render.planned import PLANNED
from modelfleet.resource_types import MODEL_SERVICE
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_parts import address_in_cluster
from modelfleet.spec.proxy_routes import Upstream, routes_of
from modelfleet.spec.tree import never_unknown, value_at


async def refuse_missing_prerequisites(
    client: Client, services: LiveObjects, spec: ModelProxySpec
) -> None:
    """Raise SpecError, with a path for each, where ``spec`` refers to what is not there.

    ``services`` are the primary objects of ModelServices, among others.
    """
    wanted = {place for upstream in _upstreams(spec) if (place := _place(upstream, spec))}
    primaries, secrets = await asyncio.gather(
        _primaries(client, services, wanted), _secrets(client, spec)
    )
    problems = [
        *problems_of_services(spec, primaries=primaries),
        *problems_of_secrets(spec, secrets=secrets),
    ]
    if problems:
        raise SpecError(f"{spec.kind} {spec.namespace}/{spec.name}", problems)


def problems_of_services(
    spec: ModelProxySpec, *, primaries: Mapping[Key, Object]
) -> Iterator[Problem]:
    """Yield what is wrong with the services that routes name, given the primary objects there are.

    One that is being deleted is as good as gone. A service of another cluster is not looked for.
    """
    for upstream in _upstreams(spec):
        place = _place(upstream, spec)
        if place is None:
            continue
        primary = primaries.get(place)
        path = upstream.service_path
        if primary is None:
            yield no_such_service(upstream)
        elif primary["kind"] == DEPLOYMENT.kind:
            yield from _name_problems(upstream, primary, path)
        else:
            yield from _external_problems(upstream, primary, path)


def problems_of_secrets(
    spec: ModelProxySpec, *, secrets: Mapping[str, Object | None]
) -> Iterator[Problem]:
    """Yield what is wrong with the Secrets that ``spec`` names, as far as they were read."""
    for path, reference in dict.fromkeys(_references(spec)):
        name, key = secret_name_and_key(reference)
        if name not in secrets:
            continue
        secret = secrets[name]
        if secret is None:
            yield no_such_secret(path, reference, namespace=spec.namespace)
        elif not (secret.get("data") or {}).get(key):
            there = ", ".join(sorted(secret.get("data") or {})) or "none"
            yield Problem(
                path,
                f"Secret {name} has no key {key} (it has: {there}); write `{name}/<key>` to use "
                "another one",
            )


def no_such_service(upstream: Upstream) -> Problem:
    """Return what is wrong with an upstream whose service is not there, or may not be known of."""
    return Problem(
        upstream.service_path,
        f"there is no ModelService {upstream.service} in this cluster; correct the name, or create "
        "it first (a program that passes the ModelService itself has Pulumi do so)",
    )


def no_such_secret(path: str, reference: str, *, namespace: str) -> Problem:
    """Return what is wrong with a Secret that is not there, or may not be known of."""
    name, key = secret_name_and_key(reference)
    return Problem(
        path,
        f"there is no Secret {name} in namespace {namespace}; create it first, with a key {key}",
    )


def _name_problems(upstream: Upstream, primary: Object, path: str) -> Iterator[Problem]:
    names = _model_names(primary)
    if names and upstream.model not in names:
        model = "model_names" if path.startswith("proxy_config.endpoints") else "model_name"
        yield Problem(
            path,
            f"ModelService {upstream.service} does not answer to {upstream.model!r}, but to "
            f"{', '.join(names)}; say which one in {model}",
        )


def _external_problems(upstream: Upstream, primary: Object, path: str) -> Iterator[Problem]:
    if upstream.base_url != address_in_cluster(upstream.service or ""):
        yield from _name_problems(upstream, primary, path)
        return
    spec = recorded_spec(primary) or {}
    settings = spec.get("provider_settings") or {}
    reference = {
        "id": upstream.service,
        "base_url": settings.get("base_url", "<its base URL>"),
        "model_names": list(settings.get("model_names") or ["<a name that it answers to>"]),
        **({"credential_name": spec["credential_name"]} if spec.get("credential_name") else {}),
    }
    told = ", ".join(f"{name}: {_yaml(value)}" for name, value in reference.items())
    yield Problem(
        path,
        f"ModelService {upstream.service} is external, so it has no address in the cluster; pass "
        f"the ModelService itself, or write {{{told}}}",
    )


def _yaml(value: Any) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)


def _model_names(primary: Object) -> list[str]:
    """Return the names that a service answers to, none where nobody declared any."""
    spec = recorded_spec(primary)
    if spec is None:
        return []
    paths, names_of = PLANNED["model_names"]
    values = (
        value_at(spec, tuple(path.split(".")), model=MODEL_SERVICE.model, is_unknown=never_unknown)
        for path in paths
    )
    return list(names_of(*values))


def _upstreams(spec: ModelProxySpec) -> Iterator[Upstream]:
    """Yield every upstream that gets requests, also where two routes have the same."""
    for route in routes_of(spec).values():
        yield from served_by(route)


def _place(upstream: Upstream, spec: ModelProxySpec) -> Key | None:
    """Return the service that an upstream names, None for a plain URL and in another cluster."""
    if upstream.service is None or upstream.cluster not in (None, spec.cluster):
        return None
    namespace, _, name = upstream.service.partition("/")
    return Key(namespace, MODEL_SERVICE.kind, name)


def _references(spec: ModelProxySpec) -> Iterator[tuple[str, str]]:
    """Yield path and reference of every Secret that the pods mount and others made."""
    if spec.credential_name is not None:
        yield "credential_name", spec.credential_name
    if spec.redis is not None and not spec.redis.managed and spec.redis.credential_name is not None:
        yield "redis.credential_name", spec.redis.credential_name
    for upstream in _upstreams(spec):
        if upstream.credential_name is not None:
            yield upstream.credential_path, upstream.credential_name


async def _primaries(
    client: Client, services: LiveObjects, wanted: Collection[Key]
) -> dict[Key, Object]:
    lists = await asyncio.gather(*(services.read(key) for key in wanted))
    found = {_key_of(obj): obj for each in lists for obj in filter(_stands, each)}
    # One of another process may be younger than what the watch has told.
    missing = [key for key in wanted if key not in found]
    asked = await asyncio.gather(*(_asked(client, key) for key in missing))
    return {**found, **{_key_of(obj): obj for obj in asked if obj is not None}}


async def _asked(client: Client, key: Key) -> Object | None:
    for kind, name in (
        (DEPLOYMENT, key.name),
        (SECRET, labels.external_secret_name(key.name)),
    ):
        found = await client.get(Ref(kind, key.namespace, name))
        if found is not None and _stands(found):
            return found
    return None


def _stands(obj: Object) -> bool:
    """Return whether ``obj`` stands for a ModelService that is to stay."""
    metadata = obj["metadata"]
    of_service = (metadata.get("labels") or {}).get(labels.KIND) == MODEL_SERVICE.kind
    return of_service and is_recorded(obj) and not metadata.get("deletionTimestamp")


def _key_of(obj: Object) -> Key:
    metadata = obj["metadata"]
    return Key(metadata["namespace"], MODEL_SERVICE.kind, metadata["labels"][labels.NAME])


async def _secrets(client: Client, spec: ModelProxySpec) -> dict[str, Object | None]:
    """Return each Secret by its name, None for one that is missing; no entry where not allowed."""
    names = {secret_name_and_key(reference)[0] for _, reference in _references(spec)}

    async def read(name: str) -> dict[str, Object | None]:
        try:
            return {name: await client.get(Ref(SECRET, spec.namespace, name))}
        except ForbiddenError:
            return {}  # its pods say so, if it is missing

    found = await asyncio.gather(*(read(name) for name in sorted(names)))
    return {name: secret for each in found for name, secret in each.items()}
