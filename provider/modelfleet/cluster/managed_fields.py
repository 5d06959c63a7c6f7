"""Who owns which field of a live object, and what an apply of ours would meet there.

The API server keeps, per writer, the set of fields it last wrote (``metadata.managedFields``).
That answers without any request what has drifted, by whose hand, and whether anything would
change. Pure; values of Secrets never leave this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from modelfleet.cluster.field_paths import (
    ABSENT,
    Fields,
    Path,
    contains,
    leaves,
    members,
    path_text,
    union,
    value_at,
)
from modelfleet.cluster.objects import Object

SECRET_VALUE: Final = "(secret)"  # noqa: S105 - what is shown in place of one


@dataclass(frozen=True, order=True)
class Manager:
    """One writer of fields: its name, ``Apply`` or ``Update``, and the subresource, if any."""

    name: str
    operation: str
    subresource: str = ""

    def __str__(self) -> str:
        return f"{self.name} (through {self.subresource})" if self.subresource else self.name


@dataclass(frozen=True)
class Taken:
    """A field we set that has another value and is no longer only ours.

    ``by`` are its other owners; empty where the field was removed. ``live`` is None where there
    is nothing. Values of Secrets are masked.
    """

    path: Path
    desired: Any
    live: Any
    by: tuple[Manager, ...]

    def __str__(self) -> str:
        owners = " and ".join(str(manager) for manager in self.by)
        return f"{path_text(self.path)} (by {owners})" if owners else path_text(self.path)


def managers(live: Object) -> list[Manager]:
    """Return everybody who owns a field of ``live``."""
    return sorted({manager for manager, _ in _claims(live)})


def managers_of(live: Object, path: Path) -> list[Manager]:
    """Return the owners of the field at ``path``, or of anything in it."""
    return sorted(manager for manager, fields in _claims(live) if contains(fields, path))


def taken(desired: Object, live: Object, *, field_manager: str) -> list[Taken]:
    """Return the fields of ``desired`` that have another live value by another's hand.

    That is: which others own, or which nobody owns any more, because it was removed. Fields that
    differ because ``desired`` moved on while we own them alone are not among them.
    """
    claims = _claims(live)
    ours = _ours(field_manager)
    shape = union(fields for _, fields in claims)
    found = []
    for path, wanted in leaves(desired, shape=shape):
        current = value_at(live, path)
        if wanted == current:
            continue
        owners = [manager for manager, fields in claims if contains(fields, path)]
        others = tuple(sorted(set(owners) - {ours}))
        is_ours = ours in owners
        if (is_ours and not others) or is_same(wanted, current, path=path, is_owned=is_ours):
            continue
        current = None if current is ABSENT else current
        if _is_secret(live, path):
            wanted, current = SECRET_VALUE, current and SECRET_VALUE
        found.append(Taken(path, wanted, current, others))
    return found


def unchanged(desired: Object, live: Object, *, field_manager: str) -> bool:
    """Say whether applying ``desired`` would change nothing: neither a value nor an owner."""
    ours = union(fields for manager, fields in _claims(live) if manager == _ours(field_manager))
    wanted = dict(leaves(desired, shape=ours))
    # A field we own and no longer want would be removed: the two sets must be the same.
    return wanted.keys() == set(members(ours)) and all(
        is_same(value, value_at(live, path), path=path, is_owned=True)
        for path, value in wanted.items()
    )


def handed_over(
    live: Object, *, to: str, whose: Callable[[Manager], bool], with_metadata: bool
) -> list[dict[str, Any]]:
    """Return ``managedFields`` in which the applying manager ``to`` has what others had.

    What is not in the next apply of ``to`` is then removed, which is how an object changes hands
    without keeping parts of its former life. Without ``with_metadata`` labels, annotations and
    finalizers stay with their writers. Entries of another API version are left alone: their
    paths mean other fields.
    """
    version = live.get("apiVersion")
    kept: list[dict[str, Any]] = []
    gained: list[Fields] = []
    for entry in _entries(live):
        manager = _manager(entry)
        is_receiver = manager == _ours(to)
        if entry.get("apiVersion") != version or not (is_receiver or whose(manager)):
            kept.append(entry)
            continue
        fields = dict(entry.get("fieldsV1") or {})
        if "f:metadata" in fields and not (is_receiver or with_metadata):
            kept.append({**entry, "fieldsV1": {"f:metadata": fields.pop("f:metadata")}})
        gained.append(fields)
    receiver = {"manager": to, "operation": "Apply", "apiVersion": version}
    return [*kept, {**receiver, "fieldsType": "FieldsV1", "fieldsV1": union(gained)}]


def is_same(desired: Any, live: Any, *, path: Path, is_owned: bool) -> bool:
    """Say whether the server would store ``desired`` as it stores ``live``.

    ``is_owned``: the field is in the set the server keeps for us, so if it shows nothing there,
    it has dropped an empty value (as it does with 0, "" and false) and nobody removed it.
    """
    if live is ABSENT:
        return is_owned and not desired
    if desired == live or (desired == {} and isinstance(live, dict)):
        return True
    if isinstance(desired, dict) and isinstance(live, dict):
        # One value to the server, which adds its defaults to it all the same.
        added = live.keys() - desired.keys()
        return all(_DEFAULTS.get(key, ABSENT) == live[key] for key in added) and all(
            is_same(value, live.get(key, ABSENT), path=(*path, key), is_owned=is_owned)
            for key, value in desired.items()
        )
    if isinstance(desired, list) and isinstance(live, list):
        return len(desired) == len(live) and all(
            is_same(one, other, path=path, is_owned=is_owned)
            for one, other in zip(desired, live, strict=True)
        )
    if _QUANTITY_FIELDS.intersection(path):
        return quantity(desired) is not None and quantity(desired) == quantity(live)
    return False


def quantity(value: Any) -> Decimal | None:
    """Return the number that a Kubernetes quantity such as ``500m`` or ``16Gi`` stands for."""
    text = str(value)
    suffix = next((each for each in _SUFFIXES if text.endswith(each)), "")
    try:
        return Decimal(text.removesuffix(suffix)) * _SUFFIXES.get(suffix, Decimal(1))
    except InvalidOperation:
        return None


_DEFAULTS: Final = {"protocol": "TCP", "apiVersion": "v1", "expirationSeconds": 3600}
"""What the server adds in values it keeps whole: policy ports, field references, tokens."""

_QUANTITY_FIELDS: Final = frozenset({"limits", "requests", "sizeLimit", "hard", "capacity"})

_SUFFIXES: Final = {
    **{f"{unit}i": Decimal(1024) ** (power + 1) for power, unit in enumerate("KMGTPE")},
    **{unit: Decimal(1000) ** (power + 1) for power, unit in enumerate("kMGTPE")},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}


def _entries(live: Object) -> list[dict[str, Any]]:
    return live["metadata"].get("managedFields") or []


def _claims(live: Object) -> list[tuple[Manager, Fields]]:
    return [(_manager(entry), entry.get("fieldsV1") or {}) for entry in _entries(live)]


def _manager(entry: Mapping[str, Any]) -> Manager:
    return Manager(
        str(entry.get("manager", "")),
        str(entry.get("operation", "")),
        str(entry.get("subresource", "")),
    )


def _ours(field_manager: str) -> Manager:
    return Manager(field_manager, "Apply")


def _is_secret(live: Object, path: Path) -> bool:
    return live.get("kind") == "Secret" and path[:1] in (("data",), ("stringData",))
