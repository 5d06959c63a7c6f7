"""The pod template of a ModelProxy's gateway: a pure function of the spec.

No identity, no secret values and nothing that scaling would change, unless a limit of requests at
a time has to be divided by the replicas.
"""

from __future__ import annotations

from typing import Any

from modelfleet.render.hashes import short_hash
from modelfleet.render.lifetime import shutdown_of
from modelfleet.render.metadata import selector_of
from modelfleet.render.proxy.container import gateway_container_of
from modelfleet.render.proxy.history import PROXY_RENDERER_VERSION, template_rendered_by
from modelfleet.render.proxy.volumes import proxy_volumes_of
from modelfleet.render.security import pod_security_context
from modelfleet.spec.proxy import DRAIN_SECONDS, ModelProxySpec


def proxy_pod_template_of(
    spec: ModelProxySpec, *, renderer_version: int = PROXY_RENDERER_VERSION
) -> dict[str, Any]:
    """Return metadata and spec of the gateway's pods, as that renderer makes them."""
    shutdown = shutdown_of(DRAIN_SECONDS, drains=True)
    container = gateway_container_of(spec, shutdown=shutdown, renderer_version=renderer_version)
    volumes = proxy_volumes_of(spec, renderer_version=renderer_version)
    template = {
        "metadata": {"labels": selector_of(spec)},
        "spec": {
            "containers": [container],
            "volumes": [volume for _, volume in volumes],
            "terminationGracePeriodSeconds": shutdown.grace_seconds,
            "securityContext": pod_security_context(),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "topologySpreadConstraints": [_apart(spec)],
        },
    }
    return template_rendered_by(renderer_version, template, spec=spec)


def proxy_pod_template_hash(
    spec: ModelProxySpec, *, renderer_version: int = PROXY_RENDERER_VERSION
) -> str:
    """Return 10 hex digits over the pod template: the same for the same pods, forever."""
    return short_hash(proxy_pod_template_of(spec, renderer_version=renderer_version))


def _apart(spec: ModelProxySpec) -> dict[str, Any]:
    """Return the wish for a node for each replica, there also for one: it may become two."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector_of(spec)},
        # Pods of a rollout are spread among themselves, not around those that they replace.
        "matchLabelKeys": ["pod-template-hash"],
    }
