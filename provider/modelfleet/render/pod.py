"""The pod template of a hosted ModelService: a pure function of the spec.

No identity, no secret values and nothing that scaling or renaming an owner would change: two specs
with equal templates run equal pods, and ``pod_template_hash`` says so before anything is applied.
"""

from __future__ import annotations

from typing import Any

from modelfleet.engines import launch_of
from modelfleet.errors import ProviderBugError
from modelfleet.render.container import container_of
from modelfleet.render.fetch import init_containers_of
from modelfleet.render.hashes import short_hash
from modelfleet.render.history import RENDERER_VERSION, as_rendered_by
from modelfleet.render.lifetime import shutdown_of
from modelfleet.render.metadata import selector_of
from modelfleet.render.overrides import overridden
from modelfleet.render.placement import placement_of
from modelfleet.render.security import pod_security_context
from modelfleet.render.volumes import volumes_of
from modelfleet.spec.service import ModelServiceSpec


def pod_template_of(
    spec: ModelServiceSpec, *, renderer_version: int = RENDERER_VERSION
) -> dict[str, Any]:
    """Return metadata and spec of the pods of a hosted ``spec``, as that renderer makes them.

    What the spec overrides comes last, so it is there whatever a renderer has changed.
    """
    template = as_rendered_by(renderer_version, _newest_template_of(spec), spec=spec)
    overrides = spec.deployment.pod_overrides if spec.deployment else {}
    return overridden(template, overrides) if overrides else template


def _newest_template_of(spec: ModelServiceSpec) -> dict[str, Any]:
    deployment = spec.deployment
    if deployment is None:
        raise ProviderBugError(f"ModelService {spec.model_service_name} is external: no pods.")
    launch = launch_of(spec)
    shutdown = shutdown_of(deployment.drain_seconds, drains=launch.drains)
    volumes = volumes_of(spec, deployment, location=launch.location)
    mounts = [mount for mount, _ in volumes]
    before = init_containers_of(deployment, launch=launch, mounts=mounts)
    engine = container_of(deployment, launch=launch, shutdown=shutdown, mounts=mounts)
    return {
        "metadata": {"labels": selector_of(spec)},
        "spec": {
            **({"initContainers": before} if before else {}),
            "containers": [engine],
            "volumes": [volume for _, volume in volumes],
            "terminationGracePeriodSeconds": shutdown.grace_seconds,
            "securityContext": pod_security_context(),
            "automountServiceAccountToken": False,
            # Variables such as VLLM_PORT, made from a Service's name, would configure the engine.
            "enableServiceLinks": False,
            **placement_of(deployment, launch=launch),
        },
    }


def pod_template_hash(spec: ModelServiceSpec, *, renderer_version: int = RENDERER_VERSION) -> str:
    """Return 10 hex digits over the pod template, empty for an external ``spec``.

    The same for the same pods, forever.
    """
    if not spec.hosted:
        return ""
    return short_hash(pod_template_of(spec, renderer_version=renderer_version))
