"""Which options the releases of an engine know, and what is wrong with those a deployment gives.

An engine has one ``OptionTable``, read from the sources of its releases (``tables/``). Rules are
made from it with ``option_rules`` (what stands in ``deployment.args``) and ``word_rules`` (fields
that become an option, such as ``deployment.quantization``). What counts is ``runtime_version``,
also where ``deployment.images`` names another image: say the version that is in it.

A release newer than the newest that was read may know options that the table does not: there, only
what an earlier release has dropped is refused. Knows nothing of any one engine. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from modelfleet.engines.option_table import (
    Option,
    OptionTable,
    Several,
    Takes,
    Version,
    known_options,
    option_of,
    primaries,
    primary,
    spelled,
)
from modelfleet.engines.option_values import near, reason_of_value
from modelfleet.errors import Problem
from modelfleet.spec.rules import Problems, Rule
from modelfleet.spec.tree import dotted

__all__ = [
    "Option",
    "OptionTable",
    "Several",
    "Takes",
    "Version",
    "near",
    "option_rules",
    "primary",
    "spelled",
    "word_rules",
]

_NAME: Final = re.compile(r"[a-z0-9][-.a-z0-9_]*")


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
            option = option_of(table, name, tag=tag or table.default_tag)
            if option is None or _reason_of_derived(table, derived, name) is not None:
                continue
            if "." not in name:
                reason = reason_of_value(option, (args or {})[name], name=spelled(name))
            elif table.keyed and option.takes is Takes.JSON:
                reason = None  # any JSON value
            else:
                reason = f"{option.name} has no keys; write `{option.name}`"
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
            elif (option := option_of(table, name, tag=tag)) is not None:
                reason = reason_of_value(option, value, name=name)
                if reason is not None:
                    yield Problem(path, f"{reason} (of {table.engine} {tag})")

        return Rule(("deployment.runtime", "deployment.runtime_version", path), check)

    return tuple(of(path, name) for path, name in fields.items())


def _path(name: str) -> str:
    return dotted(("deployment", "args", name))


def _primary_with_keys(table: OptionTable, name: str) -> str:
    _, dot, keys = spelled(name).partition(".")
    return primary(table, name) + dot + keys


def _reason_of_derived(table: OptionTable, derived: Mapping[str, str], name: str) -> str | None:
    known, names = primary(table, name), primaries(table)
    if known in derived or known in names:
        return derived.get(known)
    full = (derived.get(names[each], "") for each in names if each.startswith(known))
    return next(filter(None, full), None)


def _unknown(table: OptionTable, name: str, *, tag: str) -> Iterator[Problem]:
    """Yield the problem of an option that the release of ``tag`` does not know."""
    version = table.release(tag)
    head = spelled(name).partition(".")[0]
    if version is None or table.knows(tag, head):
        return
    forms = [each for each in table.options if head in each.names]
    gone = [each.until for each in forms if each.until is not None and each.until <= version]
    later = [each.since for each in forms if each.since > version]
    full = primaries(table).get(head)
    if gone:
        instead = table.instead.get(primary(table, name), "")
        advice = f"; {instead}" if instead else near(head, known_options(table, table.last))
        reason = f"was removed in {table.engine} {table.text(max(gone))}{advice}"
    elif later:
        reason = f"is an option of {table.engine} from {table.text(min(later))} on, not of {tag}"
    elif full is not None:
        reason = f"is a short form; write `{full}`"
    elif version > table.last:
        return
    else:
        reason = f"is no option of {table.engine} {tag}{near(head, known_options(table, version))}"
    yield Problem(_path(name), reason)
