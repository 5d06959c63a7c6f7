"""The StatefulSet of a ModelProxy's Redis: one pod with a disk. Pure."""

from __future__ import annotations

from typing import Any, Final

from modelfleet import labels
from modelfleet.gateway.upstreams import REDIS_PORT
from modelfleet.render.hashes import secret_hash
from modelfleet.render.metadata import Identity, Object, metadata_of
from modelfleet.render.proxy.redis import (
    CONFIG_KEY,
    MEMORY_MIB,
    PASSWORD_KEY,
    REDIS_PORT_NAME,
    redis_claim_of,
    redis_config_of,
    redis_selector_of,
)
from modelfleet.render.quantities import cpu_quantity, memory_quantity
from modelfleet.render.security import pod_security_context, security_context
from modelfleet.spec.proxy import ModelProxySpec, Redis

DEFAULT_REDIS_IMAGE: Final = "redis:7.0.15"

CPU_CORES: Final = 0.1
GRACE_SECONDS: Final = 30

_CONFIG_PATH: Final = "/etc/redis"
_PING: Final = ["redis-cli", "-e", "-p", str(REDIS_PORT), "ping"]
"""Fails also while it loads its log: ``-e`` makes a reply that is an error one of the command."""


def redis_stateful_set_of(
    spec: ModelProxySpec, redis: Redis, *, identity: Identity, password: str, hash_key: bytes
) -> Object:
    """Return the StatefulSet. Its disk goes with it."""
    name = labels.redis_name(spec.name)
    # It reads its password once, at start. Under a key, as of every secret: a pod shows the hash.
    hashed = secret_hash({CONFIG_KEY: redis_config_of(password)}, key=hash_key)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata_of(spec, identity=identity, name=name),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "serviceName": name,
            # One by one, a pod that never becomes ready would not be replaced by a corrected one.
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": redis_selector_of(spec)},
            "template": {
                "metadata": {
                    "labels": redis_selector_of(spec),
                    "annotations": {labels.SECRET_HASH: hashed},
                },
                "spec": {
                    "containers": [_container(name, redis)],
                    "volumes": [
                        {
                            "name": "config",
                            "secret": {
                                "secretName": name,
                                "defaultMode": 0o440,
                                "items": [{"key": CONFIG_KEY, "path": CONFIG_KEY}],
                            },
                        }
                    ],
                    "terminationGracePeriodSeconds": GRACE_SECONDS,
                    "securityContext": pod_security_context(),
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                },
            },
            "volumeClaimTemplates": [redis_claim_of(redis)],
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Delete",
                "whenScaled": "Retain",
            },
        },
    }


def _container(secret: str, redis: Redis) -> dict[str, Any]:
    memory = {"memory": memory_quantity(MEMORY_MIB / 1024)}
    return {
        "name": labels.REDIS_CONTAINER,
        "image": redis.image or DEFAULT_REDIS_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        # The password is in the file: command lines are for everybody to read.
        "command": ["redis-server", f"{_CONFIG_PATH}/{CONFIG_KEY}"],
        "env": [
            {
                "name": "REDISCLI_AUTH",
                "valueFrom": {"secretKeyRef": {"name": secret, "key": PASSWORD_KEY}},
            }
        ],
        "ports": [{"name": REDIS_PORT_NAME, "containerPort": REDIS_PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": cpu_quantity(CPU_CORES), **memory}, "limits": memory},
        "startupProbe": _probe(period_seconds=2, failures=90),
        "readinessProbe": _probe(period_seconds=10, failures=3),
        "livenessProbe": _probe(period_seconds=10, failures=6),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": security_context(read_only=True),
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "config", "mountPath": _CONFIG_PATH, "readOnly": True},
        ],
    }


def _probe(*, period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "exec": {"command": _PING},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "successThreshold": 1,
        "failureThreshold": failures,
    }
