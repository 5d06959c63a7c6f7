"""Who may connect to the gateway, and whom it may connect to: its upstreams and no others. Pure.

What is on the way out follows from the addresses of the upstreams: a policy knows pods and numbers
of networks but no names, so a name outside the cluster opens its port to everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from modelfleet import labels
from modelfleet.gateway.upstreams import REDIS_PORT, redis_address_of, served_by
from modelfleet.render.hashes import canonical_json
from modelfleet.render.metadata import KIND, Identity, Object, metadata_of, selector_of
from modelfleet.render.network_policy import peer_of
from modelfleet.render.proxy.container import HEALTH_PORT, PORT
from modelfleet.render.proxy.redis import redis_selector_of
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import Upstream, routes_of, service_place

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""Set on every namespace by Kubernetes itself."""

DNS_PORT: Final = 53
_SCHEME_PORTS: Final = {"http": 80, "https": 443}
_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
_IN_CLUSTER: Final = (".svc", ".svc.cluster.local")

Rule = dict[str, Any]


def proxy_network_policy_of(spec: ModelProxySpec, *, identity: Identity) -> Object:
    """Return the NetworkPolicy of the gateway's pods."""
    declared = [peer_of(peer) for peer in spec.network_configuration.allow_from]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata_of(spec, identity=identity, name=labels.proxy_object_name(spec.name)),
        "spec": {
            "podSelector": {"matchLabels": selector_of(spec)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [{"podSelector": {}}, *declared], "ports": [_port(PORT)]},
                # Metrics name keys and models: they are for whoever is declared, not for callers.
                *([{"from": declared, "ports": [_port(HEALTH_PORT)]}] if declared else []),
            ],
            "egress": [_DNS, *_distinct(_ways_out(spec))],
        },
    }


def _port(number: int, *, protocol: str = "TCP") -> Rule:
    return {"port": number, "protocol": protocol}


_DNS: Final[Rule] = {"ports": [_port(DNS_PORT, protocol="UDP"), _port(DNS_PORT)]}
"""To anywhere: caches of DNS on nodes are no pods, and have addresses of their own."""


def _ways_out(spec: ModelProxySpec) -> Iterator[Rule]:
    for route in routes_of(spec).values():
        for upstream in served_by(route):
            yield _to_upstream(upstream, namespace=spec.namespace)
    if (address := redis_address_of(spec)) is None or spec.redis is None:
        return
    if spec.redis.managed:
        selector = {"podSelector": {"matchLabels": redis_selector_of(spec)}}
        yield {"to": [selector], "ports": [_port(REDIS_PORT)]}
    else:
        host, port = address
        yield _to_host(host, port, namespace=spec.namespace)


def _to_upstream(upstream: Upstream, *, namespace: str) -> Rule:
    url = urlsplit(upstream.base_url)
    host = url.hostname or ""
    if upstream.service is not None:
        place, name = service_place(upstream.service, namespace=namespace)
        if url.netloc == urlsplit(labels.endpoint(name, namespace=place)).netloc:
            pods = {"podSelector": {"matchLabels": labels.selector(kind=KIND, name=name)}}
            return {"to": [{**_in_namespace(place), **pods}]}
    return _to_host(host, url.port or _SCHEME_PORTS[url.scheme.lower()], namespace=namespace)


def _to_host(host: str, port: int, *, namespace: str) -> Rule:
    """Return the way to a host: without a port where it is a Service, whose pods have another."""
    if (place := _namespace_of(host, namespace=namespace)) is not None:
        return {"to": [_in_namespace(place)]}
    try:
        address = ip_address(host.partition("%")[0])
        blocks = [f"{address}/{address.max_prefixlen}"]
    except ValueError:
        blocks = [*_EVERYWHERE]
    return {"to": [{"ipBlock": {"cidr": block}} for block in blocks], "ports": [_port(port)]}


def _namespace_of(host: str, *, namespace: str) -> str | None:
    """Return the namespace of the Service that ``host`` is the name of, None for other hosts."""
    host = host.lower().rstrip(".")
    for suffix in _IN_CLUSTER:
        if host.endswith(suffix):
            return host.removesuffix(suffix).rpartition(".")[2]
    is_name = not any(mark in host for mark in ".:")
    return namespace if is_name else None


def _in_namespace(name: str) -> Rule:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: name}}}


def _distinct(rules: Iterable[Rule]) -> list[Rule]:
    """Return ``rules`` once each, in an order that does not depend on where they come from."""
    by_text = {canonical_json(rule): rule for rule in rules}
    return [by_text[text] for text in sorted(by_text)]
