"""What the last words of a container, and the events of its probes, say about why it is not ready.

Engines say what is wrong with a flag, a file or a port, each in its own words: those that are known
lead to a declared field, all others are only passed on. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from modelfleet import labels
from modelfleet.cluster.reasons import Code, FieldNames, Reason

LOG_LINES: Final = 8
"""How many lines are told where none of them is known to tell all."""

_LINE_LIMIT: Final = 160
_LOG_LIMIT: Final = 800

_CLOCK: Final = re.compile(
    r"^(?:(?:\d+\.)+\d+ [A-Z] +|\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\]? +)"
)
"""What loggers put in front of a line: the time, and with llama.cpp the level."""

_DENIED: Final = re.compile(r"permission denied", re.IGNORECASE)
_ABSENT: Final = re.compile(r"no such file or directory|does not exist|not found", re.IGNORECASE)
_ARGUMENT: Final = re.compile(
    r"error: (?:invalid|unknown) argument: (?P<llama_cpp>\S+)"
    r"|error while handling argument \"(?P<llama_cpp_value>[^\"]+)\""
    r"|error: unrecognized arguments: (?P<argparse>\S+)"
    r"|error: argument (?P<argparse_value>\S+): "
    r"|error: unexpected argument '(?P<clap>[^']+)' found"
    r"|unknown flag: (?P<cobra>\S+)"
)
_LISTENS: Final = re.compile(
    r"(?:listening|running|serving|started)\b.*?(?:https?://|\b)[\w.*\[\]:]*?:(?P<port>\d{2,5})\b",
    re.IGNORECASE,
)
_REFUSED: Final = re.compile(r":(?P<port>\d+): connect: connection refused")
_ANSWERED: Final = re.compile(r"probe failed with statuscode: (?P<status>4\d\d)")


def lines_of(log: str) -> list[str]:
    """Return the lines of a log that say something, each once, without the time in front."""
    told = (_CLOCK.sub("", " ".join(raw.split())) for raw in log.splitlines())
    return [*dict.fromkeys(line.strip() for line in told if line.strip())]


def quoted(lines: Sequence[str]) -> str:
    """Return the end of a log as a part of a sentence."""
    last = [_cut(line) for line in lines][-LOG_LINES:]
    while last and sum(len(line) + 3 for line in last) > _LOG_LIMIT:
        del last[0]
    return f"Last log lines: {' | '.join(last).rstrip('.')}" if last else "It left no log"


def explained(
    reason: Reason, lines: Sequence[str], probes: Sequence[str], *, fields: FieldNames
) -> Reason | None:
    """Return ``reason`` with the cause that a line of its log or a failed probe is known to tell.

    ``probes`` are the messages of events about failed probes. None where nothing is known.
    """
    if reason.code == Code.CRASH_LOOP:
        return _failed_start(reason, lines, fields)
    if reason.code == Code.PROBE_FAILING:
        return _unanswered(reason, lines, probes, fields)
    return None


def _failed_start(reason: Reason, lines: Sequence[str], fields: FieldNames) -> Reason | None:
    if reason.field != fields.args:
        return None  # an init container, a sidecar, a shell: none of them is an engine
    if reason.container == labels.GATEWAY_CONTAINER:
        return _gateway_failed(reason, lines, fields)
    if reason.container == labels.REDIS_CONTAINER:
        return _redis_failed(reason, lines, fields)
    for says, field, advise in _CAUSES:
        if line := next((line for line in lines if says(line, fields)), ""):
            name, text = field(fields), f"{reason.text}: {_cut(line)}"
            return replace(reason, text=text, field=name, hint=advise(name))
    return None


def _gateway_failed(reason: Reason, lines: Sequence[str], fields: FieldNames) -> Reason | None:
    """Return what kept a gateway from starting; a traceback says it in its last line."""
    for says, advice in _GATEWAY_CAUSES:
        if line := next((line for line in reversed(lines) if says.search(line)), ""):
            text = f"{reason.text}: {_cut(line)}"
            versions = " and ".join(dict.fromkeys((fields.image_version, fields.image)))
            hint = advice.format(image=fields.image, versions=versions)
            return replace(reason, text=text, field=fields.image, hint=hint)
    return None


def _redis_failed(reason: Reason, lines: Sequence[str], fields: FieldNames) -> Reason | None:
    """Return what kept a Redis from starting: a disk that it may not write to, or that is full."""
    if line := next((line for line in reversed(lines) if _DISK.search(line)), ""):
        field = fields.storage
        hint = f"Check {field}: its volumes must be writable for the pod's group, and have room."
        return replace(reason, text=f"{reason.text}: {_cut(line)}", field=field, hint=hint)
    return None


_DISK: Final = re.compile(r"append.?only.*(Permission denied|No space left|Read-only|I/O error)")
_GATEWAY_CAUSES: Final = (
    (
        re.compile(r"No module named|cannot import name|has no attribute"),
        "Correct {versions}: the image must have LiteLLM of a release that modelfleet knows, with "
        "all of its proxy.",
    ),
    (
        re.compile(r"gateway\.json has version"),
        "Run `pulumi up` of its stack with one release of modelfleet: its files are of two.",
    ),
    (
        re.compile(r"[Rr]ead-only file system|Permission denied"),
        "Correct {image}: it wants to write, or to be root, and may do neither.",
    ),
)
"""What to look for in a line, and what to do about that."""


_CAUSES: Final[
    tuple[
        tuple[
            Callable[[str, FieldNames], bool],
            Callable[[FieldNames], str],
            Callable[[str], str],
        ],
        ...,
    ]
] = (
    (
        lambda line, fields: fields.model_path in line and bool(_DENIED.search(line)),
        lambda fields: fields.model,
        lambda field: (
            f"Let the engine, which does not run as root, read what {field} names: its files and "
            "the folders above them must be readable by all, or by group 0."
        ),
    ),
    (
        lambda line, fields: fields.model_path in line and bool(_ABSENT.search(line)),
        lambda fields: fields.model,
        lambda field: f"Correct {field}, or put the model there: its volume has no such file.",
    ),
    (
        lambda line, _: bool(_ARGUMENT.search(line)),
        lambda fields: fields.args,
        lambda field: f"Correct {field}: the engine does not take that.",
    ),
)
"""What to look for in a line, the field it leads to, and what to do about that."""


def _unanswered(
    reason: Reason, lines: Sequence[str], probes: Sequence[str], fields: FieldNames
) -> Reason | None:
    for probe in probes:
        if answer := _ANSWERED.search(probe):
            text = f"{reason.text}: its health path answers with status {answer['status']}"
            hint = f"Correct {fields.probes}: the engine serves, but not that path."
            return replace(reason, text=text, field=fields.probes, hint=hint)
    asked = {found["port"] for probe in probes if (found := _REFUSED.search(probe))}
    used = {found["port"] for line in lines if (found := _LISTENS.search(line))}
    if not asked or (used & asked):
        return None
    port = min(asked)
    if used:
        text = f"{reason.text}: it listens on port {', '.join(sorted(used))}, and not on {port}"
        named = " or ".join(dict.fromkeys((fields.port, fields.args)))
        hint = f"Correct {named}: probes and requests go to port {port}."
        return replace(reason, text=text, field=fields.port, hint=hint)
    text = f"{reason.text}: nothing listens on port {port}"
    return replace(reason, text=text)


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_LIMIT else line[: _LINE_LIMIT - 1] + "…"
