"""The Redis that a ModelProxy has beside it, where its replicas count together. Pure.

Its pods have a kind of their own in their labels: under the proxy's they would get its requests.
Its objects are the proxy's, as all others.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from modelfleet import labels
from modelfleet.gateway.upstreams import REDIS_PORT
from modelfleet.render.metadata import Identity, Object, metadata_of, selector_of
from modelfleet.render.quantities import memory_quantity
from modelfleet.render.secret import encoded
from modelfleet.spec.proxy import ModelProxySpec, Redis

REDIS_KIND: Final = "ModelProxyRedis"
REDIS_PORT_NAME: Final = "redis"

PASSWORD_KEY: Final = "password"  # noqa: S105 - the name of a key
CONFIG_KEY: Final = "redis.conf"

MEMORY_MIB: Final = 256
"""Of its container. Counts take little; cached answers end with their time."""

DATA_MIB: Final = 128
"""What it may keep: the rest is for the copy that a rewrite of its log makes."""


def redis_selector_of(spec: ModelProxySpec) -> dict[str, str]:
    """Return the labels that the pods of the proxy's Redis carry, and that select them."""
    return labels.selector(kind=REDIS_KIND, name=spec.name)


def redis_config_of(password: str) -> str:
    """Return Redis' configuration, which has the password in it.

    Every write is in a log on disk after a second at most, and nothing is ever evicted: a count
    that is lost would let more pass than is declared.
    """
    # Redis reads a quoted string as JSON has it.
    quoted = json.dumps(password)
    return f"""\
bind * -::*
port {REDIS_PORT}
protected-mode yes
requirepass {quoted}
dir /data
appendonly yes
appendfsync everysec
save ""
maxmemory {DATA_MIB}mb
maxmemory-policy noeviction
"""


def redis_secret_of(
    spec: ModelProxySpec, *, identity: Identity, password: str, hash_key: bytes
) -> Object:
    """Return the Secret: the password, and the configuration with it in it."""
    values = {
        PASSWORD_KEY: password.encode(),
        CONFIG_KEY: redis_config_of(password).encode(),
        labels.HASH_KEY_DATA: hash_key,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(spec, identity),
        "type": "Opaque",
        "data": encoded(values),
    }


def redis_password_in(secret: Mapping[str, Any] | None) -> str | None:
    """Return the password that a live Secret keeps, None where there is none."""
    kept = ((secret or {}).get("data") or {}).get(PASSWORD_KEY)
    return base64.b64decode(kept).decode() if kept else None


def redis_service_of(spec: ModelProxySpec, *, identity: Identity) -> Object:
    """Return the Service under whose name the gateway finds it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(spec, identity),
        "spec": {
            "type": "ClusterIP",
            "selector": redis_selector_of(spec),
            "ports": [
                {
                    "name": REDIS_PORT_NAME,
                    "port": REDIS_PORT,
                    "targetPort": REDIS_PORT_NAME,
                    "protocol": "TCP",
                }
            ],
        },
    }


def redis_network_policy_of(spec: ModelProxySpec, *, identity: Identity) -> Object:
    """Return the NetworkPolicy: this proxy's pods connect to it, and it connects to nobody."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(spec, identity),
        "spec": {
            "podSelector": {"matchLabels": redis_selector_of(spec)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"podSelector": {"matchLabels": selector_of(spec)}}],
                    "ports": [{"port": REDIS_PORT, "protocol": "TCP"}],
                }
            ],
        },
    }


def redis_claim_of(redis: Redis) -> dict[str, Any]:
    """Return the template of the claim with its log, as the API server writes it back."""
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": memory_quantity(redis.storage_gib)}},
        "volumeMode": "Filesystem",
    }
    if redis.storage_class is not None:
        claim["storageClassName"] = redis.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": claim,
        # Filled in by the API server, and the list of claims is one value, compared as a whole.
        "status": {"phase": "Pending"},
    }


def _metadata(spec: ModelProxySpec, identity: Identity) -> dict[str, Any]:
    return metadata_of(spec, identity=identity, name=labels.redis_name(spec.name))
