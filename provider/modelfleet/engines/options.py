"""Which options the releases of an engine know, and what is wrong with those a deployment gives.

An engine has one ``OptionTable``, read from the sources of its releases (``tables/``). Rules are
made from it with ``option_rules`` (what stands in ``deployment.args``) and ``word_rules`` (fields
that become an option, such as ``deployment.quantization``). What counts is ``runtime_version``,
also where ``deployment.images`` names another image: say the version that is in it.

A release newer than the newest that was read may know options that the table does not: there, only
what an earlier release has dropped is refused. Knows nothing of any one engine. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final

from modelfleet.engines.launch import word
from modelfleet.errors import Problem
from modelfleet.spec.rules import Problems, Rule
from modelfleet.spec.tree import dotted

_NAME: Final = re.compile(r"[a-z0-9][-.a-z0-9_]*")

Version = tuple[int, ...]
"""Comparable parts of a release, as many as its engine's options depend on: ``(0, 30)``."""


def release_text(version: Version) -> str:
    """Return how most engines write a version: ``v0.30``."""
    return "v" + ".".join(map(str, version))


class Takes(StrEnum):
    """What follows an option on the command line."""

    NOTHING = "nothing"
    """A flag that is there or not."""
    SWITCH = "switch"
    """A flag with an opposite: ``--x`` and ``--no-x``."""
    INTEGER = "integer"
    SIZE = "size"
    """A whole number, or text that abbreviates one, such as 32k."""
    NUMBER = "number"
    TEXT = "text"
    JSON = "json"
    """JSON text."""


class Several(StrEnum):
    """How an option is given more than one value."""

    NEVER = "never"
    TOGETHER = "together"
    """``--x a b``."""
    REPEATED = "repeated"
    """``--x a --x b``."""


@dataclass(frozen=True)
class Option:
    """One option, in the releases from ``since`` up to but without ``until``.

    An option that changed has one of these for each form it had. ``words`` are the only values
    there are, any where empty. With ``optional`` the value may be left out. ``aliases`` are its
    other names, ``shorts`` those with one dash; none has its dashes.
    """

    name: str
    takes: Takes = Takes.TEXT
    words: tuple[str, ...] = ()
    several: Several = Several.NEVER
    optional: bool = False
    aliases: tuple[str, ...] = ()
    shorts: tuple[str, ...] = ()
    since: Version = ()
    until: Version | None = None

    def is_in(self, version: Version) -> bool:
        """Return whether the release ``version`` knows the option in this form."""
        return self.since <= version and (self.until is None or version < self.until)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name with two dashes."""
        names = (self.name, *self.aliases)
        opposites = [f"no-{name}" for name in names] if self.takes is Takes.SWITCH else []
        return (*names, *opposites)


@dataclass(frozen=True, eq=False)
class OptionTable:
    """The options of an engine's releases ``first`` to ``last``, as their sources say.

    ``release`` returns the version of an image tag, None for a tag that tells none; ``default_tag``
    is the one that runs where none is declared. ``instead`` says what to do where an option is
    gone, as in "use `x`"; ``text`` how people write a version. ``keyed``: JSON options can also be
    given key by key, as ``x.key``.
    """

    engine: str
    first: Version
    last: Version
    options: tuple[Option, ...]
    release: Callable[[str], Version | None]
    default_tag: str
    instead: Mapping[str, str] = field(default_factory=dict)
    text: Callable[[Version], str] = release_text
    keyed: bool = False

    def knows(self, tag: str, name: str) -> bool:
        """Return whether the release of ``tag`` has the option; True for tags that tell none."""
        version = self.release(tag)
        return version is None or name in _known(self, min(version, self.last))


def spelled(name: str) -> str:
    """Return an option's name as engines read it: underscores before the first dot are dashes."""
    head, dot, rest = name.partition(".")
    return head.replace("_", "-") + dot + rest


def primary(table: OptionTable, name: str) -> str:
    """Return the name the table has for ``name``: without its keys, its ``no-``, as no alias."""
    head = spelled(name).partition(".")[0]
    return _primaries(table).get(head, head)


def option_rules(table: OptionTable, *, derived: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return what an engine asks of ``deployment.args``.

    ``derived`` are options that may not be given there, by the table's name, and what to do
    instead. Their abbreviations are refused, too, because argument parsers complete them.
    """

    def given_to(runtime: Any, args: Mapping[str, Any] | None) -> Iterable[str]:
        # What is no name at all is the field's own problem.
        named = (name for name in args or {} if _NAME.fullmatch(name))
        return named if runtime == table.engine else ()

    def contradicts_no_field(runtime: Any, args: Mapping[str, Any] | None) -> Problems:
        for name in given_to(runtime, args):
            if (reason := _reason_of_derived(table, derived, name)) is not None:
                yield Problem(_path(name), reason)

    def is_given_once(runtime: Any, args: Mapping[str, Any] | None) -> Problems:
        first: dict[str, str] = {}
        names = [(_primary_with_keys(table, name), name) for name in given_to(runtime, args)]
        for same, name in sorted(names, key=lambda pair: (pair[0] != pair[1], pair)):
            if first.setdefault(same, name) != name:
                yield Problem(_path(name), f"is the same option as {first[same]}")

    def is_known(runtime: Any, tag: str | None, args: Mapping[str, Any] | None) -> Problems:
        for name in given_to(runtime, args):
            if _reason_of_derived(table, derived, name) is None:
                yield from _unknown(table, name, tag=tag or table.default_tag)

    def has_a_fitting_value(
        runtime: Any, tag: str | None, args: Mapping[str, Any] | None
    ) -> Problems:
        for name in given_to(runtime, args):
            option = _option_of(table, name, tag=tag or table.default_tag)
            if option is None or _reason_of_derived(table, derived, name) is not None:
                continue
            key = name.partition(".")[2]
            if key and not (table.keyed and option.takes is Takes.JSON):
                reason: str | None = f"{option.name} has no keys; write `{option.name}`"
            elif key:
                reason = None
            else:
                reason = _reason_of_value(option, (args or {})[name], name=spelled(name))
            if reason is not None:
                yield Problem(_path(name), reason)

    runtime, version, args = "deployment.runtime", "deployment.runtime_version", "deployment.args"
    return (
        Rule((runtime, args), contradicts_no_field, names_only=True),
        Rule((runtime, args), is_given_once, names_only=True),
        Rule((runtime, version, args), is_known, names_only=True),
        Rule((runtime, version, args), has_a_fitting_value),
    )


def word_rules(table: OptionTable, *, fields: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return rules that hold ``fields``, by dotted path, against the options they become."""

    def of(path: str, name: str) -> Rule:
        def check(runtime: Any, declared_tag: str | None, value: Any) -> Problems:
            if runtime != table.engine or value is None:
                return
            tag = declared_tag or table.default_tag
            if not table.knows(tag, name):
                yield Problem(path, f"has no option in {table.engine} {tag}; leave it out")
            elif (option := _option_of(table, name, tag=tag)) is not None:
                reason = _reason_of_value(option, value, name=name)
                if reason is not None:
                    yield Problem(path, f"{reason} (of {table.engine} {tag})")

        return Rule(("deployment.runtime", "deployment.runtime_version", path), check)

    return tuple(of(path, name) for path, name in fields.items())


def near(word: str, words: Iterable[str]) -> str:
    """Return ``; did you mean `x`?`` for the nearest of ``words``, empty where none is near."""
    found = difflib.get_close_matches(word, sorted(words), n=1)
    return f"; did you mean `{found[0]}`?" if found else ""


def _path(name: str) -> str:
    return dotted(("deployment", "args", name))


@cache
def _known(table: OptionTable, version: Version) -> Mapping[str, Option]:
    """Return the options of one release by each of their names with two dashes."""
    return {
        name: option for option in table.options if option.is_in(version) for name in option.names
    }


@cache
def _primaries(table: OptionTable) -> Mapping[str, str]:
    """Return the table's name of everything that ever was another name for it."""
    return {
        other: option.name
        for option in table.options
        for other in (*option.shorts, *option.names)
        if other != option.name
    } | {option.name: option.name for option in table.options}


def _primary_with_keys(table: OptionTable, name: str) -> str:
    _, dot, keys = spelled(name).partition(".")
    return primary(table, name) + dot + keys


def _reason_of_derived(table: OptionTable, derived: Mapping[str, str], name: str) -> str | None:
    known, primaries = primary(table, name), _primaries(table)
    if known in derived or known in primaries:
        return derived.get(known)
    full = (derived.get(primaries[each], "") for each in primaries if each.startswith(known))
    return next(filter(None, full), None)


def _option_of(table: OptionTable, name: str, *, tag: str) -> Option | None:
    """Return the form that ``name`` has in the release of ``tag``; None where nobody knows."""
    version = table.release(tag)
    if version is None or version > table.last:
        return None
    return _known(table, version).get(spelled(name).partition(".")[0])


def _unknown(table: OptionTable, name: str, *, tag: str) -> Iterator[Problem]:
    """Yield the problem of an option that the release of ``tag`` does not know."""
    version = table.release(tag)
    head = spelled(name).partition(".")[0]
    if version is None or table.knows(tag, head):
        return
    forms = [each for each in table.options if head in each.names]
    gone = [each.until for each in forms if each.until is not None and each.until <= version]
    later = [each.since for each in forms if each.since > version]
    full = _primaries(table).get(head)
    if gone:
        instead = table.instead.get(primary(table, name), "")
        advice = f"; {instead}" if instead else near(head, _known(table, table.last))
        reason = f"was removed in {table.engine} {table.text(max(gone))}{advice}"
    elif later:
        reason = f"is an option of {table.engine} from {table.text(min(later))} on, not of {tag}"
    elif full is not None:
        reason = f"is a short form; write `{full}`"
    elif version > table.last:
        return
    else:
        reason = f"is no option of {table.engine} {tag}{near(head, _known(table, version))}"
    yield Problem(_path(name), reason)


def _reason_of_value(option: Option, value: Any, *, name: str) -> str | None:
    """Return what is wrong with the ``value`` of ``option``, given under ``name``."""
    if option.takes in _FLAGS:
        return _reason_of_flag(option, value, name=name)
    if isinstance(value, list | tuple):
        if option.several is Several.NEVER:
            return "takes one value, not a list"
        reasons = (_reason_of_word(option, each) for each in value)
        return next((reason for reason in reasons if reason is not None), None)
    if value is True and option.optional:
        return None
    return _reason_of_word(option, value)


_FLAGS: Final = (Takes.NOTHING, Takes.SWITCH)


def _reason_of_flag(option: Option, value: Any, *, name: str) -> str | None:
    if name == option.name and option.takes is Takes.SWITCH:
        return None if isinstance(value, bool) else "is a flag: must be true or false"
    return None if value is True else "is a flag: must be true, or be left out"


def _reason_of_word(option: Option, value: Any) -> str | None:
    if isinstance(value, bool) and word(value) not in option.words:
        return f"needs a value, not {word(value)}"
    if option.words and word(value) not in option.words:
        return f"must be one of {', '.join(option.words)}{near(word(value), option.words)}"
    if option.takes is Takes.INTEGER and not _is_number(value, int):
        return "must be a whole number"
    if option.takes is Takes.NUMBER and not _is_number(value, float):
        return "must be a number"
    return None


def _is_number(value: Any, kind: type[int] | type[float]) -> bool:
    try:
        kind(word(value))
    except ValueError:
        return False
    return True
