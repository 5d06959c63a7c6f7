"""The text of the reference of AgentRun's SDK and API: every field, and every difference.

Says what the tables of ``modelfleet.agentrun`` say, in Markdown. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from modelfleet.agentrun.differences import DIFFERENCES, Where
from modelfleet.agentrun.fields import FIELDS, ResourceField, Source
from modelfleet.agentrun.names import Status
from modelfleet.agentrun.shapes import ModelProxyCreateInput, ModelServiceCreateInput
from modelfleet.agentrun.told import status_on_the_wire
from modelfleet.codegen.reference import table
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE, type_of
from modelfleet.spec.refused import reason_for
from modelfleet.spec.tree import Path, dotted, model_at, model_in

_PAGES: Final[Mapping[str, str]] = {
    MODEL_SERVICE.kind: "model-service.md",
    MODEL_PROXY.kind: "model-proxy.md",
}
_INPUTS: Final[Mapping[str, type[BaseModel]]] = {
    MODEL_SERVICE.kind: ModelServiceCreateInput,
    MODEL_PROXY.kind: ModelProxyCreateInput,
}
_FROM: Final[Mapping[Source, str]] = {
    Source.DECLARED: "declared",
    Source.PLANNED: "follows from it",
    Source.LIVE: "what runs",
    Source.NOWHERE: "nothing is told",
}
_INTRODUCTION: Final = """\
# AgentRun's SDK and API: every field, and what differs

<!-- Generated from provider/modelfleet/agentrun; change it there and run `make generate`. -->

`modelfleet.client` has the classes, methods and arguments of AgentRun's Python SDK, and
`modelfleet serve` answers AgentRun's control API. Both mean the same fields, those of these
tables, by two spellings: snake_case in Python, camelCase on the wire; each reads either. What is
no field, and what a field cannot be, is refused by the name it was written with; nothing is
dropped. Fields that AgentRun does not have are marked with a plus."""

_UPDATES: Final = """\
## What an update does

- What is not said stays. In Python None says nothing; on the wire an explicit null clears.
- Maps and parts are merged by name, at any depth: `tags`, `routes`, `api_keys`, `deployment.env`
  keep what was not named. Lists are replaced as a whole.
- `clear` takes dotted names: `description`, `provider_settings.api_key`, `tags.team`,
  `deployment.node_selector["example.com/pool"]`. It goes first: what is cleared and said in one
  call is replaced. What is cleared is as if it had never been declared.
- A value as it is told anyway changes nothing. The live address and names of a hosted service
  are not taken for declarations of it.
- Secrets that were not sent stay as they are.
- `model_service_name` of an endpoint or a fallback and `service` of a target are names, of another
  namespace as `namespace/name`. They are looked up on create, and whenever an update says them; a
  service that is not there is refused."""


def agentrun_text() -> str:
    """Return the reference."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    for kind, fields in FIELDS.items():
        yield from _section(kind, fields)
    yield ""
    yield _UPDATES
    yield from _statuses()
    yield from _differences()


def _section(kind: str, fields: Mapping[str, ResourceField]) -> Iterator[str]:
    yield ""
    yield f"## {kind}"
    yield ""
    yield (
        "What may stand in a field, and what changing it does, is told in "
        f"[{kind}]({_PAGES[kind]})."
    )
    yield ""
    yield from table(
        ("Field", "On the wire", "Comes from", "Create", "Update", "Clear", "Notes"),
        (
            (
                f"`{each.name}`{' +' if each.ours else ''}",
                f"`{each.wire}`",
                _FROM[each.source],
                *("yes" if taken else "" for taken in (each.create, each.update, each.clear)),
                each.differs or _documented(each.name, kind=kind) if each.ours else each.differs,
            )
            for each in fields.values()
        ),
    )
    yield ""
    yield f"Parts of a {kind}'s fields that AgentRun has, and that are refused:"
    yield ""
    yield from table(
        ("Part", "Why, and what to do"),
        ((f"`{dotted(path)}`", reason) for path, reason in _refused_parts(kind)),
    )


def _documented(name: str, *, kind: str) -> str:
    """Return what the spec says of a field."""
    return type_of(kind).model.model_fields[name].description or ""


def _refused_parts(kind: str) -> Iterator[tuple[Path, str]]:
    """Yield what the inputs of AgentRun have below their fields and the spec has not."""
    model = type_of(kind).model
    for path in _parts(_INPUTS[kind], ()):
        owner = model_at(model, path[:-1])
        if owner is not None and path[-1] not in owner.model_fields:
            plain = ".".join(map(str, path))
            known = owner.model_fields
            yield path, reason_for(plain, known=known, model=model, owner=owner)


def _parts(shape: type[BaseModel], at: Path) -> Iterator[Path]:
    for name, field in shape.model_fields.items():
        below = model_in(field.annotation)
        if below is not None:
            yield from _parts(below, (*at, name))
        elif at:
            yield (*at, name)


def _statuses() -> Iterator[str]:
    yield ""
    yield "## Statuses"
    yield ""
    yield "HTTP has AgentRun's words only, and `statusReason` says the rest."
    yield ""
    yield from table(
        ("In Python", "On the wire", "`statusReason` begins with"),
        (
            (f"`{status}`", f"`{word or 'null'}`", f"`{status}`" if word != status else "")
            for status in Status
            for word, _ in [status_on_the_wire(str(status), None)]
        ),
    )


def _differences() -> Iterator[str]:
    yield ""
    yield "## Differences"
    yield ""
    yield "On purpose; a program that changes its import or its endpoint meets these and no others."
    for where in Where:
        yield ""
        yield f"### {where}"
        yield ""
        yield from table(
            ("AgentRun", "modelfleet", "Why"),
            ((each.theirs, each.ours, each.why) for each in DIFFERENCES if each.where is where),
        )
