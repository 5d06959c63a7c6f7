"""Takes secrets out of text that others wrote: log lines, events, status messages.

Known values are replaced wherever they occur; what only looks like a secret, by the shapes that
inference engines and model hubs are known to print. Pure. A guess that hides too much costs a word
of a message, one that hides too little costs a key.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

MASK: Final = "***"

_SHORTEST_VALUE: Final = 4
"""Shorter values would be found in every other word."""

_NAMES: Final = r"(?:api[_-]?key|token|secret|password|passwd|credential)(?![a-z])"
_VALUE: Final = r"[\[('\"]*)[^\s'\",)\]]+"
_SHAPES: Final = (
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+(?=@)"), rf"\1{MASK}"),
    (re.compile(r"\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{MASK}"),
    # HF_TOKEN=VALUE, 'api_key': ['VALUE', … and, only as an option, --api-key VALUE: elsewhere what
    # follows the word is what the sentence is about (secret "hf-token" not found).
    (re.compile(rf"({_NAMES}[\w-]{{0,40}}['\"]?\s*[:=]\s*{_VALUE}", re.IGNORECASE), rf"\1{MASK}"),
    (
        re.compile(rf"((?<![\w-])--[\w-]{{0,40}}?{_NAMES}[\w-]{{0,40}}\s+{_VALUE}", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"\b(?:hf_|sk-|nvapi-|gh[pousr]_|glpat-|xox[abp]-)[\w-]{8,}|\bAKIA[0-9A-Z]{16}\b"
        ),
        MASK,
    ),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), MASK),
)


def masked(text: str, secrets: Collection[str] = ()) -> str:
    """Return what others wrote without the values of ``secrets`` and what looks like one."""
    return without_lookalikes(without_values(text, secrets))


def without_values(text: str, secrets: Collection[str]) -> str:
    """Return ``text`` without the values of ``secrets``, which is safe for our own sentences, too.

    A value that was cut short, which an ellipsis shows, is found as well.
    """
    # The longest first: one value may be the beginning of another.
    for value in sorted(secrets, key=len, reverse=True):
        if len(value) >= _SHORTEST_VALUE:
            text = text.replace(value, MASK)
            for length in range(len(value) - 1, _SHORTEST_VALUE - 1, -1):
                text = text.replace(f"{value[:length]}…", f"{MASK}…")
                text = text.replace(f"…{value[-length:]}", f"…{MASK}")
    return text


def without_lookalikes(text: str) -> str:
    """Return what others wrote without what looks like a secret.

    Not for sentences of ours: in "Pod bad-secret-0: cannot start" it would take "cannot" for one.
    """
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text
