"""What is told of a service or a proxy: AgentRun's fields, and those that are added here. Pure.

Reads an entry of the catalogue, and asks nobody. Holds no secret: records have none, and where one
stood nothing is told.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel

from modelfleet.agentrun.fields import FIELDS, Source
from modelfleet.agentrun.service_names import told_name, with_services
from modelfleet.agentrun.spelling import on_the_wire
from modelfleet.catalogue import Entry
from modelfleet.cluster.records import record_of
from modelfleet.errors import ConflictError
from modelfleet.labels import own_tags
from modelfleet.resource_types import MODEL_SERVICE, TYPES, type_of
from modelfleet.service import DEGRADED, READY, STOPPED
from modelfleet.spec.fields import ANY
from modelfleet.spec.merge import merged
from modelfleet.spec.validation import problems_of

_TIMES: Final = ("created_at", "last_updated_at")
_ON_THE_WIRE: Final = {STOPPED: None, DEGRADED: READY}
"""How AgentRun's words put those that it does not have."""


def fields_of(entry: Entry) -> dict[str, Any]:
    """Return every field of ``entry``, in snake_case, None where it has nothing to say.

    Of one whose record cannot be read, that are its name, how it does, and in ``status_reason`` why
    there is no more.
    """
    kind = entry.key.kind
    declaration = entry.record.spec if entry.record and entry.spec else None
    live = _live(entry)
    if declaration is None:
        known = _of_an_unread(entry)
        reasons = (_unread_reason(entry), live["status_reason"])
        live["status_reason"] = " ".join(filter(None, reasons))
    else:
        known = told_of(declaration, kind=kind)
    return {
        name: live[name] if field.source is Source.LIVE else known.get(name)
        for name, field in FIELDS[kind].items()
    }


def told_of(declaration: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
    """Return what is told of what was declared, and what follows from it.

    ``declaration`` is a fully known one, as records hold it. A part that is not declared is told as
    the spec has it; of a hosted service, the address and the names that are in force.
    """
    of = type_of(kind)
    fields = FIELDS[kind].values()
    planned = of.formula_values(declaration)
    told = {
        each.name: _declared(declaration, each.name, model=of.model)
        for each in fields
        if each.source is Source.DECLARED
    }
    told |= {each.name: planned[each.name] for each in fields if each.source is Source.PLANNED}
    if kind == MODEL_SERVICE.kind:
        if told["deployment"] is not None:
            live = {"base_url": planned["base_url"], "model_names": planned["model_names"]}
            told["provider_settings"] = {**(told["provider_settings"] or {}), **live}
    else:
        told["proxy_mode"] = mode_of(declaration)
        namespace = told["namespace"]
        told = with_services(told, lambda each: told_name(each, namespace=namespace))
    told["tags"] = own_tags(told["tags"] or {})
    for secret in of.model.secrets:
        told = _without(told, secret)
    return told


def wire_of(fields: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
    """Return ``fields`` as AgentRun's wire has them: camelCase, and statuses in its words only.

    What is None is left out, but for the status. STOPPED is no status there, DEGRADED is READY; the
    reason says so.
    """
    status, reason = status_on_the_wire(fields.get("status"), fields.get("status_reason"))
    said = {**fields, "status_reason": reason, "status": status}
    table = FIELDS[kind]
    return {
        table[name].wire if name in table else name: on_the_wire(name, value, kind=kind)
        for name, value in said.items()
        if value is not None or name == "status"
    }


def status_on_the_wire(status: str | None, reason: str | None) -> tuple[str | None, str | None]:
    """Return status and reason as AgentRun's clients can read them."""
    if status not in _ON_THE_WIRE:
        return status, reason
    why = reason or ("no replicas are declared." if status == STOPPED else "")
    return _ON_THE_WIRE[status], f"{status}: {why}".rstrip(": ")


def mode_of(declaration: Mapping[str, Any]) -> str:
    """Return the mode of a proxy, as declared, or else as AgentRun derives it."""
    endpoints = (declaration.get("proxy_config") or {}).get("endpoints") or ()
    return declaration.get("proxy_mode") or ("multi" if len(endpoints) > 1 else "single")


def _declared(declaration: Mapping[str, Any], name: str, *, model: type[BaseModel]) -> Any:
    """Return the value of a field, a part of it that is not declared as the spec has it.

    Whoever is told may change what they get.
    """
    value, default = declaration.get(name), _default(model, name)
    if isinstance(default, Mapping):
        value = merged(default, value or {})
    elif value is None:
        value = list(default) if isinstance(default, tuple) else default
    return copy.deepcopy(value)


@functools.cache
def _default(model: type[BaseModel], name: str) -> Any:
    """Return what the spec has where a field is not declared, None for what must be."""
    field = model.model_fields[name]
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return default.model_dump(mode="json", exclude_none=True)
    return str(default) if isinstance(default, StrEnum) else default


def _without(tree: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return ``tree`` without what stands at ``path``."""
    step, *rest = path
    result = dict(tree)
    for name in list(tree) if step == ANY else [step]:
        if not rest:
            result.pop(name, None)
        elif isinstance(below := tree.get(name), Mapping):
            result[name] = _without(below, tuple(rest))
    return result


def _live(entry: Entry) -> dict[str, Any]:
    service = entry.service
    times = {name: _time(getattr(service, name)) for name in _TIMES}
    return {**vars(service), "status_reason": service.status_reason or None, **times}


def _of_an_unread(entry: Entry) -> dict[str, Any]:
    """Return what is known of a resource without its declaration: what it is called."""
    of = TYPES[entry.key.kind]
    return {
        of.name_field: entry.key.name,
        of.id_field: entry.service.id,
        "namespace": entry.key.namespace,
    }


def _unread_reason(entry: Entry) -> str:
    """Return why the declaration of a resource cannot be read."""
    try:
        record = record_of(entry.primary)
    except ConflictError as error:
        return str(error)
    if record is None:
        return "It has no record of its declaration."
    problems = problems_of(record.spec, model=TYPES[entry.key.kind].model, rules=())
    told = "; ".join(map(str, problems))
    return f"Its record is not what this modelfleet can read: {told}. Upgrade modelfleet."


def _time(text: str) -> str | None:
    """Return a moment as AgentRun writes it, None for one that is not known."""
    if not text:
        return None
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
