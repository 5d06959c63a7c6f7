"""The text of a field reference: tables of every field, every output and what is refused.

Says what the models say, in Markdown, one section per model. Pure.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import BaseModel

from modelfleet.codegen.shapes import (
    Described,
    ListOf,
    MapOf,
    Nested,
    OneOf,
    Scalar,
    Shape,
    Words,
    described,
    models_under,
)
from modelfleet.codegen.typed_dicts import default_text
from modelfleet.registration import outputs_of
from modelfleet.spec.elsewhere import ELSEWHERE
from modelfleet.spec.fields import ChangeClass
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_refused import PROXY_ELSEWHERE, PROXY_REFUSED
from modelfleet.spec.refused import (
    NETWORK_MODE_INSTEAD,
    NETWORK_MODES_NOT_YET,
    NOT_YET,
    REFUSED,
)

_SCALARS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true/false",
    object: "anything",
}

_CHANGES = {
    ChangeClass.IN_PLACE: "nothing restarts",
    ChangeClass.ROLLING: "pods are replaced while others serve",
    ChangeClass.RECREATE: "pods are replaced with downtime",
    ChangeClass.REPLACE: "the resource is deleted and made anew",
}


def reference_text(root: type[BaseModel], *, resource: type) -> str:
    """Return the reference of ``root`` and of the outputs of the Pulumi ``resource``."""
    return "\n".join(_lines(root, resource)) + "\n"


def _lines(root: type[BaseModel], resource: type) -> Iterator[str]:
    name = _title(root)
    yield f"# {name}: every field"
    yield ""
    yield "<!-- Generated from the models in modelfleet.spec. Do not edit; run `make generate`. -->"
    yield ""
    yield (
        "Values may be Outputs at any depth. A field that is left out, or None, is unset; all "
        "problems of a declaration are reported at once, each with its path. *Change* is the "
        "least that changing the field does to a running service:"
    )
    yield ""
    yield from (f"- `{change.value}`: {meaning}" for change, meaning in _CHANGES.items())
    for model in models_under(root):
        yield from _section(model)
    yield from _outputs(resource)
    yield from _refused(root)


def _section(model: type[BaseModel]) -> Iterator[str]:
    yield ""
    yield f"## {_title(model)}"
    yield ""
    yield " ".join((model.__doc__ or "").replace("``", "`").split())
    yield ""
    yield from table(
        ("Field", "Type", "Default", "Change", "Meaning"),
        (
            (
                f"`{field.name}`",
                _type(field),
                _default(field),
                f"`{field.change}`",
                field.doc,
            )
            for field in described(model)
        ),
    )


def _outputs(resource: type) -> Iterator[str]:
    yield ""
    yield "## Outputs"
    yield ""
    yield "Attributes of the resource, beside what was declared."
    yield ""
    yield from table(
        ("Output", "Meaning"),
        (
            (f"`{name}`", inspect.getdoc(member) or "")
            for name, member in outputs_of(resource).items()
        ),
    )


def _refused(root: type[BaseModel]) -> Iterator[str]:
    yield ""
    yield "## Refused"
    yield ""
    yield (
        f"Fields that a {_title(root)} has elsewhere, or will have here. They are refused by name, "
        "never ignored."
    )
    yield ""
    yield from _refused_in_a_proxy() if root is ModelProxySpec else _refused_in_a_service()
    yield ""
    yield f"Values that are {NOT_YET}:"
    yield ""
    modes = ", ".join(f"`{mode}`" for mode in NETWORK_MODES_NOT_YET)
    yield f"- network_configuration.network_mode: {modes}; {NETWORK_MODE_INSTEAD}"


def _refused_in_a_service() -> Iterator[str]:
    yield from table(
        ("Field", "Why, and what to write instead"),
        ((f"`{path}`", reason) for path, reason in REFUSED.items()),
    )
    yield ""
    yield "Names that other systems have for a service's or its deployment's fields:"
    yield ""
    yield from _foreign_names(ELSEWHERE)


def _refused_in_a_proxy() -> Iterator[str]:
    yield from table(
        ("Field", "In", "Why, and what to write instead"),
        (
            (f"`{name}`", f"[{_title(model)}](#{_title(model).lower()})", reason)
            for model, reasons in PROXY_REFUSED.items()
            for name, reason in reasons.items()
        ),
    )
    yield ""
    yield "Names that other systems have for what is declared in a proxy:"
    yield ""
    yield from _foreign_names(PROXY_ELSEWHERE)


def _foreign_names(names: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    yield from table(
        ("Name", "Of", "Instead"),
        ((f"`{name}`", system, advice) for name, (system, advice) in names.items()),
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join('---' for _ in header)}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _title(model: type[BaseModel]) -> str:
    return model.__name__.removesuffix("Spec")


def _type(field: Described) -> str:
    said = _spelled(field.shape)
    return f"{said}, {field.bounds}" if field.bounds else said


def _default(field: Described) -> str:
    text = default_text(field)
    return "**required**" if field.required else f"`{text}`" if text not in ("", "empty") else text


def _spelled(shape: Shape) -> str:
    match shape:
        case Scalar(kind, secret):
            return f"secret {_SCALARS[kind]}" if secret else _SCALARS[kind]
        case Words(words):
            return ", ".join(f"`{word}`" for word in words)
        case Nested(model):
            return f"[{_title(model)}](#{_title(model).lower()})"
        case ListOf(item):
            return f"list of {_grouped(item)}"
        case MapOf(_, value):
            return f"map of {_grouped(value)}"
        case OneOf(shapes):
            *most, last = [_spelled(each) for each in _distinct(shapes)]
            return f"{', '.join(most)} or {last}"


def _grouped(shape: Shape) -> str:
    return f"({_spelled(shape)})" if isinstance(shape, OneOf) else _spelled(shape)


def _distinct(shapes: Sequence[Shape]) -> list[Shape]:
    """Return ``shapes`` without whole numbers where any number may stand."""
    return [each for each in shapes if each != Scalar(int) or Scalar(float) not in shapes]
