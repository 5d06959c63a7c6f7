"""Every object of one ModelProxy, in the order in which it is applied. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from modelfleet import labels
from modelfleet.gateway.keys_file import KeyEntries
from modelfleet.render.metadata import NONE, Identity, Object
from modelfleet.render.objects import Address
from modelfleet.render.proxy.config_map import config_map_name_of, config_map_of
from modelfleet.render.proxy.deployment import proxy_deployment_of
from modelfleet.render.proxy.disruption import proxy_budgets_of
from modelfleet.render.proxy.history import PROXY_RENDERER_VERSION
from modelfleet.render.proxy.network_policy import proxy_network_policy_of
from modelfleet.render.proxy.redis import (
    redis_network_policy_of,
    redis_secret_of,
    redis_service_of,
)
from modelfleet.render.proxy.redis_pod import redis_stateful_set_of
from modelfleet.render.proxy.secret import keys_secret_of
from modelfleet.render.proxy.service import proxy_service_of
from modelfleet.spec.proxy import ModelProxySpec


def proxy_objects_of(
    spec: ModelProxySpec,
    *,
    identity: Identity,
    keys: KeyEntries,
    hash_key: bytes,
    redis_password: str,
    annotations: Mapping[str, str] = NONE,
    renderer_version: int = PROXY_RENDERER_VERSION,
) -> list[Object]:
    """Return the objects of ``spec``, the primary last.

    ``keys`` are those that were generated, and the former ones of rotations. ``redis_password`` and
    ``hash_key``, under which it is hashed, are random and kept in the Secret of the managed Redis
    (``redis_password_in``, ``hash_key_in``); both are unused without one. ``annotations`` (the
    record) are put on the primary object. The gateway's pods are those of ``renderer_version``.
    """
    return [
        *_redis_objects(spec, identity=identity, password=redis_password, hash_key=hash_key),
        keys_secret_of(spec, identity=identity, keys=keys),
        config_map_of(spec, identity=identity, renderer_version=renderer_version),
        proxy_network_policy_of(spec, identity=identity),
        proxy_service_of(spec, identity=identity),
        *proxy_budgets_of(spec, identity=identity),
        proxy_deployment_of(
            spec, identity=identity, annotations=annotations, renderer_version=renderer_version
        ),
    ]


def proxy_object_refs_of(spec: ModelProxySpec) -> tuple[Address, ...]:
    """Return every object that a proxy of that name may own, in the order of an apply.

    Its ConfigMaps are not among them, whose names follow from the whole spec.
    """
    proxy, redis = labels.proxy_object_name(spec.name), labels.redis_name(spec.name)
    return (
        ("v1", "Secret", redis),
        ("networking.k8s.io/v1", "NetworkPolicy", redis),
        ("v1", "Service", redis),
        ("apps/v1", "StatefulSet", redis),
        ("v1", "Secret", proxy),
        ("networking.k8s.io/v1", "NetworkPolicy", proxy),
        ("v1", "Service", proxy),
        ("policy/v1", "PodDisruptionBudget", proxy),
        ("apps/v1", "Deployment", proxy),
    )


def proxy_config_ref_of(
    spec: ModelProxySpec, *, renderer_version: int = PROXY_RENDERER_VERSION
) -> Address:
    """Return the ConfigMap of this very configuration. Pods of before mount another."""
    return ("v1", "ConfigMap", config_map_name_of(spec, renderer_version=renderer_version))


def _redis_objects(
    spec: ModelProxySpec, *, identity: Identity, password: str, hash_key: bytes
) -> list[Object]:
    redis = spec.redis
    if redis is None or not redis.managed:
        return []
    return [
        redis_secret_of(spec, identity=identity, password=password, hash_key=hash_key),
        redis_network_policy_of(spec, identity=identity),
        redis_service_of(spec, identity=identity),
        redis_stateful_set_of(spec, redis, identity=identity, password=password, hash_key=hash_key),
    ]
