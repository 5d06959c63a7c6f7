"""What a call was given to create, to update or to look for: read once, and never changed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from modelfleet.agentrun.shapes import (
    ModelProxyCreateInput,
    ModelProxyListInput,
    ModelProxyUpdateInput,
    ModelServiceCreateInput,
    ModelServiceListInput,
    ModelServiceUpdateInput,
    Shape,
)

SERVICE: Final = "ModelService"
PROXY: Final = "ModelProxy"

NAME_FIELDS: Final = {SERVICE: "model_service_name", PROXY: "model_proxy_name"}

CreateInput = ModelServiceCreateInput | ModelProxyCreateInput
UpdateInput = ModelServiceUpdateInput | ModelProxyUpdateInput
ListInput = ModelServiceListInput | ModelProxyListInput

_PROXY_INPUTS: Final = (ModelProxyCreateInput, ModelProxyUpdateInput, ModelProxyListInput)

_PAGING: Final = ("page_number", "page_size")

DEFAULT_PAGE_SIZE: Final = 20
"""AgentRun's, where a list asks for no size."""


@dataclass(frozen=True)
class Given:
    """What is to be: of which kind, and those fields that were said, None counting as not said."""

    kind: str
    fields: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str | None:
        """The name among the fields, None where there is none."""
        name: str | None = self.fields.get(NAME_FIELDS[self.kind])
        return name


@dataclass(frozen=True)
class Wanted:
    """What to list: of which kind, by which fields, and which page of it."""

    kind: str
    where: dict[str, Any]
    page_number: int = 1
    page_size: int = DEFAULT_PAGE_SIZE


def given(value: object, *allowed: type[Shape], verb: str) -> Given:
    """Return what an input of one of the ``allowed`` classes says.

    Raises:
        TypeError: it is of none of them.
    """
    _refuse_others(value, allowed, verb=verb)
    return Given(_kind_of(value), _said(value))


def wanted(value: object) -> Wanted:
    """Return what a list input asks for.

    Raises:
        TypeError: it is none.
    """
    _refuse_others(value, (ModelServiceListInput, ModelProxyListInput), verb="list")
    said = _said(value)
    paging = {name: said.pop(name) for name in _PAGING if name in said}
    return Wanted(_kind_of(value), said, **paging)


def _kind_of(value: object) -> str:
    return PROXY if isinstance(value, _PROXY_INPUTS) else SERVICE


def _said(value: Any) -> dict[str, Any]:
    said: dict[str, Any] = value.model_dump(by_alias=False, exclude_unset=True, exclude_none=True)
    return said


def _refuse_others(value: object, allowed: tuple[type[Shape], ...], *, verb: str) -> None:
    if not isinstance(value, allowed):
        names = " or a ".join(each.__name__ for each in allowed)
        raise TypeError(f"{verb} takes a {names}, not a {type(value).__name__}")
