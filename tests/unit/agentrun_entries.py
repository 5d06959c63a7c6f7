"""Entries of the catalogue as they come of declarations: rendered, recorded, and read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelfleet import labels
from modelfleet.agentrun.scope import Scope
from modelfleet.agentrun.writes import creation_of
from modelfleet.catalogue import Entry
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import Object
from modelfleet.cluster.readiness import Outcome, Ready
from modelfleet.cluster.records import record_of
from modelfleet.resource_types import type_of
from modelfleet.service import service_of
from modelfleet.spec.validation import validated

OWNER = "org/project/prod"
IDENTITY = {"namespace": "default", "cluster": "default"}


def recorded(declaration: Mapping[str, Any], *, kind: str) -> dict[str, Any] | None:
    """Return the declaration as its record holds it, without secrets; None for a wrong one."""
    of = type_of(kind)
    result = validated({**IDENTITY, **declaration}, model=of.model)
    return None if result.spec is None else of.record_spec_of(result.spec)


def primary_of(declaration: Mapping[str, Any], *, kind: str) -> Object:
    """Return the primary object of a resource as the API server would hand it out."""
    desired = creation_of(declaration, kind=kind, scope=Scope(owner=OWNER)).desired
    primary = desired.objects(cluster_uid="uid", kept=desired.kept_in(None))[-1]
    primary["metadata"]["creationTimestamp"] = "2026-11-21T10:26:48Z"
    primary["metadata"]["uid"] = "uid-of-the-primary"
    return primary


def entry_of(
    declaration: Mapping[str, Any], *, kind: str, outcome: Outcome | None = None, **live: Any
) -> Entry:
    """Return the entry of a resource; ``live`` replaces fields of its ``service``."""
    return entry_in(primary_of(declaration, kind=kind), outcome=outcome, **live)


def entry_in(primary: Object, *, outcome: Outcome | None = None, **live: Any) -> Entry:
    """Return the entry of the resource whose primary object is ``primary``, its record readable."""
    record = record_of(primary)
    assert record is not None
    service = service_of(primary, outcome=outcome or Ready(), cluster_uid="uid", spec=record.spec)
    return Entry(
        key=Key(record.namespace, record.kind, record.name),
        service=replace(service, **live),
        spec=type_of(record.kind).model.model_validate(record.spec),
        record=record,
        primary=primary,
    )


def unreadable(entry: Entry, *, record: str | None = None) -> Entry:
    """Return ``entry`` with another text as its record, which nobody can read."""
    primary = dict(entry.primary)
    metadata = dict(primary["metadata"])
    annotations = dict(metadata["annotations"])
    if record is not None:
        annotations[labels.RECORD] = record
    primary["metadata"] = {**metadata, "annotations": annotations}
    return replace(entry, spec=None, record=None, primary=primary)
