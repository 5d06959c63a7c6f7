"""What runs here, kept as annotations: the spec of a resource on its primary object.

With records a cluster alone can answer what was declared, by whom, and in which creation. The
format carries its own version; a record of a newer one is never guessed at. Pure; holds no secrets,
which is the duty of whoever hands in the spec.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.objects import Object, ref_of
from modelfleet.errors import ConflictError, Problem, SpecError

VERSION: Final = 1
"""Version of the JSON in the record annotation; raise it when a reader of today would misread."""


@dataclass(frozen=True)
class Record:
    """One resource as it was declared when last applied.

    ``kind``, ``name`` and ``namespace`` are the resource's, ``urn`` its address in the program
    that declared it ("" outside of Pulumi). ``incarnation`` names this creation of it,
    ``cluster_uid`` the cluster. ``spec`` is the declaration without secrets, in the form that
    ``schema_version`` had, rendered by ``renderer_version``.
    """

    kind: str
    name: str
    namespace: str
    owner: str
    urn: str
    incarnation: str
    cluster_uid: str
    spec: Mapping[str, Any]
    schema_version: int
    renderer_version: int

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def record_annotations(record: Record) -> dict[str, str]:
    """Return the annotations of the primary object that hold ``record``."""
    content = {
        "v": VERSION,
        "cluster_uid": record.cluster_uid,
        "incarnation": record.incarnation,
        "schema_version": record.schema_version,
        "renderer_version": record.renderer_version,
        "spec": record.spec,
    }
    return {
        labels.OWNER: record.owner,
        labels.INCARNATION: record.incarnation,
        **({labels.URN: record.urn} if record.urn else {}),
        labels.RECORD: json.dumps(content, sort_keys=True, separators=(",", ":")),
    }


def is_recorded(live: Object) -> bool:
    """Say whether an object carries a record: whether it stands for a resource."""
    return labels.RECORD in (live["metadata"].get("annotations") or {})


def record_of(live: Object) -> Record | None:
    """Return the record on an object, None where it carries none.

    Raises ConflictError for a record that this version cannot read: made by a newer modelfleet, or
    edited by hand.
    """
    metadata = live["metadata"]
    found = metadata.get("annotations") or {}
    text = found.get(labels.RECORD)
    if text is None:
        return None
    content = _content(live, text)
    resource = metadata.get("labels") or {}
    try:
        return Record(
            kind=resource[labels.KIND],
            name=resource[labels.NAME],
            namespace=metadata["namespace"],
            owner=found[labels.OWNER],
            urn=found.get(labels.URN, ""),
            incarnation=content["incarnation"],
            cluster_uid=content["cluster_uid"],
            spec=dict(content["spec"]),
            schema_version=int(content["schema_version"]),
            renderer_version=int(content["renderer_version"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(live, f"{error} is missing or wrong") from None


def refuse_newer(live: Object, *, schema_version: int, renderer_version: int) -> None:
    """Raise ConflictError where a newer modelfleet wrote the record on an object.

    That is: where its declaration has a form, or its pods were made by a renderer, later than those
    given. A record that was spoilt by hand says nothing of that.
    """
    text = (live["metadata"].get("annotations") or {}).get(labels.RECORD, "")
    known = {"v": VERSION, "schema_version": schema_version, "renderer_version": renderer_version}
    try:
        content = json.loads(text)
        found = {name: int(content[name]) for name in known}
    except (KeyError, TypeError, ValueError):
        return
    for name, version in found.items():
        if version > known[name]:
            raise _newer(live, name, version=version, known=known[name])


def recorded_spec(live: Object) -> Mapping[str, Any] | None:
    """Return the declaration in the record of an object, None where it cannot be read.

    For overviews, which one object that somebody has spoilt must not keep from being shown.
    """
    try:
        record = record_of(live)
    except ConflictError:
        return None
    return record.spec if record else None


def refuse_too_large(subject: str, found: Mapping[str, str]) -> None:
    """Raise SpecError where annotations are larger than Kubernetes takes, before it is asked."""
    size_bytes = sum(len(key.encode()) + len(value.encode()) for key, value in found.items())
    if size_bytes > labels.ANNOTATIONS_LIMIT_BYTES:
        raise SpecError(
            subject,
            [
                Problem(
                    "",
                    f"the declaration is too large: with it the annotations take {size_bytes:,} "
                    f"bytes, Kubernetes allows {labels.ANNOTATIONS_LIMIT_BYTES:,}; shorten what is "
                    "long in it, such as env, args or pod_overrides",
                )
            ],
        )


def _content(live: Object, text: str) -> dict[str, Any]:
    """Return the JSON of a record of a version that is known here."""
    try:
        content = json.loads(text)
        version = int(content["v"])
    except (ValueError, KeyError, TypeError):
        raise _broken(live, "it is not the JSON that modelfleet writes") from None
    if version > VERSION:
        raise _newer(live, "v", version=version, known=VERSION)
    return dict(content)


def _newer(live: Object, name: str, *, version: int, known: int) -> ConflictError:
    what = "version" if name == "v" else name.replace("_", " ")
    return ConflictError(
        str(ref_of(live)),
        f"its record has {what} {version}, this modelfleet reads up to {known}: it was made by a "
        "newer one",
        hint="Upgrade modelfleet.",
    )


def _broken(live: Object, reason: str) -> ConflictError:
    return ConflictError(
        str(ref_of(live)),
        f"its annotation {labels.RECORD} cannot be read: {reason}",
        hint="It was edited by hand; run `pulumi up` of its stack to write it anew, or restore it.",
    )
