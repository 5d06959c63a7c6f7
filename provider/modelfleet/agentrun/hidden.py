"""What the resources of one workspace may not use: what that workspace may not know of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from modelfleet import labels
from modelfleet.agentrun.scope import Scope, is_visible
from modelfleet.catalogue import Snapshot
from modelfleet.cluster.mirror import Key
from modelfleet.errors import Problem, SpecError
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

_Use = tuple[str, str, Key]
"""Where something is named, as what, and the resource that is meant if there is one."""


def refuse_what_is_hidden(
    spec: ResourceSpec, *, prior: ResourceSpec | None, snapshot: Snapshot, scope: Scope
) -> None:
    """Raise SpecError where ``spec`` uses a service or Secret that ``scope`` may not know of.

    In the words for what does not exist. What ``prior`` used may be used on. That is no wall: who
    may run pods in a namespace may read what is in it.
    """
    if scope.workspaces is None:
        return
    before = {key for _, _, key in _uses(prior)} if prior is not None else set()
    problems = [
        Problem(path, f"there is no {what}")
        for path, what, key in _uses(spec)
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
        if key in ("credential_name", "secret") and isinstance(value, str):
            name, _ = secret_name_and_key(value)
            for suffix, kind in _SECRETS:
                if name.endswith(suffix):
                    owner = Key(namespace, kind, name.removesuffix(suffix))
                    yield dotted((*at, key)), f"Secret {namespace}/{name}", owner
        else:
            yield from _secrets(value, (*at, key), namespace=namespace)


def _callees(spec: ModelProxySpec) -> Iterator[_Use]:
    """Yield what upstreams name, or may mean by their addresses."""
    for route in routes_of(spec).values():
        for upstream in route.upstreams:
            keys = []
            if upstream.service is not None:
                namespace, _, name = upstream.service.rpartition("/")
                keys.append(Key(namespace or spec.namespace, MODEL_SERVICE.kind, name))
            # A host of one label is one of the proxy's own namespace.
            host = (urlsplit(upstream.base_url).hostname or "").split(".")
            namespace = host[1] if len(host) > 1 else spec.namespace
            if host[2:3] in ([], ["svc"]):
                keys.append(Key(namespace, MODEL_SERVICE.kind, host[0]))
                if (name := host[0].removesuffix(_OF_A_PROXY)) != host[0]:
                    keys.append(Key(namespace, MODEL_PROXY.kind, name))
            for key in keys:
                yield upstream.path, f"{key.kind} {key.namespace}/{key.name}", key
