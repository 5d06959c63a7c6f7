"""What a caller's resources may not use: what that caller may not know of. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from modelfleet import labels
from modelfleet.agentrun.scope import Scope, is_visible
from modelfleet.catalogue import Snapshot
from modelfleet.cluster.mirror import Key
from modelfleet.errors import Problem, SpecError
from modelfleet.prerequisites import no_such_secret, no_such_service
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE, ResourceSpec
from modelfleet.spec.fields import secret_name_and_key
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import routes_of
from modelfleet.spec.tree import Path, dotted

_OF_A_PROXY: Final = labels.proxy_object_name("")
_SECRETS: Final = (
    (labels.external_secret_name(""), MODEL_SERVICE.kind),
    (labels.env_secret_name(""), MODEL_SERVICE.kind),
    (labels.proxy_object_name(""), MODEL_PROXY.kind),
    (labels.redis_name(""), MODEL_PROXY.kind),
)
"""How the Secrets of a resource are called, beyond its name, and the kind that has them."""

_IN_PODS: Final = ("secretKeyRef", "secretRef", "nodePublishSecretRef", "secret")
"""Where a pod, and so an override of it, has a Secret's name one level deeper."""

_NAMING: Final = ("credential_name", "secretName", *_IN_PODS)

_Use = tuple[Problem, Key]
"""What is wrong with naming what is not there, and the resource that is meant if it is."""


def refuse_what_is_hidden(
    spec: ResourceSpec, *, prior: ResourceSpec | None, snapshot: Snapshot, scope: Scope
) -> None:
    """Raise SpecError where ``spec`` uses a service or Secret that ``scope`` may not know of.

    In the words for what does not exist. What ``prior`` used may be used on. That is no wall: who
    may run pods in a namespace may read what is in it.
    """
    if not scope.is_bounded:
        return
    before = {key for _, key in _uses(prior)} if prior is not None else set()
    problems = [
        problem
        for problem, key in _uses(spec)
        if key not in before
        if (entry := snapshot.by_key.get(key)) is not None and not is_visible(entry, scope)
    ]
    if problems:
        raise SpecError(f"{spec.kind} {spec.namespace}/{spec.name}", problems)


def _uses(spec: ResourceSpec) -> Iterator[_Use]:
    yield from _secrets(spec.model_dump(exclude_unset=True), (), namespace=spec.namespace)
    if isinstance(spec, ModelProxySpec):
        yield from _callees(spec)


def _secrets(tree: Any, at: Path, *, namespace: str) -> Iterator[_Use]:
    """Yield every Secret that a declaration names and that may be one of a resource."""
    if isinstance(tree, list | tuple):
        for index, item in enumerate(tree):
            yield from _secrets(item, (*at, index), namespace=namespace)
    if not isinstance(tree, Mapping):
        return
    for key, value in tree.items():
        yield from _secrets(value, (*at, key), namespace=namespace)
        named = value.get("name") if key in _IN_PODS and isinstance(value, Mapping) else value
        if key not in _NAMING or not isinstance(named, str):
            continue
        name, _ = secret_name_and_key(named)
        for suffix, kind in _SECRETS:
            if name.endswith(suffix):
                owner = Key(namespace, kind, name.removesuffix(suffix))
                yield no_such_secret(dotted((*at, key)), named, namespace=namespace), owner


def _callees(spec: ModelProxySpec) -> Iterator[_Use]:
    """Yield what upstreams name, or may mean by their addresses."""
    for route in routes_of(spec).values():
        for upstream in route.upstreams:
            named = None
            if upstream.service is not None:
                namespace, _, name = upstream.service.rpartition("/")
                named = Key(namespace or spec.namespace, MODEL_SERVICE.kind, name)
                yield no_such_service(upstream), named
            for key in _at(upstream.base_url, namespace=spec.namespace):
                if key != named:
                    told = f"there is no {key.kind} {key.namespace}/{key.name}"
                    yield Problem(upstream.path, told), key


def _at(base_url: str, *, namespace: str) -> Iterator[Key]:
    """Yield what may be at a URL, for pods of ``namespace``, by the names that Services have."""
    # As HTTP clients resolve it: they decode, and have other full stops than ASCII's.
    spelled = unicodedata.normalize("NFKC", unquote(urlsplit(base_url).hostname or ""))
    host = spelled.replace("\u3002", ".").lower().rstrip(".").split(".")
    place = host[1] if len(host) > 1 else namespace
    if host[2:3] not in ([], ["svc"]):
        return
    yield Key(place, MODEL_SERVICE.kind, host[0])
    if (name := host[0].removesuffix(_OF_A_PROXY)) != host[0]:
        yield Key(place, MODEL_PROXY.kind, name)
