"""What a namespace allows: refusals by its ResourceQuota or LimitRange, and what would satisfy it.

The API server tells numbers; a person wants to know which resource is short, by how much, and which
declared field or which object to change. Pure: one message in.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from modelfleet.cluster.managed_fields import quantity
from modelfleet.cluster.neighbours import called
from modelfleet.cluster.reasons import FieldNames

_EXCEEDED: Final = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>\S+), used: (?P<used>\S+), "
    r"limited: (?P<limited>[^\s;]+)"
)
_UNSPECIFIED: Final = re.compile(
    r"failed quota: (?P<name>[^:,\s]+): must specify (?P<what>[^\s:]+)"
)
_OUT_OF_RANGE: Final = re.compile(
    r"(?:(maximum|minimum) (?P<resource>\S+) usage|(?P<ratio>\S+) max limit to request ratio) "
    r"per \w+ is [^\s,]*\d[^\s,.]*(?:, but (?:the )?[a-z ]+ is [^\s,\]]+)?"
)
_MI, _GI = Decimal(2**20), Decimal(2**30)


@dataclass(frozen=True)
class Allowance:
    """Why a namespace has no room: in words without a full stop, the declared field, and a hint.

    ``may_grow``: room comes by itself when something else of the namespace ends.
    """

    text: str
    field: str
    hint: str
    may_grow: bool


def allowance(message: str, *, fields: FieldNames | None = None) -> Allowance | None:
    """Return what the API server's ``message`` says of a quota or a range, None where nothing."""
    fields = fields or FieldNames()
    if exceeded := _EXCEEDED.search(message):
        return _exceeded(exceeded, fields)
    if unspecified := _UNSPECIFIED.search(message):
        return _unspecified(unspecified["name"], unspecified["what"], fields)
    if out := _OUT_OF_RANGE.search(message):
        field = _field(out["resource"] or out["ratio"], fields)
        hint = f"Change {field}, or the {called('LimitRange')} of the namespace."
        return Allowance(f"a LimitRange of the namespace: {out[0]}", field, hint, may_grow=False)
    return None


def _exceeded(message: re.Match[str], fields: FieldNames) -> Allowance:
    requested, used, limited = (
        _amounts(message[part]) for part in ("requested", "used", "limited")
    )
    short = {
        resource: asked + used.get(resource, Decimal(0)) - limited[resource]
        for resource, asked in requested.items()
        if resource in limited
    }
    missing = {resource: amount for resource, amount in short.items() if amount > 0}
    told = " and ".join(_amount(resource, amount) for resource, amount in missing.items())
    wanted = dict.fromkeys([*(_field(resource, fields) for resource in missing), fields.replicas])
    numbers = message[0].split(", ", 1)[1]
    return Allowance(
        text=f"ResourceQuota {message['name']} is short of {told or 'room'} ({numbers})",
        field=next(iter(wanted)),
        hint=f"Lower {' or '.join(wanted)}, or raise {' and '.join(missing) or 'the limit'} of "
        f"{called('ResourceQuota', message['name'])}.",
        may_grow=True,
    )


def _unspecified(name: str, resources: str, fields: FieldNames) -> Allowance:
    """Return what to do about a quota that counts what the pods do not say."""
    wanted = resources.split(",")
    # Limits of CPU slow inference down without need, so no field declares one.
    field = fields.pod_overrides if "limits.cpu" in wanted else _field(wanted[0], fields)
    return Allowance(
        text=f"ResourceQuota {name} counts {' and '.join(wanted)}, which the pods do not specify",
        field=field,
        hint=f"Declare it in {field}, give it a default with a {called('LimitRange')}, or take it "
        f"out of {called('ResourceQuota', name)}.",
        may_grow=False,
    )


def _field(resource: str, fields: FieldNames) -> str:
    """Return the declared field that decides how much of ``resource`` is asked for."""
    if resource.startswith("count/"):
        return fields.replicas
    for part, field in (
        ("storage", fields.storage),
        ("persistentvolumeclaims", fields.storage),
        ("memory", fields.memory),
        ("cpu", fields.cpu),
        ("/", fields.gpu_count),
    ):
        if part in resource:
            return field
    return fields.replicas


def _amounts(text: str) -> dict[str, Decimal]:
    """Return the amounts of ``a=1,b=2Gi`` by resource, as far as they are numbers."""
    pairs = (part.partition("=") for part in text.split(","))
    found = {resource: quantity(amount) for resource, _, amount in pairs}
    return {resource: amount for resource, amount in found.items() if amount is not None}


def _amount(resource: str, amount: Decimal) -> str:
    if "memory" in resource or resource.endswith("storage"):
        in_gib = amount % _GI == 0
        return (
            f"{math.ceil(amount / (_GI if in_gib else _MI))}{'Gi' if in_gib else 'Mi'} {resource}"
        )
    if "cpu" in resource and amount % 1:
        return f"{math.ceil(amount * 1000)}m {resource}"
    return f"{math.ceil(amount)} {resource}"
