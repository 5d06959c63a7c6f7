"""What is wrong with the value of an option, in a user's words. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from modelfleet.engines.launch import word
from modelfleet.engines.option_table import Option, Several, Takes


def reason_of_value(option: Option, value: Any, *, name: str) -> str | None:
    """Return what is wrong with the ``value`` of ``option``, given under ``name``."""
    if option.takes in (Takes.NOTHING, Takes.SWITCH):
        return _reason_of_flag(option, value, name=name)
    if isinstance(value, list | tuple):
        if option.several is Several.NEVER:
            return "takes one value, not a list"
        reasons = (_reason_of_word(option, each) for each in value)
        return next((reason for reason in reasons if reason is not None), None)
    if value is True and option.optional:
        return None
    return _reason_of_word(option, value)


def _reason_of_flag(option: Option, value: Any, *, name: str) -> str | None:
    if option.takes is Takes.SWITCH and name in (option.name, *option.aliases):
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


def near(word: str, words: Iterable[str]) -> str:
    """Return ``; did you mean `x`?`` for the nearest of ``words``, empty where none is near."""
    found = difflib.get_close_matches(word, sorted(words), n=1)
    return f"; did you mean `{found[0]}`?" if found else ""
