"""The container that fetches or checks the model before the engine starts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelfleet.engines.launch import Launch
from modelfleet.render.container import env_from, env_of
from modelfleet.render.quantities import cpu_quantity, memory_quantity
from modelfleet.render.security import security_context
from modelfleet.render.volumes import CACHE, MODEL
from modelfleet.spec.deployment import DeploymentSpec

FETCH_CONTAINER: Final = "fetch"

CPU_CORES: Final = 1.0
MEMORY_GIB: Final = 1.0
"""What fetching gets at most: never more than the engine, which the pod is sized for."""


def init_containers_of(
    deployment: DeploymentSpec, *, launch: Launch, mounts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the containers that run before the engine: one that fetches, or none.

    ``mounts`` are the engine's, of which it gets those of the cache and of the model.
    """
    fetch = launch.location.fetch
    if fetch is None:
        return []
    memory = {"memory": memory_quantity(min(MEMORY_GIB, deployment.memory_gib))}
    cpu = {"cpu": cpu_quantity(min(CPU_CORES, deployment.cpu))}
    return [
        {
            "name": FETCH_CONTAINER,
            "image": fetch.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sh", "-c"],
            # The kubelet must not take what the shell is to run for one of its own variables.
            "args": [fetch.program.replace("$(", "$$(")],
            **env_from(fetch.secret),
            "env": env_of(fetch.env),
            "resources": {"requests": {**cpu, **memory}, "limits": memory},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": security_context(),
            "volumeMounts": [dict(mount) for mount in mounts if mount["name"] in (CACHE, MODEL)],
        }
    ]
