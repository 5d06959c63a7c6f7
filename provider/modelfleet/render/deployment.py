"""The Deployment of a hosted ModelService, its primary object. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet import labels
from modelfleet.errors import ProviderBugError
from modelfleet.render.history import RENDERER_VERSION
from modelfleet.render.lifetime import PROGRESS_MARGIN_SECONDS
from modelfleet.render.metadata import NONE, Identity, Object, primary_metadata_of, selector_of
from modelfleet.render.pod import pod_template_of
from modelfleet.render.secret import secret_env_hash
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.service import ModelServiceSpec

QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"


def deployment_of(
    spec: ModelServiceSpec,
    *,
    identity: Identity,
    hash_key: bytes,
    annotations: Mapping[str, str] = NONE,
    renderer_version: int = RENDERER_VERSION,
) -> Object:
    """Return the Deployment; ``annotations`` are added to its own."""
    deployment = spec.deployment
    if deployment is None:
        raise ProviderBugError(f"ModelService {spec.model_service_name} is external: no pods.")
    metadata = primary_metadata_of(spec, identity=identity, annotations=annotations)
    if deployment.queue is not None:
        metadata["labels"][QUEUE_LABEL] = deployment.queue
    template = pod_template_of(spec, renderer_version=renderer_version)
    if deployment.secret_env:
        # Pods read a Secret once, at start: a change of its values has to change the template.
        hashed = secret_env_hash(deployment, key=hash_key)
        annotations_of_pods = template["metadata"].get("annotations") or {}
        template["metadata"]["annotations"] = {**annotations_of_pods, labels.SECRET_HASH: hashed}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": deployment.replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": deployment.startup_seconds + PROGRESS_MARGIN_SECONDS,
            "strategy": strategy_of(deployment),
            "selector": {"matchLabels": selector_of(spec)},
            "template": template,
        },
    }


def strategy_of(deployment: DeploymentSpec) -> dict[str, Any]:
    """Return how pods are replaced.

    What is not declared depends on the replicas alone: one replica must not be missed, so its
    successor comes first; with more, one at a time makes room and no spare GPU is needed. Where a
    declared 0 would leave nothing that can move, the other number is 1.
    """
    strategy = deployment.strategy
    if strategy.type == "recreate":
        return {"type": "Recreate"}
    single = deployment.replicas <= 1
    surge, unavailable = strategy.max_surge, strategy.max_unavailable
    if surge is None:
        surge = 1 if single or unavailable == 0 else 0
    if unavailable is None:
        unavailable = 0 if single and surge > 0 else 1
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }
