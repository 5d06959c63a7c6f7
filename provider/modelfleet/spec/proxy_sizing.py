"""What a gateway's pod of some size carries: processes, requests, memory. Pure.

The one place for these measures; ``docs/benchmarks.md`` says where they come from.
"""

from __future__ import annotations

import math
from typing import Final

from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import policies_of, routes_of

STREAMS_PER_CORE: Final = 25
"""Answers streamed at a time at 50 tokens a second each, before all of them slow down."""

REQUESTS_PER_SECOND_PER_CORE: Final = 70
"""Small requests, not streamed."""

WORKER_MEMORY_MIB: Final = 768
"""Of one process: LiteLLM with its libraries, and what requests under way need."""


def worker_count(*, cpu: float, has_redis: bool, counts_per_replica: bool, has_limits: bool) -> int:
    """Return the processes of one pod: one for each whole core, where they count together.

    Limits are exact across processes in Redis only. Without one, a limit that is added later must
    not need other pods: there is one process from the start, unless each replica counts alone and
    has nothing to count.
    """
    is_shared = has_redis and not counts_per_replica
    is_uncounted = counts_per_replica and not has_limits
    return max(1, math.floor(cpu)) if is_shared or is_uncounted else 1


def workers_of(spec: ModelProxySpec) -> int:
    """Return the processes of one pod of ``spec``."""
    policies = [policies_of(spec), *(route.policies for route in routes_of(spec).values())]
    declared = [each.token_rate_limiter for each in policies if each.token_rate_limiter]
    limits = [*declared, *(key.limits for key in spec.api_keys.values())]
    return worker_count(
        cpu=spec.cpu,
        has_redis=spec.redis is not None,
        counts_per_replica=spec.limit_scope == "replica",
        has_limits=any(each.model_dump(exclude_none=True) for each in limits),
    )


def streams_carried(*, cpu: float, workers: int) -> int:
    """Return how many answers a pod streams at a time; a process uses one core at most."""
    return math.floor(min(cpu, workers) * STREAMS_PER_CORE)


def requests_carried(*, cpu: float, workers: int) -> int:
    """Return how many small requests a pod answers in a minute; a process uses one core at most."""
    return math.floor(min(cpu, workers) * REQUESTS_PER_SECOND_PER_CORE * 60)
