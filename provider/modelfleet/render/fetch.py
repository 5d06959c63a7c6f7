"""The container that fetches or checks the model before the engine starts. Pure."""

from __future__ import annotations

from typing import Any, Final

from modelfleet.engines.launch import Launch
from modelfleet.render.container import env_from, env_of, security_context
from modelfleet.render.quantities import cpu_quantity, memory_quantity
from modelfleet.render.volumes import CACHE, MODEL, volumes_of
from modelfleet.spec.deployment import DeploymentSpec

FETCH_CONTAINER: Final = "fetch"

CPU_CORES: Final = 1.0
MEMORY_GIB: Final = 1.0
"""What fetching gets at most: never more than the engine, which the pod is sized for."""


def init_containers_of(deployment: DeploymentSpec, *, launch: Launch) -> list[dict[str, Any]]:
    """Return the containers that run before the engine: one that fetches, or none."""
    fetch = launch.location.fetch
    if fetch is None:
        return []
    memory = {"memory": memory_quantity(min(MEMORY_GIB, deployment.memory_gib))}
    cpu = {"cpu": cpu_quantity(min(CPU_CORES, deployment.cpu))}
    mounts = (mount for mount, _ in volumes_of(deployment, location=launch.location))
    return [
        {
            "name": FETCH_CONTAINER,
            "image": fetch.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sh", "-c"],
            "args": [fetch.program],
            **env_from(fetch.secret),
            "env": env_of(fetch.env),
            "resources": {"requests": {**cpu, **memory}, "limits": memory},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": security_context(),
            "volumeMounts": [mount for mount in mounts if mount["name"] in (CACHE, MODEL)],
        }
    ]
