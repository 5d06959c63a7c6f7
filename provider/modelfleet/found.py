"""A live resource beside its declaration: what others changed, and what was declared since.

Composes drift and diff over objects that were read. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from modelfleet import labels
from modelfleet.cluster.managed_fields import managers_of, taken
from modelfleet.cluster.objects import Object, Ref, ref_of
from modelfleet.cluster.records import record_of
from modelfleet.desired import Desired, refuse_newer_record
from modelfleet.diff import differences
from modelfleet.drift import drift_of
from modelfleet.errors import ConflictError
from modelfleet.resource_types import type_of
from modelfleet.service import Service
from modelfleet.spec.tree import Path


@dataclass(frozen=True)
class Found:
    """A live service beside what was asked about.

    ``drift`` tells, by declared field or object path, what others changed. ``live`` holds, by path,
    what a declaration of the service as it is would say instead: what others changed and, where a
    later run of the same owner wrote it, what that declared. None stands for a field that is unset.
    ``renderer_version`` is that of the last apply.
    """

    service: Service
    drift: Mapping[str, str]
    live: Mapping[Path, Any]
    renderer_version: int


def found_of(
    desired: Desired, service: Service, *, objects: Mapping[Ref, Object], cluster_uid: str
) -> Found:
    """Return what is found of ``desired`` among its live ``objects``, its primary one being there.

    What was applied last is compared, by its record and as the renderer of that time made it: after
    a refresh the state holds live values, which would not look like drift any more.

    Raises:
        ConflictError: a newer modelfleet wrote the record.
    """
    applied = _applied(objects[desired.primary_ref], otherwise=desired)
    kept = desired.kept_in(objects.get(desired.keeper_ref))
    expected = applied.objects(cluster_uid=cluster_uid, kept=kept)
    declaration = desired.of.record_spec_of(applied.spec)
    drift = drift_of(
        declaration,
        of=desired.of,
        taken=[
            (ref, each)
            for obj in expected
            if (live := objects.get(ref := ref_of(obj))) is not None
            for each in taken(obj, live, field_manager=desired.ownership.field_manager)
        ],
        missing=[ref for obj in expected if (ref := ref_of(obj)) not in objects],
    )
    declared: dict[Path, Any] = {}
    if applied.spec is not desired.spec:
        since = differences(desired.of.record_spec_of(desired.spec), declaration)
        declared = {path: value for path, (_, value) in since.items()}
    return Found(
        service,
        drift=drift.sentences,
        live={**declared, **drift.live},
        renderer_version=applied.renderer_version,
    )


def declared_in(primary: Object) -> Desired:
    """Return what was declared, by the record on the primary object; its secrets are empty.

    Raises:
        ConflictError: it has no record, or one that this release cannot read.
    """
    refuse_newer_record(primary)
    record = record_of(primary)
    try:
        if record is not None:
            return Desired(
                spec=type_of(record.kind).model.model_validate(record.spec),
                owner=record.owner,
                incarnation=record.incarnation,
                renderer_version=record.renderer_version,
            )
    except ValidationError:
        pass
    raise ConflictError(
        str(ref_of(primary)),
        "has no record of its declaration that this release of modelfleet can read",
        hint="Run pulumi up of its stack to write it anew, with this release of modelfleet.",
    )


def _applied(primary: Object, *, otherwise: Desired) -> Desired:
    """Return what was applied last, ``otherwise`` where the record does not tell."""
    where = ("metadata", "annotations", labels.RECORD)
    if any(manager.operation == "Update" for manager in managers_of(primary, where)):
        return otherwise  # edited by hand, which is drift itself
    refuse_newer_record(primary)
    record = record_of(primary)
    if record is None:
        return otherwise
    applied = replace(otherwise, renderer_version=record.renderer_version)
    if record.spec == otherwise.of.record_spec_of(otherwise.spec):
        return applied
    try:
        return replace(applied, spec=otherwise.of.model.model_validate(record.spec))
    except ValidationError:
        return applied
