"""What many runs came to, as one table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from faults.random_run import Report


def summary(reports: Sequence[Report], *, seconds: float) -> str:
    """Return the table that is printed after the runs, and stands in the documents."""
    injected = _total(report.injected for report in reports)
    errors = _total(report.errors for report in reports)
    rows = [
        ("runs", len(reports)),
        ("programs run, reruns and destroys included", sum(each.programs for each in reports)),
        ("processes killed", sum(each.killed for each in reports)),
        ("faults injected", injected.total()),
        *((f"  {fault}", count) for fault, count in sorted(injected.items())),
        ("errors raised", errors.total()),
        *((f"  {name}", count) for name, count in sorted(errors.items())),
        ("runs that one rerun did not converge, or with a wrong error", _wrong(reports)),
        ("orphans", sum(each.orphans for each in reports)),
        ("objects of others touched", sum(each.foreign_touched for each in reports)),
        ("seconds", round(seconds)),
    ]
    width = max(len(title) for title, _ in rows)
    return "\n".join(f"{title:<{width}}  {count:>7,}" for title, count in rows)


def _wrong(reports: Iterable[Report]) -> int:
    return sum(bool(each.wrong) for each in reports)


def _total(counters: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total
