"""Every object of one ModelService, in the order in which it is applied. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from modelfleet import labels
from modelfleet.render.claim import claim_name_of, claims_of
from modelfleet.render.deployment import deployment_of
from modelfleet.render.disruption import budget_of
from modelfleet.render.external import external_secret_of
from modelfleet.render.history import RENDERER_VERSION
from modelfleet.render.metadata import NONE, Identity, Object
from modelfleet.render.network_policy import network_policy_of
from modelfleet.render.secret import env_secret_of
from modelfleet.render.service import service_of
from modelfleet.spec.service import ModelServiceSpec

Address = tuple[str, str, str]
"""apiVersion, kind and name of one object."""


def objects_of(
    spec: ModelServiceSpec,
    *,
    identity: Identity,
    hash_key: bytes,
    annotations: Mapping[str, str] = NONE,
    renderer_version: int = RENDERER_VERSION,
) -> list[Object]:
    """Return the objects of ``spec``, the primary last.

    Pods start after what they read, mount and are protected by is there; deletion goes the other
    way. ``annotations`` (the record) are put on the primary object. ``hash_key``
    is random and kept in the Secret it belongs to; unused where there is no secret environment.
    The pods are those of ``renderer_version``.
    """
    deployment = spec.deployment
    if deployment is None:
        return [external_secret_of(spec, identity=identity, annotations=annotations)]
    secrets = (
        [env_secret_of(spec, deployment, identity=identity, hash_key=hash_key)]
        if deployment.secret_env
        else []
    )
    budgets = (
        [budget_of(spec, deployment.disruption, identity=identity)] if deployment.disruption else []
    )
    return [
        *secrets,
        *claims_of(spec, identity=identity),
        network_policy_of(spec, identity=identity),
        service_of(spec, identity=identity),
        *budgets,
        deployment_of(
            spec,
            identity=identity,
            hash_key=hash_key,
            annotations=annotations,
            renderer_version=renderer_version,
        ),
    ]


def object_refs_of(name: str, *, hosted: bool) -> tuple[Address, ...]:
    """Return every object that a service of that name may own, in the order of ``objects_of``.

    Its claim is not among them: the name of that one depends on the whole spec (``claim_ref_of``).
    """
    if not hosted:
        return (("v1", "Secret", labels.external_secret_name(name)),)
    return (
        ("v1", "Secret", labels.env_secret_name(name)),
        ("networking.k8s.io/v1", "NetworkPolicy", name),
        ("v1", "Service", name),
        ("policy/v1", "PodDisruptionBudget", name),
        ("apps/v1", "Deployment", name),
    )


def claim_ref_of(spec: ModelServiceSpec) -> Address | None:
    """Return the claim that is the service's own, None where it has none."""
    name = claim_name_of(spec)
    return None if name is None else ("v1", "PersistentVolumeClaim", name)


def primary_of(spec: ModelServiceSpec) -> Address:
    """Return the object that carries the record and stands for the service."""
    return object_refs_of(spec.model_service_name, hosted=spec.hosted)[-1]
