"""A declaration as the text of a Python program, laid out as ``ruff format`` would. Pure.

Secrets are never printed: where one is declared, the program asks for it by the stack's
configuration.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.importing.imported import Imported
from modelfleet.spec.tree import Path

LINE_LENGTH: Final = 88
"""What formatters of Python take for a line where nobody says otherwise."""

_INDENT: Final = "    "
_FIRST: Final = ("namespace", "cluster", "adopt")


@dataclass(frozen=True)
class Code:
    """An expression that stands in a program as it is."""

    text: str


def program_of(imported: Imported) -> str:
    """Return a program that declares what was ``imported``, with what to know as comments."""
    secrets = dict(secret_settings(imported))
    declared = _with_code(imported.declaration, secrets)
    name = declared.pop(imported.of.name_field)
    ordered = {key: declared.pop(key) for key in _FIRST if key in declared} | declared
    arguments = [f"{_INDENT}{_text(name, 4, 1)},"]
    for key, value in ordered.items():
        text = _text(value, 4, len(key) + 2)
        arguments.append(f"{_INDENT}{key}={text},")
    kind = imported.of.kind
    ours = f"from modelfleet import {kind}"
    imports = ["import pulumi", "", ours] if secrets else [ours]
    config = [*_config(secrets), ""] if secrets else []
    body = [f"{kind}(", *arguments, ")"]
    title = f'"""{imported.source}, as modelfleet import found it."""'
    return "\n".join([title, "", *_comments(imported), *imports, "", *config, *body, ""])


def secret_settings(imported: Imported) -> Iterator[tuple[Path, str]]:
    """Yield the place of each secret of a declaration, and the setting its value comes from."""
    name = imported.name.replace("-", "_")
    settings = imported.declaration.get("provider_settings") or {}
    if "api_key" in settings:
        yield ("provider_settings", "api_key"), f"{name}_api_key"
    deployment = imported.declaration.get("deployment") or {}
    for variable in deployment.get("secret_env") or {}:
        yield ("deployment", "secret_env", variable), f"{name}_{variable.lower()}"
    for key, declared in (imported.declaration.get("api_keys") or {}).items():
        if "key" in declared:
            setting = re.sub(r"\W", "_", key).lower()
            yield ("api_keys", key, "key"), f"{name}_{setting}_key"


def _comments(imported: Imported) -> Iterator[str]:
    lines = [f"Cannot be taken over: {each}." for each in imported.obstacles]
    if imported.obstacles:
        lines.append(
            f"So this declares {imported.name}, a new service that runs the same beside it."
        )
    lines += [f"{each[:1].upper()}{each[1:]}." for each in imported.notes]
    for line in lines:
        yield from textwrap.wrap(
            line, LINE_LENGTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
    if lines:
        yield ""


def _config(secrets: Mapping[Path, str]) -> Iterator[str]:
    yield "# The values are not read from the cluster. Set each once:"
    for setting in dict.fromkeys(secrets.values()):
        yield f"#   pulumi config set --secret {setting}"
    yield "config = pulumi.Config()"


def _with_code(tree: Mapping[str, Any], secrets: Mapping[Path, str], at: Path = ()) -> Any:
    result: dict[str, Any] = {}
    for key, value in tree.items():
        path = (*at, key)
        if path in secrets:
            result[key] = Code(f'config.require_secret("{secrets[path]}")')
        elif isinstance(value, Mapping):
            result[key] = _with_code(value, secrets, path)
        else:
            result[key] = value
    return result


def _text(value: Any, indent: int, before: int) -> str:
    """Return ``value`` in a line that begins ``indent`` columns in, ``before`` columns further.

    On one line where it fits with the comma after it; else an item to a line.
    """
    flat = _flat(value)
    if indent + before + len(flat) <= LINE_LENGTH:
        return flat
    inner = " " * (indent + 4)
    if isinstance(value, str) and len(parts := _parts(value, LINE_LENGTH - indent - 4)) > 1:
        return "\n".join(["(", *(f"{inner}{_quoted(each)}" for each in parts), " " * indent + ")"])
    if not _is_collection(value) or not value:
        return flat
    if isinstance(value, Mapping):
        items = [
            f"{inner}{_flat(str(key))}: {_text(item, indent + 4, len(_flat(str(key))) + 3)},"
            for key, item in value.items()
        ]
        return "\n".join(["{", *items, " " * indent + "}"])
    items = [f"{inner}{_text(item, indent + 4, 1)}," for item in value]
    return "\n".join(["[", *items, " " * indent + "]"])


def _flat(value: Any) -> str:
    if isinstance(value, Code):
        return value.text
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flat(str(k))}: {_flat(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(_flat(item) for item in value) + "]"
    return repr(value)


def _parts(text: str, width: int) -> list[str]:
    """Return ``text`` cut after spaces, so that each part fits in ``width`` with its quotes."""
    parts = [""]
    for word in re.findall(r"\S*\s+|\S+", text):
        if parts[-1] and len(_quoted(parts[-1] + word)) > width:
            parts.append("")
        parts[-1] += word
    return parts


def _quoted(text: str) -> str:
    """Return a string in double quotes, or in single ones where that needs fewer backslashes."""
    quoted = repr(text)
    if quoted.startswith('"'):
        return quoted  # it has single quotes, and no double ones
    inner = quoted[1:-1]
    doubles, singles = text.count('"'), text.count("'")
    if doubles > singles:
        return quoted
    return '"' + inner.replace("\\'", "'").replace('"', '\\"') + '"'


def _is_collection(value: Any) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str)
