"""Names, labels and annotations of the objects of one ModelService. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from modelfleet import labels
from modelfleet.spec.service import ModelServiceSpec

Object = dict[str, Any]
"""A Kubernetes object, a plain dict as on the wire."""

KIND: Final = "ModelService"
PROXY_KIND: Final = "ModelProxy"

NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Identity:
    """Whose objects these are, and of which creation.

    ``owner`` is the fleet, or ``organization/project/stack``; ``urn`` the Pulumi resource, if any;
    ``incarnation`` the random name of one creation; ``cluster_uid`` the cluster it was made in.
    """

    owner: str
    urn: str | None
    incarnation: str
    cluster_uid: str


def selector_of(spec: ModelServiceSpec) -> dict[str, str]:
    """Return the labels that its pods carry, and that select them."""
    return labels.selector(kind=KIND, name=spec.model_service_name)


def metadata_of(
    spec: ModelServiceSpec, *, identity: Identity, name: str | None = None
) -> dict[str, Any]:
    """Return the metadata of one object of ``spec``, named as the service unless said otherwise."""
    return {
        "name": name or spec.model_service_name,
        "namespace": spec.namespace,
        "labels": labels.object_labels(
            kind=KIND, name=spec.model_service_name, owner=identity.owner
        ),
        "annotations": {
            labels.OWNER: identity.owner,
            labels.INCARNATION: identity.incarnation,
        },
    }


def primary_metadata_of(
    spec: ModelServiceSpec,
    *,
    identity: Identity,
    name: str | None = None,
    annotations: Mapping[str, str] = NONE,
) -> dict[str, Any]:
    """Return the metadata of the primary object, which also says what the service is called.

    ``annotations`` are what the caller adds: the record.
    """
    metadata = metadata_of(spec, identity=identity, name=name)
    if identity.urn is not None:
        metadata["annotations"][labels.URN] = identity.urn
    metadata["annotations"][labels.ACCESS_NAME] = labels.access_name(
        spec.model_service_name, workspace_id=spec.workspace_id
    )
    metadata["annotations"].update(annotations)
    return metadata
