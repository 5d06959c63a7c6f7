"""What ``pulumi`` printed, made the same on every machine and on every run.

Pure. A transcript keeps what a person reads: the last word about each resource, the diagnostics,
the totals. It drops progress and durations, sorts what the engine does side by side, and puts
placeholders where addresses, times, versions and random names stood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

_OPERATION = re.compile(r"^(?:Previewing|Updating|Refreshing|Destroying|Importing)\b.* \(.+\):$")
_ROW = re.compile(r"^[ +~<>=-]{2,5}(?P<type>[\w-]+:\S+:\S+) (?P<name>\S+)(?: .*)?$")
_SECTION = re.compile(r"^[A-Z]\w+:$")
_BLOCK = re.compile(r"^  \S+ \(.*\):$")
_PROGRESS = re.compile(r"^@ \w.*\.{2,}$")
_REPLACEMENT = ("", "++", "+-", "--")  # steps of one replacement, each with rows of its own
_DURATION = re.compile(r" ?\(\d+(?:\.\d+)?s\)")
_WAITED = re.compile(r"(; | )(?:waiting: .*|waited \d+ s)$")
_DROPPED = re.compile(r"^(Duration: |View Live: |View in Browser)")

_POD_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes makes random names of
_PLACEHOLDERS: Mapping[str, str] = {
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "<uuid>",
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?": "<time>",
    r"\b127\.0\.0\.1:\d+": "127.0.0.1:<port>",
    rf"\b([a-z][\w-]*)-[{_POD_ALPHABET}]{{6,10}}-[{_POD_ALPHABET}]{{5}}\b": r"\1-<pod>",
    r"\b(sha256:)?[0-9a-f]{12,64}\b": "<hash>",
    r"\bv?3\.\d{3}\.\d+\b": "<pulumi version>",
    r"  AGE +(?=\S)": "  AGE    ",  # as wide as what stands for an age
    r"  \d+[smhd] +(?=\S)": "  <age>  ",
}


def normalised(text: str, *, paths: Mapping[str, str]) -> str:
    """Return ``text`` without what differs between runs; ``paths`` maps folders to placeholders."""
    for path, placeholder in sorted(paths.items(), key=lambda item: -len(item[0])):
        text = text.replace(path, placeholder)
    lines = [_DURATION.sub("", line).rstrip() for line in text.splitlines()]
    kept = [line for line in lines if not _PROGRESS.match(line) and not _DROPPED.match(line)]
    ordered = [line for operation in _operations(kept) for line in _ordered(operation)]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(ordered)).strip("\n")
    for pattern, placeholder in _PLACEHOLDERS.items():
        text = re.sub(pattern, placeholder, text)
    return text + "\n" if text else ""


def _operations(lines: Sequence[str]) -> list[Sequence[str]]:
    starts = [number for number, line in enumerate(lines) if _OPERATION.match(line)]
    edges = [0, *starts, len(lines)]
    return [lines[start:end] for start, end in pairwise(edges)]


def _ordered(operation: Sequence[str]) -> list[str]:
    """Return one preview or update with its rows and diagnostics in an order of their own."""
    sections = [number for number, line in enumerate(operation) if _SECTION.match(line)]
    edges = [*sections, len(operation)]
    said = _last_words(operation)
    result = [_said(row, said) for row in _last_rows(operation[: edges[0]])]
    for start, end in pairwise(edges):
        section = operation[start:end]
        result += _sorted_blocks(section) if section[0] == "Diagnostics:" else section
    return result


def _last_rows(lines: Sequence[str]) -> list[str]:
    rows: dict[tuple[bool, str, str, int], str] = {}
    others: list[str] = []
    for line in lines:
        if match := _ROW.match(line):
            step = _REPLACEMENT.index(line.split()[0]) if line.split()[0] in _REPLACEMENT else 0
            key = (match["type"] != "pulumi:pulumi:Stack", match["type"], match["name"], step)
            if rows.get(key, "").startswith(" - ") and not line.startswith(" - "):
                continue  # a bare row of the stack, before or after that of its deletion
            rows[key] = line.removesuffix(";")
            if step:
                rows.pop((*key[:-1], 0), None)  # what was said before the steps began
        elif line or not rows:
            others.append(line)
    return [*others, *(rows[key] for key in sorted(rows))]


def _said(row: str, said: Mapping[str, str]) -> str:
    """Return a row with the last message that stays in place of what it waits or waited for.

    Whether that is shown at all depends on how long a step took.
    """
    match = _ROW.match(row)
    if match is None or not _WAITED.search(row):
        return row
    last = said.get(f"{match['type']} ({match['name']})", "")
    return _WAITED.sub(lambda waited: waited[1] + last if last else "", row)


def _last_words(operation: Sequence[str]) -> dict[str, str]:
    """Return the last line of what the diagnostics say of each resource, by how they call it."""
    last: dict[str, str] = {}
    resource = ""
    for line in operation:
        if _BLOCK.match(line):
            resource = line.strip().removesuffix(":")
        elif resource and line.startswith("    "):
            last[resource] = line.strip()
        elif line:
            resource = ""
    return last


def _sorted_blocks(section: Sequence[str]) -> list[str]:
    blocks: list[list[str]] = []
    for line in section[1:]:
        if _BLOCK.match(line) or not blocks:
            blocks.append([])
        blocks[-1].append(line)
    return [section[0], *(line for block in sorted(blocks) for line in block)]
