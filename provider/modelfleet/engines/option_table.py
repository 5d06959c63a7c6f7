"""What the releases of an engine know: options, their names, what they take, since when.

The shape of the data in ``tables/``, and how it is looked up. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

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
        return version is None or name in known_options(self, min(version, self.last))


def spelled(name: str) -> str:
    """Return an option's name as engines read it: underscores before the first dot are dashes."""
    head, dot, rest = name.partition(".")
    return head.replace("_", "-") + dot + rest


def primary(table: OptionTable, name: str) -> str:
    """Return the name the table has for ``name``: without its keys, its ``no-``, as no alias."""
    head = spelled(name).partition(".")[0]
    return primaries(table).get(head, head)


def option_of(table: OptionTable, name: str, *, tag: str) -> Option | None:
    """Return the form that ``name`` has in the release of ``tag``; None where nobody knows."""
    version = table.release(tag)
    if version is None or version > table.last:
        return None
    return known_options(table, version).get(spelled(name).partition(".")[0])


@cache
def known_options(table: OptionTable, version: Version) -> Mapping[str, Option]:
    """Return the options of one release by each of their names with two dashes."""
    return {
        name: option for option in table.options if option.is_in(version) for name in option.names
    }


@cache
def primaries(table: OptionTable) -> Mapping[str, str]:
    """Return the table's name of everything that ever was another name for it."""
    return {
        other: option.name
        for option in table.options
        for other in (*option.shorts, *option.names)
        if other != option.name
    } | {option.name: option.name for option in table.options}
