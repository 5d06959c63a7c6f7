"""Names by which the gateway's files speak of one thing: upstreams, credentials, Redis. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

from modelfleet import labels
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import PublicRoute, Upstream, routes_of

REDIS_PORT: Final = 6379

_ID_DIGITS: Final = 16


def served_by(route: PublicRoute) -> tuple[Upstream, ...]:
    """Return the upstreams that get requests.

    One of weight zero gets none, whatever becomes of the others, so the gateway never hears of it.
    """
    return tuple(upstream for upstream in route.upstreams if upstream.weight > 0)


def upstream_id(access_name: str, upstream: Upstream) -> str:
    """Return the id of ``upstream`` under one access name: 16 hex digits.

    It follows from what is called and not from the place in a list: what is declared before it or
    given another weight leaves counts and metrics of an upstream together.
    """
    called = (
        access_name,
        upstream.service or "",
        upstream.base_url,
        upstream.model,
        upstream.credential_name or "",
    )
    # None of them has a newline in it.
    return hashlib.sha256("\n".join(called).encode()).hexdigest()[:_ID_DIGITS]


def credentials_of(spec: ModelProxySpec) -> dict[str, int]:
    """Return the number, from 0, of each Secret reference that upstreams are called with.

    The number names the file in the pod, and the variable in LiteLLM's configuration.
    """
    named = {
        upstream.credential_name
        for route in routes_of(spec).values()
        for upstream in served_by(route)
        if upstream.credential_name is not None
    }
    return {name: number for number, name in enumerate(sorted(named))}


def credential_variable(number: int) -> str:
    """Return the environment variable that LiteLLM takes a credential from.

    The application sets it before LiteLLM reads its configuration; it is in no pod template.
    """
    return f"MODELFLEET_CREDENTIAL_{number}"


def redis_address_of(spec: ModelProxySpec) -> tuple[str, int] | None:
    """Return host and port of the Redis that replicas count in, None without one."""
    redis = spec.redis
    if redis is None:
        return None
    if redis.managed:
        return f"{labels.redis_name(spec.name)}.{spec.namespace}.svc", REDIS_PORT
    return redis.host or "", redis.port
