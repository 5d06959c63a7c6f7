"""What stands in the Pulumi state of a ModelService, and what each key is.

Three groups share one flat bag: what the user declared, what ``check`` could already say, and
what only the cluster knows. Property names and shapes are frozen: a state of any release must
stay readable (``migrate``). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pulumi.dynamic.dynamic import PROVIDER_KEY

from modelfleet.errors import ConfigError
from modelfleet.service import Service

SCHEMA_VERSION: Final = 1

POD_TEMPLATE_HASH: Final = "pod_template_hash"

PLANNED: Final = (
    "model_service_id",
    "base_url",
    "endpoint",
    "model_names",
    "access_name",
    "gpu_total",
    POD_TEMPLATE_HASH,
)
"""Inputs that ``check`` adds, so that a preview shows them."""

OUTPUTS: Final = (
    "status",
    "status_reason",
    "created_at",
    "last_updated_at",
    "cluster_uid",
    "incarnation",
    "schema_version",
)
"""What only a live service has."""

OWNER: Final = "owner"
DRIFT: Final = "drift"

_NOT_DECLARED: Final = frozenset({*PLANNED, *OUTPUTS, OWNER, DRIFT, PROVIDER_KEY})


def declaration_of(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the user declared, out of checked inputs or out of a state."""
    return {key: value for key, value in props.items() if key not in _NOT_DECLARED}


def inputs_of(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked inputs that a state was made from."""
    return {key: value for key, value in props.items() if key not in OUTPUTS and key != DRIFT}


def outputs_of(service: Service) -> dict[str, Any]:
    """Return the outputs that only the live ``service`` knows."""
    return {
        "status": service.status,
        "status_reason": service.status_reason,
        "created_at": service.created_at,
        "last_updated_at": service.last_updated_at,
        "cluster_uid": service.cluster_uid,
        "incarnation": service.incarnation,
        "schema_version": SCHEMA_VERSION,
    }


def migrate(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state of any known schema version in the shape of this release.

    Raises:
        ConfigError: the state was written by a newer release.
    """
    version = int(props.get("schema_version") or SCHEMA_VERSION)
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"The state of {props.get('model_service_id', 'this service')} has schema version "
            f"{version}; this release of modelfleet knows {SCHEMA_VERSION}.",
            hint="Upgrade modelfleet to at least the release that wrote it.",
        )
    return dict(props)
