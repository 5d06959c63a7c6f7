"""How answers are laid out for people: tables, ages, durations. Pure but for printing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import typer
from rich.console import Console, RenderableType
from rich.table import Table

WIDTH_OF_A_FILE: Final = 200
"""Columns of a table that nobody's terminal limits: in a pipe or a file a line is one service."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"(?:\d+[smhd])+")
_LARGEST_FIRST: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def print_for_people(laid_out: Callable[[int], Iterable[RenderableType]]) -> None:
    """Print what ``laid_out`` makes of a width: the terminal's, $COLUMNS, or that of a file."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=WIDTH_OF_A_FILE, highlight=False)
    for part in laid_out(console.width):
        console.print(part, markup=False, soft_wrap=isinstance(part, str))


def table_of(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    may_break: Sequence[str] = (),
    has_header: bool = True,
) -> Table:
    """Return a table without lines; only what stands in columns that ``may_break`` is broken."""
    table = Table(box=None, pad_edge=False, header_style=None, show_header=has_header)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in may_break)
    for row in rows:
        table.add_row(*row)
    return table


def width_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return how many columns of a terminal a table takes where nothing of it is broken."""
    widths = (max(map(len, cells)) for cells in zip(columns, *rows, strict=True))
    return sum(widths) + 2 * (len(columns) - 1)


def age_of(time: str, *, now: datetime) -> str:
    """Return how long ago an RFC 3339 time was, in its largest unit, as kubectl does: ``5m``.

    ``-`` where the time is not known.
    """
    try:
        seconds = max(0, int((now - datetime.fromisoformat(time)).total_seconds()))
    except ValueError:
        return "-"
    unit, size = next((each for each in _LARGEST_FIRST if seconds >= 2 * each[1]), ("s", 1))
    return f"{seconds // size}{unit}"


def seconds_in(duration: str) -> int:
    """Return the seconds of a duration such as ``90s``, ``10m`` or ``1h30m``.

    Raises:
        BadParameter: it is none.
    """
    if not _DURATION.fullmatch(duration):
        raise typer.BadParameter(f"{duration!r} is not a duration such as 90s, 10m or 1h30m.")
    return sum(int(each[:-1]) * _UNITS[each[-1]] for each in re.findall(r"\d+[smhd]", duration))
