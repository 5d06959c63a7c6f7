"""Names, labels and annotations of the objects of one ModelService or ModelProxy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from modelfleet import labels
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.service import ModelServiceSpec

AnySpec = ModelServiceSpec | ModelProxySpec

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


def selector_of(spec: AnySpec) -> dict[str, str]:
    """Return the labels that its pods carry, and that select them."""
    return labels.selector(kind=spec.kind, name=spec.name)


def metadata_of(spec: AnySpec, *, identity: Identity, name: str | None = None) -> dict[str, Any]:
    """Return the metadata of one object of ``spec``, named as the spec unless said otherwise."""
    return {
        "name": name or spec.name,
        "namespace": spec.namespace,
        "labels": labels.object_labels(kind=spec.kind, name=spec.name, owner=identity.owner),
        "annotations": {
            labels.OWNER: identity.owner,
            labels.INCARNATION: identity.incarnation,
        },
    }


def primary_metadata_of(
    spec: AnySpec,
    *,
    identity: Identity,
    name: str | None = None,
    annotations: Mapping[str, str] = NONE,
) -> dict[str, Any]:
    """Return the metadata of the primary object, which also says what a service is called.

    A proxy is called by many names. ``annotations`` are what the caller adds: the record.
    """
    metadata = metadata_of(spec, identity=identity, name=name)
    if identity.urn is not None:
        metadata["annotations"][labels.URN] = identity.urn
    if isinstance(spec, ModelServiceSpec):
        metadata["annotations"][labels.ACCESS_NAME] = labels.access_name(
            spec.name, workspace_id=spec.workspace_id
        )
    metadata["annotations"].update(annotations)
    return metadata
