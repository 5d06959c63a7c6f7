"""Reads the options of llama.cpp's server out of its source, ``common/arg.cpp``.

``python -m modelfleet.codegen.llama_cpp_options BUILD DATE arg.cpp`` prints the text of
``engines/tables/llama_cpp.py``; pipe it through the formatter. The source adds its options one by
one (``add_opt(common_arg({"-x", "--xx"}, …).set_examples({…}).set_env("…"))``): names, what
follows them, the handler that takes it, the programs that know them. Nothing is compiled.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

PROGRAM: Final = "LLAMA_EXAMPLE_SERVER"
EVERY_PROGRAM: Final = "LLAMA_EXAMPLE_COMMON"

_COMMENT: Final = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_REMOVED: Final = re.compile(r'"the argument has been removed\. ([^"]*)"')
_CALL: Final = "add_opt(common_arg("
_STRINGS: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NAMES: Final = re.compile(r"\s*\{([^{}]*)\}\s*,")
_HINT: Final = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*,')
_HANDLER: Final = re.compile(r"\[[^\[\]]*\]\s*\(\s*common_params\s*&\s*\w*\s*(?:,([^)]*))?\)")
_CHOICE: Final = re.compile(r"[\[{<]([a-z0-9_-]+(?:[|,][a-z0-9_-]+)+)[\]}>]")
_CACHE_TYPES: Final = re.compile(r"kv_cache_types = \{([^}]*)\}")


@dataclass(frozen=True)
class FoundOption:
    """One option as the source has it: all names without dashes, long ones first.

    ``takes`` is a member of ``Takes`` by name, ``words`` the values its help enumerates, ``env``
    the variable that sets it. ``instead`` is the program's advice where it still knows
    an option only to end with it.
    """

    names: tuple[str, ...]
    shorts: tuple[str, ...]
    takes: str
    words: tuple[str, ...] = ()
    pair: bool = False
    env: str | None = None
    instead: str | None = None


def options_in(source: str) -> Iterator[FoundOption]:
    """Yield the options of the server, in the order of ``source``, the text of arg.cpp."""
    source = _COMMENT.sub(lambda match: match[1] or " ", source)
    seen: set[str] = set()
    types = _CACHE_TYPES.search(source)
    cache_types = re.findall(r"GGML_TYPE_(\w+)", types[1]) if types else []
    for text in _calls(source):
        names = _NAMES.match(text)
        if names is None or ".set_preset_only()" in text or not _is_of_the_server(text):
            continue
        found = _option(_STRINGS.findall(names[1]), text[names.end() :])
        if "kv_cache_type_from_str(value)" in text:
            found = replace(found, words=tuple(each.lower() for each in cache_types))
        if found.names and found.names[0] not in seen:
            seen.update(found.names)
            yield found


def _calls(source: str) -> Iterator[str]:
    """Yield what stands between the parentheses of each call that adds an option."""
    at = source.find(_CALL)
    while at >= 0:
        begin = at + len(_CALL)
        yield source[begin : _end_of_statement(source, begin)]
        at = source.find(_CALL, begin)


def _end_of_statement(source: str, begin: int) -> int:
    """Return where the call that encloses ``begin`` ends; text in quotes does not count."""
    depth, at = 2, begin
    while depth:
        char = source[at]
        if char == '"':
            quoted = _STRINGS.match(source, at)
            at = quoted.end() if quoted else at + 1
            continue
        depth += (char == "(") - (char == ")")
        at += 1
    return at


def _is_of_the_server(text: str) -> bool:
    programs = re.search(r"\.set_examples\(\{([^}]*)\}\)", text)
    excluded = re.search(r"\.set_excludes\(\{([^}]*)\}\)", text)
    known = programs[1] if programs else EVERY_PROGRAM
    return (PROGRAM in known or EVERY_PROGRAM in known) and not (
        excluded and PROGRAM in excluded[1]
    )


def _option(words: list[str], rest: str) -> FoundOption:
    opposite = _NAMES.match(rest)
    hint = _HINT.match(rest)
    # A text right after the names is a hint only where another text, the help, follows it.
    after = rest[hint.end() :].lstrip() if hint else ""
    has_hint = hint is not None and not after.startswith("[")
    handler = _HANDLER.search(rest)
    value = (handler[1] or "") if handler else ""
    env = re.search(r'\.set_env\("([^"]+)"\)', rest)
    takes = "SWITCH" if opposite else _kind(value, body=rest)
    choice = _CHOICE.fullmatch(hint[1]) if hint and has_hint and takes == "TEXT" else None
    removed = _REMOVED.search(rest)
    negated = _STRINGS.findall(opposite[1]) if opposite else []
    return FoundOption(
        names=tuple(word[2:] for word in words if word.startswith("--")),
        shorts=tuple(word[1:] for word in (*words, *negated) if re.match(r"-[^-]", word)),
        takes=takes,
        words=tuple(re.split(r"[|,]", choice[1])) if choice else (),
        pair=value.count("std::string") > 1,
        env=env[1] if env else None,
        instead=removed[1] if removed else None,
    )


def _kind(value: str, *, body: str) -> str:
    """Return what an option takes whose handler has the parameter ``value`` in its ``body``."""
    if not value:
        return "NOTHING"
    if re.search(r"\bint\b", value):
        return "INTEGER"
    if "value ==" in body:
        return "TEXT"
    if re.search(r"std::sto(f|d)\(value\)", body):
        return "NUMBER"
    return "INTEGER" if re.search(r"std::sto(i|ul|l|ull)\(value\)", body) else "TEXT"


def table_text(found: list[FoundOption], *, build: str, date: str) -> str:
    """Return the text of the module that holds ``found``, the options of ``build``."""
    lines = [
        f'"""The options of llama.cpp\'s server, build {build}.',
        "",
        f"Read on {date} from common/arg.cpp of that build by",
        "``modelfleet.codegen.llama_cpp_options``. Data.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        "from modelfleet.engines.options import Option, Several, Takes",
        "",
        "OPTIONS: Final = (",
        *(f"    {_option_text(option)}," for option in found if not option.instead),
        ")",
        "",
        "GONE: Final = {",
        *(
            f'    "{name}": "{option.instead}",'
            for option in found
            if option.instead
            for name in option.names
        ),
        "}",
        '"""Names that the server knows only to end with what it says here."""',
        "",
        "VARIABLES: Final = {",
        *(
            f'    "{each.env}": "{each.names[0]}",'
            for each in found
            if each.env and not each.instead
        ),
        "}",
        '"""The environment variables that set an option, and which."""',
    ]
    return "\n".join(lines) + "\n"


def _option_text(option: FoundOption) -> str:
    parts = [f'"{option.names[0]}"']
    if option.takes != "TEXT":
        parts.append(f"Takes.{option.takes}")
    if option.words:
        parts.append(f"words={option.words!r}")
    if option.pair:
        parts.append("several=Several.TOGETHER")
    if option.names[1:]:
        parts.append(f"aliases={option.names[1:]!r}")
    if option.shorts:
        parts.append(f"shorts={option.shorts!r}")
    return f"Option({', '.join(parts)})"


def main(arguments: list[str]) -> int:
    """Print the table of the build and date given, read from the file given."""
    build, date, path = arguments
    source = Path(path).read_text("utf-8")
    print(table_text(list(options_in(source)), build=build, date=date), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
