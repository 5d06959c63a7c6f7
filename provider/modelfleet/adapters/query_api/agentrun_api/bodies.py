"""What a request of the control API asks for: its body and its parameters, read strictly.

A name that means nothing here is refused and named; nothing is dropped silently. Pure but for
receiving the body, which the guard has bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from modelfleet.adapters.query_api.agentrun_api.replies import INVALID
from modelfleet.adapters.query_api.refusal import RefusedError

DEFAULT_PAGE_SIZE: Final = 20
"""AgentRun's own."""

LARGEST_PAGE_SIZE: Final = 100
"""To tell of one resource takes a third of a millisecond, in which nobody else is answered."""

_LARGEST_PAGE_NUMBER: Final = 1_000_000_000
_MOST_DIGITS: Final = 1_000


@dataclass(frozen=True)
class Asked:
    """What a list is asked for: the values of its filters, by their names, and which page."""

    filters: Mapping[str, str]
    page_number: int
    page_size: int


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request sends.

    Raises:
        RefusedError: it is none.
    """
    text = await request.body()
    try:
        body = json.loads(
            text, object_pairs_hook=_distinct, parse_int=_whole, parse_constant=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise _invalid(f"The body is not JSON: {_short(error)}") from None
    if not isinstance(body, dict):
        raise _invalid("The body must be a JSON object")
    return body


def asked_of(request: Request, *, filters: frozenset[str]) -> Asked:
    """Return what a request asks a list for. A filter that is empty asks for nothing.

    Raises:
        RefusedError: with every parameter that is unknown, repeated or ill-formed.
    """
    known = filters | {"pageNumber", "pageSize"}
    said: dict[str, str] = {}
    problems = []
    for name, value in request.query_params.multi_items():
        if name not in known:
            problems.append(f"{name[:64]}: unknown parameter; there are {', '.join(sorted(known))}")
        elif name in said:
            problems.append(f"{name}: given more than once")
        said[name] = value
    number = _number(said.pop("pageNumber", ""), "pageNumber", 1, _LARGEST_PAGE_NUMBER, problems)
    size = _number(
        said.pop("pageSize", ""), "pageSize", DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE, problems
    )
    if problems:
        raise _invalid("; ".join(dict.fromkeys(problems)))
    return Asked({name: value for name, value in said.items() if value}, number, size)


def _number(text: str, name: str, default: int, largest: int, problems: list[str]) -> int:
    if not text:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(largest))
    if not is_number or not 1 <= int(text) <= largest:
        problems.append(f"{name}: must be a number from 1 to {largest}")
        return default
    return int(text)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    return found


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has more than {_MOST_DIGITS} digits")
    return int(digits)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _short(error: Exception) -> str:
    """Return what is wrong, and never what stands there: half of it may be secret."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]


def _invalid(message: str) -> RefusedError:
    return RefusedError(400, INVALID, f"{message}.")
