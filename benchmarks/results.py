"""What was measured: rows with their baselines and limits, as a table and as a file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from rich.table import Table

_TIMES = "\u00d7"


@dataclass(frozen=True)
class Row:
    """One figure at one size: services, or requests at a time.

    ``limit`` bounds the ratio where there is a ``baseline``, and the value itself where there is
    none. A row without a limit is for information.
    """

    name: str
    size: int
    value: float
    unit: str
    baseline: float | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the baseline it is."""
        return self.value / self.baseline if self.baseline else None

    @property
    def holds(self) -> bool | None:
        """Whether it is within its limit, None where there is none."""
        if self.limit is None:
            return None
        return (self.value if self.ratio is None else self.ratio) <= self.limit


def row_of(
    name: str,
    size: int,
    values: Sequence[float],
    unit: str,
    *,
    baselines: Sequence[float] = (),
    limit: float | None = None,
) -> Row:
    """Return the row of repeated measurements: their median beside that of the baseline's."""
    baseline = median(baselines) if baselines else None
    return Row(name, size, median(values), unit, baseline, limit)


def compared_across_sizes(rows: Sequence[Row], name: str) -> list[Row]:
    """Return ``rows``, those called ``name`` with the one of the smallest size as baseline.

    For figures that must not grow with the size.
    """
    first = min((row for row in rows if row.name == name), key=lambda row: row.size, default=None)
    return [
        replace(row, baseline=first.value, limit=1)
        if first is not None and row.name == name and row.size != first.size
        else row
        for row in rows
    ]


def beside_both(rows: Sequence[Row], name: str, other: str) -> list[Row]:
    """Return the rows called ``name`` once more, with the value of ``other`` added to the baseline.

    For work that consists of both: what is left beyond them is its own.
    """
    others = {row.size: row.value for row in rows if row.name == other}
    return [
        Row(f"{name}, beside floor + raw", row.size, row.value, row.unit, baseline)
        for row in rows
        if row.name == name and row.baseline is not None and row.size in others
        for baseline in [row.baseline + others[row.size]]
    ]


def document(
    rows: Sequence[Row], *, machine: Mapping[str, Any], versions: Mapping[str, str]
) -> dict[str, Any]:
    """Return what ``results.json`` holds: the rows, and on what they were measured."""
    return {
        "machine": dict(machine),
        "versions": dict(versions),
        "results": [{**asdict(row), "ratio": row.ratio, "holds": row.holds} for row in rows],
    }


def table_of(rows: Sequence[Row]) -> Table:
    """Return the rows as a table for people; what does not hold is red."""
    table = Table("name", "size", "value", "baseline", "ratio", "limit", "holds", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(
            row.name,
            str(row.size),
            _amount(row.value, row.unit),
            _amount(row.baseline, row.unit),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.limit is None else f"≤ {row.limit:g}",
            {True: "yes", False: "no", None: ""}[row.holds],
            style="red" if row.holds is False else None,
        )
    return table


def markdown_of(rows: Sequence[Row], *, machine: Mapping[str, Any]) -> str:
    """Return the rows as docs/benchmarks.md has them."""
    where = f"{machine['cores']} cores ({machine['processor']})"
    lines = [
        f"{where}; load before: {machine['load_before']}.",
        "",
        "| | size | | beside | promised |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} {_TIMES}"
        unit = _TIMES if row.baseline else row.unit
        limit = "" if row.limit is None else f"≤ {row.limit:g} {unit}"
        value = _amount(row.value, row.unit)
        lines.append(f"| {row.name} | {row.size:,} | {value} | {ratio} | {limit} |")
    return "\n".join(lines)


def _amount(amount: float | None, unit: str) -> str:
    if amount is None:
        return ""
    return (
        f"{amount:.0f} {unit}" if amount >= 100 or amount == int(amount) else f"{amount:.2f} {unit}"
    )
