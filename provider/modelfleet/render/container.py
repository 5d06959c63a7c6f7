"""The engine container: what it runs, what it gets, what it may do. Pure."""

from __future__ import annotations

from typing import Any, Final

from modelfleet import labels
from modelfleet.engines.gpus import VENDORS
from modelfleet.engines.launch import CACHE_PATH, EnvSource, Launch, SecretKey, claim_path
from modelfleet.render.lifetime import Shutdown, lifecycle_of, probes_of
from modelfleet.render.quantities import cpu_quantity, memory_quantity
from modelfleet.spec.deployment import DeploymentSpec

PORT_NAME: Final = "http"


def container_of(
    deployment: DeploymentSpec, *, launch: Launch, shutdown: Shutdown
) -> dict[str, Any]:
    """Return the engine container."""
    container: dict[str, Any] = {
        "name": labels.ENGINE_CONTAINER,
        "image": launch.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(launch.command),
        "args": list(launch.args),
        "env": [_env(name, source) for name, source in launch.env.items()],
        "ports": [{"name": PORT_NAME, "containerPort": launch.port, "protocol": "TCP"}],
        "resources": _resources(deployment),
        **probes_of(launch.probes, startup_seconds=deployment.startup_seconds),
        "lifecycle": lifecycle_of(shutdown),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _security_context(),
        "volumeMounts": [mount for mount, _ in _volumes(deployment, launch=launch)],
    }
    return {name: value for name, value in container.items() if value}


def volumes_of(deployment: DeploymentSpec, *, launch: Launch) -> list[dict[str, Any]]:
    """Return the pod's volumes: scratch, shared memory, and the claim with the model."""
    return [volume for _, volume in _volumes(deployment, launch=launch)]


def _volumes(
    deployment: DeploymentSpec, *, launch: Launch
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each mount with its volume."""
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"name": "cache", "mountPath": CACHE_PATH}, {"name": "cache", "emptyDir": {}})
    ]
    if deployment.shm_gib:
        size = memory_quantity(deployment.shm_gib)
        pairs.append(
            (
                {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108  (shared memory, no file)
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}},
            )
        )
    if (name := launch.location.claim) is not None:
        claim = {"claimName": name, "readOnly": True}
        pairs.append(
            (
                {"name": "model", "mountPath": claim_path(name), "readOnly": True},
                {"name": "model", "persistentVolumeClaim": claim},
            )
        )
    return pairs


def _security_context() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        # GPU runtimes refresh the linker's cache inside the container, and engines write temporary
        # files: both need a root file system that can be written.
        "readOnlyRootFilesystem": False,
    }


def _resources(deployment: DeploymentSpec) -> dict[str, Any]:
    """Return requests and limits.

    GPUs cannot be overcommitted and memory should not be: both are requested in full. CPU has no
    limit: throttling would stretch every token of an engine that is idle most of the time, while
    the request already guarantees its share.
    """
    limits = {"memory": memory_quantity(deployment.memory_gib)}
    if (gpu := deployment.gpu) is not None:
        limits[gpu.resource_name or VENDORS[gpu.vendor].resource] = str(gpu.count)
    return {"requests": {"cpu": cpu_quantity(deployment.cpu), **limits}, "limits": limits}


def _env(name: str, source: EnvSource) -> dict[str, Any]:
    if isinstance(source, SecretKey):
        return {
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": source.name, "key": source.key}},
        }
    # The API server drops an empty value, which would read as drift.
    return {"name": name, "value": source} if source else {"name": name}
