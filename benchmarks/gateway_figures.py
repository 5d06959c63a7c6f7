"""What the gateway's benchmark found: figures of four ways, as rows and as a table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.results import Row

DIRECT, PLAIN, OURS, LIMITED = "direct", "plain", "ours", "limited"
WAYS = (DIRECT, PLAIN, OURS, LIMITED)
"""To the upstream itself, through LiteLLM alone, through ours, and with a key that has limits."""

TIMES = "\N{MULTIPLICATION SIGN}"
_TITLES = {
    DIRECT: "direct",
    PLAIN: "LiteLLM alone",
    OURS: "ours",
    LIMITED: "ours, key with limits",
}


@dataclass(frozen=True)
class Figure:
    """One figure by way, as many as were measured; ``at_once`` requests or streams.

    ``limit`` bounds how many times that of LiteLLM alone ours is, with and without limits of keys.
    """

    name: str
    at_once: int
    unit: str
    values: Mapping[str, float]
    limit: float | None = None
    digits: int = 1


def rows_of(figures: Sequence[Figure]) -> list[Row]:
    """Return a row for each figure of each way; ours stand beside LiteLLM alone."""
    return [
        Row(
            f"gateway: {figure.name}" + ("" if way == OURS else f", {_TITLES[way]}"),
            figure.at_once,
            figure.values[way],
            figure.unit,
            figure.values.get(PLAIN) if way in (OURS, LIMITED) else None,
            figure.limit if way in (OURS, LIMITED) else None,
        )
        for figure in figures
        for way in WAYS
        if way in figure.values
    ]


def markdown_of(
    figures: Sequence[Figure],
    *,
    machine: Mapping[str, Any],
    versions: Mapping[str, str],
    cores: str,
) -> str:
    """Return the figures as a table of Markdown, under a sentence on what they were measured."""
    head = ("", "at once", *(_TITLES[way] for way in WAYS), "ours ÷ LiteLLM", "promised")
    lines = [head, ("---",) * len(head)]
    for figure in figures:
        row = rows_of([figure])
        of_ours = next((each for each in row if each.name == f"gateway: {figure.name}"), None)
        ratio = None if of_ours is None else of_ours.ratio
        lines.append(
            (
                figure.name,
                str(figure.at_once),
                *(_amount(figure, way) for way in WAYS),
                "" if ratio is None else f"{ratio:.2f} {TIMES}",
                "" if figure.limit is None else f"≤ {figure.limit:g} {TIMES}",
            )
        )
    where = (
        f"{machine['cores']} cores ({machine['processor']}), {cores}; "
        f"LiteLLM {versions['litellm']}, Python {versions['python']}; "
        f"load before: {machine['load_before']}."
    )
    return "\n".join((where, "", *("| " + " | ".join(line) + " |" for line in lines)))


def _amount(figure: Figure, way: str) -> str:
    value = figure.values.get(way)
    return "" if value is None else f"{value:,.{figure.digits}f} {figure.unit}".rstrip()


def ratios(values: Sequence[float], baselines: Sequence[float]) -> list[float]:
    """Return how many times its baseline each value is, turn by turn."""
    return [value / baseline for value, baseline in zip(values, baselines, strict=True)]


def paired(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of LiteLLM alone, and for each way that times its median ratio.

    The ratio of two medians lets turns that were disturbed stand beside those that were not; the
    median of ratios compares each turn with its neighbour.
    """
    plain = median(values[PLAIN])
    return {way: plain * median(ratios(each, values[PLAIN])) for way, each in values.items()}


def most_carried(levels: Sequence[int], *, carries: Callable[[int], bool]) -> int:
    """Return the last of ``levels`` that is carried, 0 if none is, asking for few of them.

    Takes it that whatever is carried, less is carried as well.
    """
    low, high = 0, len(levels)
    while low < high:
        middle = (low + high) // 2
        if carries(levels[middle]):
            low = middle + 1
        else:
            high = middle
    return levels[low - 1] if low else 0
