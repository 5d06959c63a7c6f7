"""The gateway's container: LiteLLM's image, started as the application that wraps it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet import labels
from modelfleet.gateway.litellm_config import LITELLM_FILE
from modelfleet.gateway.sources import PACKAGE
from modelfleet.render.container import PORT_NAME, env_of
from modelfleet.render.lifetime import Shutdown, lifecycle_of, probes_of
from modelfleet.render.proxy.volumes import FILES_PATH, TMP_PATH, proxy_volumes_of
from modelfleet.render.quantities import cpu_quantity, memory_quantity
from modelfleet.render.security import security_context
from modelfleet.spec.proxy import DEFAULT_LITELLM_VERSION, STARTUP_SECONDS, ModelProxySpec
from modelfleet.spec.runtime import ProbePaths

PORT: Final = 4000
"""Where callers are answered."""

HEALTH_PORT: Final = 4001
HEALTH_PORT_NAME: Final = "health"
"""Where the kubelet and the provider are: never in the Service."""

ENV: Final[Mapping[str, str]] = {
    "PYTHONPATH": FILES_PATH,
    "PYTHONDONTWRITEBYTECODE": "1",
    # The user has no home in the image, and nothing else can be written.
    "HOME": TMP_PATH,
    "CONFIG_FILE_PATH": f"{FILES_PATH}/{LITELLM_FILE}",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    # Else it fetches a table of prices from the internet before it starts.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY_DISABLED": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "NO_OPENAPI": "True",
    "DISABLE_ADMIN_UI": "True",
}
"""With which LiteLLM asks nobody for anything and shows nothing of itself."""


def image_of(spec: ModelProxySpec) -> str:
    """Return the image: the declared one, or LiteLLM's own of the declared release."""
    version = spec.litellm_version or DEFAULT_LITELLM_VERSION
    return spec.image or f"ghcr.io/berriai/litellm:{version}"


def gateway_container_of(
    spec: ModelProxySpec, *, shutdown: Shutdown, renderer_version: int
) -> dict[str, Any]:
    """Return the gateway's container."""
    memory = {"memory": memory_quantity(spec.memory / 1024)}
    volumes = proxy_volumes_of(spec, renderer_version=renderer_version)
    return {
        "name": labels.GATEWAY_CONTAINER,
        "image": image_of(spec),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", PACKAGE],
        "env": env_of(ENV),
        "ports": [
            {"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"},
            {"name": HEALTH_PORT_NAME, "containerPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        # No limit of CPU: throttling would stretch every stream that passes through.
        "resources": {"requests": {"cpu": cpu_quantity(spec.cpu), **memory}, "limits": memory},
        **probes_of(
            ProbePaths(startup="/healthz", readiness="/readyz", liveness="/healthz"),
            startup_seconds=STARTUP_SECONDS,
            port=HEALTH_PORT_NAME,
        ),
        "lifecycle": lifecycle_of(shutdown),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": security_context(read_only=True),
        "volumeMounts": [mount for mount, _ in volumes],
    }
