"""The engine container: what it runs, what it gets, what it may do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelfleet import labels
from modelfleet.engines.gpus import gpu_resource_of
from modelfleet.engines.launch import EnvSource, Launch, SecretKey
from modelfleet.render.lifetime import Shutdown, lifecycle_of, probes_of
from modelfleet.render.quantities import cpu_quantity, memory_quantity
from modelfleet.render.security import security_context
from modelfleet.spec.deployment import DeploymentSpec

PORT_NAME: Final = "http"


def container_of(
    deployment: DeploymentSpec,
    *,
    launch: Launch,
    shutdown: Shutdown,
    mounts: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the engine container."""
    container: dict[str, Any] = {
        "name": labels.ENGINE_CONTAINER,
        "image": launch.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(launch.command),
        "args": list(launch.args),
        **env_from(launch.location.secret),
        "env": env_of(launch.env),
        "ports": [{"name": PORT_NAME, "containerPort": launch.port, "protocol": "TCP"}],
        "resources": _resources(deployment),
        **probes_of(
            launch.probes,
            startup_seconds=deployment.startup_seconds,
            started=launch.started,
        ),
        "lifecycle": lifecycle_of(shutdown),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": security_context(),
        "volumeMounts": [dict(mount) for mount in mounts],
    }
    return {name: value for name, value in container.items() if value}


def _resources(deployment: DeploymentSpec) -> dict[str, Any]:
    """Return requests and limits.

    GPUs cannot be overcommitted and memory should not be: both are requested in full. CPU has no
    limit: throttling would stretch every token of an engine that is idle most of the time, while
    the request already guarantees its share.
    """
    limits = {"memory": memory_quantity(deployment.memory_gib)}
    if (gpu := deployment.gpu) is not None:
        limits[gpu_resource_of(gpu)] = str(gpu.count)
    return {"requests": {"cpu": cpu_quantity(deployment.cpu), **limits}, "limits": limits}


def env_of(variables: Mapping[str, EnvSource]) -> list[dict[str, Any]]:
    """Return environment variables as a container lists them."""
    return [_env(name, source) for name, source in variables.items()]


def env_from(secret: str | None) -> dict[str, Any]:
    """Return the field with which a container takes every key of ``secret`` as a variable."""
    return {} if secret is None else {"envFrom": [{"secretRef": {"name": secret}}]}


def _env(name: str, source: EnvSource) -> dict[str, Any]:
    if isinstance(source, SecretKey):
        return {
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": source.name, "key": source.key}},
        }
    # The API server drops an empty value, which would read as drift.
    return {"name": name, "value": source} if source else {"name": name}
