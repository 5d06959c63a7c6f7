"""The Secret with the secret environment of a hosted ModelService.

The one place where secret values of a deployment are taken out of their wrapping. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from modelfleet import labels
from modelfleet.render.hashes import secret_hash
from modelfleet.render.metadata import Identity, Object, metadata_of
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.service import ModelServiceSpec


def encoded(values: Mapping[str, bytes]) -> dict[str, str]:
    """Return ``values`` as the data of a Secret.

    In ``data``, not ``stringData``: that one cannot be read back and would always look different.
    """
    return {name: base64.b64encode(value).decode() for name, value in sorted(values.items())}


def secret_env_values(deployment: DeploymentSpec) -> dict[str, str]:
    """Return the secret environment in plain text."""
    return {name: value.get_secret_value() for name, value in deployment.secret_env.items()}


def secret_env_hash(deployment: DeploymentSpec, *, key: bytes) -> str:
    """Return the hash that tells pods of other secret values apart."""
    return secret_hash(secret_env_values(deployment), key=key)


def env_secret_of(
    spec: ModelServiceSpec, deployment: DeploymentSpec, *, identity: Identity, hash_key: bytes
) -> Object:
    """Return the Secret; it also keeps the key under which its values are hashed."""
    values = {name: value.encode() for name, value in secret_env_values(deployment).items()}
    name = labels.env_secret_name(spec.model_service_name)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata_of(spec, identity=identity, name=name),
        "type": "Opaque",
        "data": encoded({**values, labels.HASH_KEY_DATA: hash_key}),
    }


def hash_key_in(secret: Mapping[str, Any] | None) -> bytes | None:
    """Return the key that a live Secret keeps, None where there is no Secret or no key in it."""
    kept = ((secret or {}).get("data") or {}).get(labels.HASH_KEY_DATA)
    return base64.b64decode(kept) if kept else None
