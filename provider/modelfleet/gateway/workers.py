"""How many processes serve a ModelProxy: in each pod, and altogether. Pure."""

from __future__ import annotations

import math

from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import policies_of, routes_of


def workers_of(spec: ModelProxySpec) -> int:
    """Return the processes of one pod: one for each whole core, where they count together.

    Limits are exact across processes in Redis only. Without one, a limit that is added later must
    not need other pods: there is one process from the start, unless each replica counts alone and
    has nothing to count.
    """
    counts_in_redis = spec.redis is not None and spec.limit_scope == "proxy"
    counts_alone = spec.limit_scope == "replica" and not _has_limits(spec)
    return max(1, math.floor(spec.cpu)) if counts_in_redis or counts_alone else 1


def processes_of(spec: ModelProxySpec) -> int:
    """Return by how many processes a limit of requests at a time is divided.

    Where none is declared it does not matter, and is that of one replica: scaling then leaves the
    configuration, and with it the pods, as they are.
    """
    replicas = max(1, spec.replicas) if _has_concurrency_limit(spec) else 1
    return replicas * workers_of(spec)


def _has_limits(spec: ModelProxySpec) -> bool:
    policies = [policies_of(spec), *(route.policies for route in routes_of(spec).values())]
    declared = [each.token_rate_limiter for each in policies if each.token_rate_limiter]
    limits = [*declared, *(key.limits for key in spec.api_keys.values())]
    return any(each.model_dump(exclude_none=True) for each in limits)


def _has_concurrency_limit(spec: ModelProxySpec) -> bool:
    policies = [policies_of(spec), *(route.policies for route in routes_of(spec).values())]
    return any(each.concurrency_limit is not None for each in policies)
