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
        if calls_service(spec, namespace, name):
            found.append(f"{spec.namespace}/{spec.name}")
    return sorted(found)


def calls_service(spec: ModelProxySpec, namespace: str, name: str) -> bool:
    """Return whether a proxy sends requests to a service: by its name, or by its address."""
    return any(
        upstream.service == f"{namespace}/{name}"
        or is_address_of(upstream.base_url.partition("://")[2], namespace, name)
        for route in routes_of(spec).values()
        for upstream in route.upstreams
    )


def is_address_of(place: str, namespace: str, name: str) -> bool:
    """Return whether ``place``, a host with or without a port and a path, is that of a service."""
    own = labels.endpoint(name, namespace=namespace).partition("://")[2]
    return place.partition("/")[0].partition(":")[0] in (own, f"{own}.cluster.local")
