"""How long a pod may take to start and to stop: probes, preStop hook, grace period.

The only place where these times are related to one another. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.spec.runtime import ProbePaths

STARTUP_PERIOD_SECONDS: Final = 5

PRE_STOP_SECONDS: Final = 10
"""How long a pod that is to stop goes on as if nothing were: requests still arrive until every
proxy has heard that it is no longer an endpoint."""

GRACE_MARGIN_SECONDS: Final = 10
"""What an engine gets after its last request to give back GPUs, before it is killed."""

PROGRESS_MARGIN_SECONDS: Final = 600
"""What a rollout may take beyond the engine's start: scheduling, pulling the image."""


@dataclass(frozen=True)
class Shutdown:
    """The steps of a stop: the hook, then SIGTERM and the engine's own drain, then the margin."""

    pre_stop_seconds: int
    engine_seconds: int

    @property
    def grace_seconds(self) -> int:
        """The whole of it: strictly more than hook and engine together, or requests are cut off."""
        return self.pre_stop_seconds + self.engine_seconds + GRACE_MARGIN_SECONDS


def shutdown_of(drain_seconds: int, *, drains: bool) -> Shutdown:
    """Return the steps that give running requests ``drain_seconds``.

    An engine that does not drain by itself ends its requests on SIGTERM; there the hook waits
    instead. With 0 seconds nothing waits.
    """
    pre_stop_seconds = min(PRE_STOP_SECONDS, drain_seconds)
    if drains:
        return Shutdown(pre_stop_seconds, drain_seconds)
    return Shutdown(pre_stop_seconds + drain_seconds, 0)


def lifecycle_of(shutdown: Shutdown) -> dict[str, Any]:
    """Return the container's lifecycle hooks, empty where there is nothing to wait for.

    The kubelet sleeps by itself (Kubernetes 1.30 and later): the image needs no shell.
    """
    if shutdown.pre_stop_seconds == 0:
        return {}
    return {"preStop": {"sleep": {"seconds": shutdown.pre_stop_seconds}}}


def probes_of(
    paths: ProbePaths, *, startup_seconds: int, started: Sequence[str] = (), port: str = "http"
) -> dict[str, Any]:
    """Return the three probes by their names in a container, asked of the port of that name.

    Until the startup probe succeeds, for ``startup_seconds`` at most, the others are not asked; it
    runs the command ``started`` where there is one.
    Liveness is patient: a restart costs minutes of loading, so 100 s without an answer is needed.
    """
    return {
        "startupProbe": _probe(
            {"exec": {"command": list(started)}} if started else _answers(paths.startup, port),
            period_seconds=STARTUP_PERIOD_SECONDS,
            failures=math.ceil(startup_seconds / STARTUP_PERIOD_SECONDS),
        ),
        "readinessProbe": _probe(_answers(paths.readiness, port), period_seconds=5, failures=3),
        "livenessProbe": _probe(_answers(paths.liveness, port), period_seconds=10, failures=10),
    }


def _answers(path: str, port: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}}


def _probe(handler: Mapping[str, Any], *, period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        **handler,
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "successThreshold": 1,
        "failureThreshold": failures,
    }
