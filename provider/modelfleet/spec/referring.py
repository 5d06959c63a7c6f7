"""A ModelService where a proxy's declaration names one: by its name, or with what is known of it.

Shapes only, for targets, endpoints and fallbacks alike. What a reference holds is worked out in
``service_reference.py``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag

from modelfleet.spec.fields import (
    ChangeClass,
    Int,
    ResourceName,
    SecretName,
    SpecModel,
    declared,
    text,
)
from modelfleet.spec.service import HttpUrl, ModelName, ModelType

ROLLING = ChangeClass.ROLLING

ServiceName = Annotated[
    str,
    text(
        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z]([-a-z0-9]*[a-z0-9])?$",
        says="must be the name of a ModelService, or namespace/name",
        min_length=2,
        max_length=127,
    ),
]


class ServiceReference(SpecModel):
    """A ModelService, with what is known of it. A program passes the resource itself."""

    id: ServiceName = declared(change=ROLLING, doc="Name, or namespace/name.")
    base_url: HttpUrl | None = declared(
        None, change=ROLLING, doc="Where it answers; unset = its address in the cluster."
    )
    model_names: tuple[ModelName, ...] = declared(
        (), change=ROLLING, doc="Names it answers to, the one to use first; empty = its name."
    )
    credential_name: SecretName | None = declared(
        None, change=ROLLING, doc="Secret, and key in it, that it is called with."
    )
    model_type: ModelType | None = declared(None, change=ROLLING, doc="What the model does.")
    context_size: Int | None = declared(
        None, change=ROLLING, doc="Context window, in tokens.", ge=1
    )
    cluster: ResourceName | None = declared(
        None, change=ROLLING, doc="Logical name of its cluster."
    )


def _kind_of_service(value: object) -> str:
    return "<name>" if isinstance(value, str) else "<reference>"


Service = Annotated[
    Annotated[ServiceName, Tag("<name>")] | Annotated[ServiceReference, Tag("<reference>")],
    Discriminator(_kind_of_service),
]


def name_of(identity: str) -> str:
    """Return the name of a service without its namespace, where that stands before it."""
    return identity.rpartition("/")[2]
