"""How many processes serve a ModelProxy: in each pod, and altogether. Pure."""

from __future__ import annotations

from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import policies_of, routes_of
from modelfleet.spec.proxy_sizing import workers_of

__all__ = ["processes_of", "workers_of"]


def processes_of(spec: ModelProxySpec) -> int:
    """Return by how many processes a limit of requests at a time is divided.

    Where none is declared it does not matter, and is that of one replica: scaling then leaves the
    configuration, and with it the pods, as they are.
    """
    replicas = max(1, spec.replicas) if _has_concurrency_limit(spec) else 1
    return replicas * workers_of(spec)


def _has_concurrency_limit(spec: ModelProxySpec) -> bool:
    policies = [policies_of(spec), *(route.policies for route in routes_of(spec).values())]
    return any(each.concurrency_limit is not None for each in policies)
