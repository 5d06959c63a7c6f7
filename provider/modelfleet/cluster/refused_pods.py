"""Why the API server does not take a pod: from the message that its ReplicaSet was given.

Built-in admission names what it misses, and so the field; a webhook's words are its author's, and
only passed on. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from modelfleet.cluster.allowances import allowance
from modelfleet.cluster.neighbours import called
from modelfleet.cluster.others_words import short
from modelfleet.cluster.reasons import Code, FieldNames, Finding, Reason

_PASSING: Final = re.compile(r"failed calling webhook|tim(ed|e) ?out|refused", re.IGNORECASE)
_ABSENT: Final = (
    (
        re.compile(r'serviceaccount "(?P<name>[^"]+)" not found'),
        "ServiceAccount",
        "service_account",
    ),
    (
        re.compile(r"no PriorityClass with name (?P<name>\S+) was"),
        "PriorityClass",
        "priority_class",
    ),
    (re.compile(r'RuntimeClass "(?P<name>[^"]+)" not found'), "RuntimeClass", "runtime_class"),
)
"""What a pod refers to and is not there: message, kind, attribute of the field names."""

_NAMED: Final = (
    (re.compile(r"service ?account", re.IGNORECASE), "service_account"),
    (re.compile(r"PriorityClass"), "priority_class"),
    (re.compile(r"RuntimeClass"), "runtime_class"),
    (re.compile(r"memory"), "memory"),
    (re.compile(r"cpu"), "cpu"),
)
"""Field by a part of the message of built-in admission."""


def refused_pod(message: str, *, fields: FieldNames, old_pods: int) -> Finding:
    """Return why a pod is not created; ``old_pods`` of the former version may be in its way."""
    if "admission webhook" in message:
        # It may name anything: none of our own words are looked for in it.
        return _passing(message) if _PASSING.search(message) else _denied(message, "")
    if allowed := allowance(message, fields=fields):
        hint = allowed.hint
        if allowed.may_grow and old_pods:
            hint += (
                f" Pods of the former version ({old_pods}) still count; {fields.strategy} can make "
                "them stop first."
            )
        code = Code.QUOTA if allowed.may_grow else Code.ADMISSION_DENIED
        text = f"No pod can be created: {allowed.text}"
        return Finding(Reason(code, text, allowed.field, hint), fatal=not allowed.may_grow)
    if _PASSING.search(message):
        return _passing(message)
    for pattern, kind, attribute in _ABSENT:
        if absent := pattern.search(message):
            field = getattr(fields, attribute)
            hint = f"Create {called(kind, absent['name'])}, or change {field}."
            text = f"The cluster refuses its pods: {short(message)}"
            return Finding(Reason(Code.ADMISSION_DENIED, text, field, hint), fatal=True)
    if "forbidden" not in message and "denied" not in message and "invalid" not in message:
        return Finding(Reason(Code.CREATE_FAILED, f"Pods cannot be created: {short(message)}"))
    attribute = next((name for part, name in _NAMED if part.search(message)), "")
    return _denied(message, getattr(fields, attribute) if attribute else "")


def _passing(message: str) -> Finding:
    text = f"Pods cannot be created at present: {short(message)}"
    hint = "Look into what serves that admission webhook."
    return Finding(Reason(Code.CREATE_FAILED, text, hint=hint))


def _denied(message: str, field: str) -> Finding:
    hint = f"Change {field or 'what it names'}, or ask whoever keeps that policy."
    text = f"The cluster refuses its pods: {short(message)}"
    return Finding(Reason(Code.ADMISSION_DENIED, text, field, hint), fatal=True)
