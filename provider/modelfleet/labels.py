"""Every label, annotation and derived name that modelfleet puts into a cluster.

The one place for keys under ``modelfleet.dev/``. The pod selector, the Service port and the
names of objects are frozen: changing one would orphan what earlier releases made.
Nothing here talks to a cluster or knows what a spec is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "modelfleet.dev/"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY_VALUE: Final = "modelfleet"

KIND: Final = PREFIX + "kind"
NAME: Final = PREFIX + "name"
OWNER_HASH: Final = PREFIX + "owner"

OWNER: Final = PREFIX + "owner"
INCARNATION: Final = PREFIX + "incarnation"
RECORD: Final = PREFIX + "record"
URN: Final = PREFIX + "urn"
ACCESS_NAME: Final = PREFIX + "access-name"
SECRET_HASH: Final = PREFIX + "secret-hash"
REPLICAS_TO_START: Final = PREFIX + "replicas-to-start"
"""A tag, kept with the declaration of what was stopped: how many replicas a start brings back."""

KEYS_HASH: Final = PREFIX + "keys-hash"
"""On a gateway's pod: the keys it was told of last. A change has its kubelet bring them at once."""

ENGINE_CONTAINER: Final = "engine"
GATEWAY_CONTAINER: Final = "gateway"
REDIS_CONTAINER: Final = "redis"
SERVICE_PORT: Final = 80
HASH_KEY_DATA: Final = "modelfleet-hash-key"

ANNOTATIONS_LIMIT_BYTES: Final = 262_144
"""Kubernetes' own limit on the sum of all annotations of one object."""


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that a user declared, without the notes that are kept among them."""
    return {key: text for key, text in tags.items() if not key.startswith(PREFIX)}


def owner_hash(owner: str) -> str:
    """Return the 16 hex digits that stand for ``owner`` where a label value must be short."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def field_manager(owner: str) -> str:
    """Return the server-side-apply field manager of ``owner``."""
    return f"modelfleet-{owner_hash(owner)}"


def selector(*, kind: str, name: str) -> dict[str, str]:
    """Return the frozen pod selector, shared by workload, Service and NetworkPolicy."""
    return {KIND: kind, NAME: name}


def object_labels(*, kind: str, name: str, owner: str) -> dict[str, str]:
    """Return the labels of every object of one resource (pods carry the selector only)."""
    return {
        MANAGED_BY: MANAGED_BY_VALUE,
        **selector(kind=kind, name=name),
        OWNER_HASH: owner_hash(owner),
    }


def access_name(name: str, *, workspace_id: str | None) -> str:
    """Return the ``model`` value that callers send."""
    return f"{workspace_id}/{name}" if workspace_id else name


def endpoint(name: str, *, namespace: str) -> str:
    """Return the URL of a Service inside its cluster, without a path."""
    return f"http://{name}.{namespace}.svc"


def proxy_object_name(name: str) -> str:
    """Return the name of the objects of a ModelProxy, its primary one among them."""
    return f"{name}-proxy"


def proxy_config_name(name: str, *, variant: str) -> str:
    """Return the name of a ModelProxy's ConfigMap: one for each content, ``variant`` its hash."""
    return f"{proxy_object_name(name)}-{variant}"


def redis_name(name: str) -> str:
    """Return the name of the objects of a ModelProxy's managed Redis."""
    return f"{name}-redis"


def external_secret_name(name: str) -> str:
    """Return the name of the primary object of an external ModelService."""
    return f"{name}-external"


def cache_claim_name(name: str, *, variant: str) -> str:
    """Return the name of the claim with a hosted ModelService's cache.

    ``variant`` stands for what cannot change about a claim: another one is another claim.
    """
    digest = hashlib.sha256(variant.encode()).hexdigest()[:6]
    return f"{name}-cache-{digest}"


def env_secret_name(name: str) -> str:
    """Return the name of the Secret with the secret environment of a hosted ModelService."""
    return f"{name}-env"
