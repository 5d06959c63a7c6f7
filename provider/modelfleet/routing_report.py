"""What is told of a ModelProxy beside its pods: names, who answers to them, keys, Redis. Pure.

No key and no password, which are in no declaration that a cluster keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelfleet import labels
from modelfleet.cluster.objects import STATEFUL_SET, Object, ref_of
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import PublicRoute, Upstream, routes_of


@dataclass(frozen=True)
class UpstreamReport:
    """Who answers: ``service`` is an id, None for a plain ``base_url``; ``model`` is sent to it."""

    service: str | None
    base_url: str
    model: str
    weight: int


@dataclass(frozen=True)
class RouteReport:
    """One name that callers send. ``fallbacks`` are such names, in their order."""

    access_name: str
    model_type: str
    upstreams: tuple[UpstreamReport, ...]
    fallbacks: tuple[str, ...]


@dataclass(frozen=True)
class ProxyReport:
    """``keys`` counts those that may call, 0 where whoever can connect may.

    ``redis`` says where replicas count together, "" where each counts on its own.
    """

    routes: tuple[RouteReport, ...]
    keys: int
    redis: str


def proxy_report_of(spec: ModelProxySpec, objects: Sequence[Object]) -> ProxyReport:
    """Return what is told of a proxy that is declared as ``spec`` and has ``objects``."""
    return ProxyReport(
        routes=tuple(map(_route, routes_of(spec).values())),
        keys=len(spec.api_keys) + (spec.credential_name is not None),
        redis=_redis(spec, objects),
    )


def _route(route: PublicRoute) -> RouteReport:
    upstreams = tuple(map(_upstream, route.upstreams))
    return RouteReport(route.access_name, str(route.model_type), upstreams, route.fallbacks)


def _upstream(upstream: Upstream) -> UpstreamReport:
    return UpstreamReport(upstream.service, upstream.base_url, upstream.model, upstream.weight)


def _redis(spec: ModelProxySpec, objects: Sequence[Object]) -> str:
    if spec.redis is None:
        return ""
    if not spec.redis.managed:
        return f"{spec.redis.host}:{spec.redis.port}"
    name = labels.redis_name(spec.name)
    for obj in objects:
        if ref_of(obj).kind == STATEFUL_SET and obj["metadata"]["name"] == name:
            is_ready = bool((obj.get("status") or {}).get("readyReplicas"))
            return f"{name}, {'ready' if is_ready else 'not ready'}"
    return f"{name}, missing"
