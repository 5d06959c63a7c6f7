"""The Deployment of a ModelProxy, its primary object. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from modelfleet import labels
from modelfleet.render.lifetime import PROGRESS_MARGIN_SECONDS
from modelfleet.render.metadata import NONE, Identity, Object, primary_metadata_of, selector_of
from modelfleet.render.proxy.history import PROXY_RENDERER_VERSION
from modelfleet.render.proxy.pod import proxy_pod_template_of
from modelfleet.spec.proxy import STARTUP_SECONDS, ModelProxySpec


def proxy_deployment_of(
    spec: ModelProxySpec,
    *,
    identity: Identity,
    annotations: Mapping[str, str] = NONE,
    renderer_version: int = PROXY_RENDERER_VERSION,
) -> Object:
    """Return the Deployment; ``annotations`` are added to its own.

    A gateway is small and everybody's: its successor comes first, however many there are.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": primary_metadata_of(
            spec,
            identity=identity,
            name=labels.proxy_object_name(spec.name),
            annotations=annotations,
        ),
        "spec": {
            "replicas": spec.replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": STARTUP_SECONDS + PROGRESS_MARGIN_SECONDS,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "selector": {"matchLabels": selector_of(spec)},
            "template": proxy_pod_template_of(spec, renderer_version=renderer_version),
        },
    }
