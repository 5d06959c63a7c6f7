"""Which proxies send requests to a service, by what their records declare. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from modelfleet import labels
from modelfleet.cluster.objects import Object
from modelfleet.cluster.records import recorded_spec
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import routes_of


def proxies_using(namespace: str, name: str, *, proxies: Iterable[Object]) -> list[str]:
    """Return the ids of those ``proxies`` (primary objects) that call a service, sorted.

    By its name or by its address. One that is being deleted calls nobody any more, and a record
    that cannot be read tells nothing.
    """
    found = []
    for primary in proxies:
        metadata = primary["metadata"]
        declared = None if metadata.get("deletionTimestamp") else recorded_spec(primary)
        try:
            spec = ModelProxySpec.model_validate(declared)
        except ValidationError:
            continue
        if _uses(spec, namespace, name):
            found.append(f"{spec.namespace}/{spec.name}")
    return sorted(found)


def _uses(spec: ModelProxySpec, namespace: str, name: str) -> bool:
    endpoint = labels.endpoint(name, namespace=namespace)
    addresses = (endpoint, f"{endpoint}.cluster.local")
    return any(
        upstream.service == f"{namespace}/{name}"
        or upstream.base_url.partition("://")[2].partition("/")[0].partition(":")[0]
        in [address.partition("://")[2] for address in addresses]
        for route in routes_of(spec).values()
        for upstream in route.upstreams
    )
