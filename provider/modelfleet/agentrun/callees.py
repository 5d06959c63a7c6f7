"""What a proxy of one workspace may not call: what that workspace may not know of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from modelfleet import labels
from modelfleet.agentrun.scope import Scope, is_visible
from modelfleet.catalogue import Snapshot
from modelfleet.cluster.mirror import Key
from modelfleet.errors import Problem, SpecError
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE, ResourceSpec
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import Upstream, routes_of

_OF_A_PROXY: Final = labels.proxy_object_name("")


def refuse_foreign_callees(
    spec: ResourceSpec, *, prior: ResourceSpec | None, snapshot: Snapshot, scope: Scope
) -> None:
    """Raise SpecError where a proxy would call what ``scope`` may not know of.

    In the words for what does not exist. What it called before, for ``prior``, it may go on with.
    """
    if scope.workspaces is None:
        return
    before = {callee for _, callee in _callees(prior)}
    problems = [
        Problem(upstream.path, f"there is no {callee.kind} {callee.namespace}/{callee.name}")
        for upstream, callee in _callees(spec)
        if callee not in before
        if (entry := snapshot.by_key.get(callee)) is not None and not is_visible(entry, scope)
    ]
    if problems:
        raise SpecError(f"{spec.kind} {spec.namespace}/{spec.name}", problems)


def _callees(spec: ResourceSpec | None) -> Iterator[tuple[Upstream, Key]]:
    """Yield what upstreams name or may mean by their addresses, whether it is there or not."""
    if not isinstance(spec, ModelProxySpec):
        return
    for route in routes_of(spec).values():
        for upstream in route.upstreams:
            if upstream.service is not None:
                namespace, _, name = upstream.service.rpartition("/")
                yield upstream, Key(namespace or spec.namespace, MODEL_SERVICE.kind, name)
            # A host of one label is one of the proxy's own namespace.
            host = (urlsplit(upstream.base_url).hostname or "").split(".")
            namespace = host[1] if len(host) > 1 else spec.namespace
            if host[2:3] in ([], ["svc"]):
                yield upstream, Key(namespace, MODEL_SERVICE.kind, host[0])
                if (name := host[0].removesuffix(_OF_A_PROXY)) != host[0]:
                    yield upstream, Key(namespace, MODEL_PROXY.kind, name)
