"""What others wrote in a status or an event, made fit to be told: in one line, what tells most.

Errors of container runtimes and kubelets are wrapped once by every layer that they pass through;
what happened stands at their end. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from modelfleet.cluster.masking import without_lookalikes
from modelfleet.cluster.neighbours import RESOURCES

_TEXT_LIMIT: Final = 300

_WRAPPING: Final = re.compile(
    r"""
    Error | unknown | rpc[ ]error:[ ]code[ ]=[ ]\w+[ ]desc[ ]=.*? (?=[ ]failed|[ ]Error|$)
    | (?:OCI[ ]runtime|runc|crun)[ ]\w+[ ]failed | unable[ ]to[ ]start[ ]container[ ]process
    | error[ ]during[ ]container[ ]init
    | [Ff]ailed[ ]to[ ](?:
        create[ ]containerd[ ]task | create[ ]shim(?:[ ]task)? | start[ ]container(?:[ ]"[^"]*")?
        | pull(?:[ ]and[ ]unpack)?[ ]image(?:[ ]"[^"]*")? | resolve[ ]reference(?:[ ]"[^"]*")?
        | resolve[ ]image | do[ ]request | create[ ]pod[ ]sandbox | copy
      )
    | (?:Head|Get)[ ]"?https?://[^"\s]*"?
    """,
    re.VERBOSE,
)
_CODE: Final = re.compile(r"rpc error: code = \w+ desc = ")

_MISSING: Final = re.compile(
    r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found|'
    r"couldn't find key (?P<key>\S+) in (?P<of>Secret|ConfigMap) [^/\s]+/(?P<holder>\S+)"
)


@dataclass(frozen=True)
class MissingConfig:
    """A Secret or ConfigMap that is not there, or lacks a key; ``told`` in words for a hint."""

    name: str
    told: str


def short(text: str) -> str:
    """Return what others wrote as one line, not longer than a sentence may be.

    What looks like a secret goes first: cut in the middle, it would no longer be recognised.
    """
    line = without_lookalikes(" ".join(text.split()))
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"


def telling(text: str) -> str:
    """Return the end of an error that was wrapped by every layer above it, as one line.

    Whole where no layer is known. What is still too long is cut between two of its parts.
    """
    line = without_lookalikes(_CODE.sub("", " ".join(text.split())))
    parts = line.split(": ")
    while len(parts) > 1 and _WRAPPING.fullmatch(parts[0]):
        del parts[0]
    while len(parts) > 1 and parts[-1] == "unknown":
        del parts[-1]
    whole = len(parts)
    while len(parts) > 1 and len(": ".join(parts)) > _TEXT_LIMIT:
        del parts[0]
    return short(("" if len(parts) == whole else "…") + ": ".join(parts))


def missing_config(message: str) -> MissingConfig | None:
    """Return what a kubelet's message says is missing, None where it is about something else."""
    if not (found := _MISSING.search(message)):
        return None
    kind = found["of"] or ("ConfigMap" if found["kind"] == "configmap" else "Secret")
    name = found["name"] or found["holder"]
    what = f"key {found['key']} in {kind} {name}" if found["key"] else f"{kind} {name}"
    where = f"in the same namespace ({RESOURCES[kind]} in a Pulumi program)"
    return MissingConfig(name, f"{what} {where}")
