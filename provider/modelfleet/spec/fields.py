"""The building blocks of every spec: the base model, change classes and shared field types.

Each field declares, with ``declared``, what it is for and the least that changing it means.
Owns no field of any resource and performs no I/O.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.fields import FieldInfo


class ChangeClass(StrEnum):
    """What changing a field does to a running service, from harmless to heavy."""

    IN_PLACE = "in_place"
    """Nothing restarts."""
    ROLLING = "rolling"
    """Pods are replaced while others serve."""
    RECREATE = "recreate"
    """Pods are replaced with downtime."""
    REPLACE = "replace"
    """The resource is deleted and made anew."""

    @property
    def weight(self) -> int:
        """Return the place in the order from harmless (0) to heavy (3)."""
        return list(ChangeClass).index(self)


ANY: Final = "*"
"""Stands for every key of a map in the path of a secret."""

CHANGE: Final = "change"
"""Key under which a field's change class stands in its JSON schema."""


def declared(default: Any = ..., *, change: ChangeClass, doc: str, **constraints: Any) -> Any:
    """Return a pydantic field that carries its change class and its documentation."""
    return Field(default, description=doc, json_schema_extra={CHANGE: change.value}, **constraints)


def change_class(field: FieldInfo) -> ChangeClass | None:
    """Return the change class a field declares, None for a field that only nests others."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and isinstance(value := extra.get(CHANGE), str):
        return ChangeClass(value)
    return None


class SpecModel(BaseModel):
    """Base of everything a user declares: unknown fields are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=False,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Int = Annotated[int, BeforeValidator(_no_bool)]
"""A whole number; ``8.0`` is one (Pulumi sends every number as a float), ``true`` is not."""

Number = Annotated[float, BeforeValidator(_no_bool)]

_SAID: dict[str, str] = {}


def text(pattern: str, *, says: str, **constraints: int) -> StringConstraints:
    """Return constraints on a string, and keep the words that explain ``pattern`` to a user."""
    if _SAID.setdefault(pattern, says) != says:
        raise ValueError(f"{pattern} is explained in other words elsewhere")
    return StringConstraints(pattern=pattern, **constraints)  # type: ignore[arg-type]


def said_of(pattern: str) -> str:
    """Return what a user is told when a value does not match ``pattern``."""
    return _SAID.get(pattern, f"must match {pattern}")


ResourceName = Annotated[
    str,
    # A DNS label that starts with a letter (RFC 1035): what a Service name must be.
    text(
        r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        says="must be lower-case letters, digits and dashes, begin with a letter and not end "
        "with a dash",
        min_length=2,
        max_length=63,
    ),
]
NamespaceName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        says="must be lower-case letters, digits and dashes, with no dash at either end",
        min_length=1,
        max_length=63,
    ),
]
ObjectName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        says="must be lower-case letters, digits, dashes and dots",
        min_length=1,
        max_length=253,
    ),
]
SecretName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[-._a-zA-Z0-9]+)?$",
        says="must be `name` or `name/key` of a Secret",
        min_length=1,
        max_length=507,
    ),
]
"""``name`` or ``name/key`` of an existing Secret in the service's namespace."""

EnvName = Annotated[
    str,
    text(
        r"^[A-Za-z_][A-Za-z0-9_]*$",
        says="must be the name of an environment variable: letters, digits and underscores",
    ),
]
QualifiedName = Annotated[
    str,
    text(
        r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$",
        says="must be a Kubernetes key such as example.com/name",
        max_length=317,
    ),
]
"""A Kubernetes label key or extended resource name."""

LabelValue = Annotated[
    str,
    text(
        r"^([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$",
        says="must be a Kubernetes label value: at most 63 letters, digits, dashes, dots, _",
        max_length=63,
    ),
]


def secret_name_and_key(reference: str, *, default_key: str = "api_key") -> tuple[str, str]:
    """Return name and key of a ``name`` or ``name/key`` Secret reference."""
    name, _, key = reference.partition("/")
    return name, key or default_key
