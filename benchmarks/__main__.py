"""``python -m benchmarks``: measure, print one table, write ``benchmarks/results.json``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.core import RAW_AVAILABLE, measure_core, warm_up
from benchmarks.first_answer import measure_first_answer
from benchmarks.gateway import measure_gateway
from benchmarks.gateway_figures import Figure, rows_of
from benchmarks.gateway_figures import markdown_of as gateway_table
from benchmarks.gateway_places import cores_among, usable_cores
from benchmarks.lifecycle import LISTS, UP, measure_lifecycle
from benchmarks.machine import libraries, machine
from benchmarks.querying import measure_querying
from benchmarks.results import (
    Row,
    beside_both,
    compared_across_sizes,
    document,
    markdown_of,
    table_of,
)
from benchmarks.site import Site, open_site
from modelfleet.errors import ModelFleetError
from modelfleet.local.pods.requirements import lacking
from modelfleet.spec.proxy import DEFAULT_LITELLM_VERSION

SIZES = (100, 1000)
FIRST_ANSWER = "first-answer"
GATEWAY = "gateway"
QUERYING = "querying"
STEPS = (
    *("core", "up", "preview", "noop", "refresh", "destroy", "memory"),
    *(QUERYING, GATEWAY, FIRST_ANSWER),
)

_FOLDER = Path(__file__).resolve().parent
_RESULTS = _FOLDER / "results.json"
_PLANE = _FOLDER.parent / ".modelfleet" / "benchmarks"
_SMALL = 200
_ANSWERS = 5
_BUSY = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code tells whether it could be measured, not how it went."""
    options = _parser().parse_args(arguments)
    console = Console()
    on = machine()
    if on["load_before"] > _BUSY:
        console.print(
            f"This machine is busy (load {on['load_before']}): expect noise.", style="red"
        )
    rows: list[Row] = []
    versions = libraries()
    try:
        if FIRST_ANSWER in options.only and (reason := lacking()):
            console.print(f"{FIRST_ANSWER}: skipped, {reason}", highlight=False, soft_wrap=True)
        elif FIRST_ANSWER in options.only:
            folder = options.state.with_name(f"{options.state.name}-pods")
            with open_site(folder, console=console, keep=options.keep, pods=True) as site:
                versions |= site.versions()
                rows.extend(measure_first_answer(site, repeats=options.repeats or _ANSWERS))
        if of_many := set(options.only) - {FIRST_ANSWER, GATEWAY, QUERYING}:
            with open_site(options.state, console=console, keep=options.keep) as site:
                versions |= site.versions()
                if "core" in of_many:
                    warm_up(site)
                for size in options.sizes:
                    rows.extend(_measured(site, size=size, wanted=of_many, repeats=options.repeats))
        if QUERYING in options.only:
            with open_site(options.state, console=console, keep=options.keep) as site:
                versions |= site.versions()
                answered = list(measure_querying(site))
            rows.extend(answered)
            _write(markdown_of(answered, machine=on), to=options.state.with_name("querying.md"))
        if GATEWAY in options.only:
            versions["litellm"] = DEFAULT_LITELLM_VERSION
            folder = options.state.with_name(f"{options.state.name}-gateway")
            figures = measure_gateway(folder, console=console, starts=options.repeats)
            rows.extend(rows_of(figures))
            _show(figures, to=folder / "table.md", machine=on, versions=versions)
    except ModelFleetError as error:
        console.print(f"benchmarks: {error}", style="red", markup=False, highlight=False)
        return 1
    finally:
        if rows:
            rows = compared_across_sizes(rows, LISTS) + beside_both(rows, UP, RAW_AVAILABLE)
            text = json.dumps(document(rows, machine=on, versions=versions), indent=2)
            _RESULTS.write_text(f"{text}\n")
            console.print(table_of(rows))
            console.print(f"Written to {_RESULTS}", highlight=False, soft_wrap=True)
    return 0


def _measured(
    site: Site, *, size: int, wanted: Collection[str], repeats: int | None
) -> Iterator[Row]:
    """Yield the rows of one size as they come, so that those before a failure are not lost."""
    repeats = repeats or (3 if size <= _SMALL else 1)
    if "core" in wanted:
        yield from measure_core(site, size=size, repeats=repeats)
    if set(wanted) - {"core"}:
        yield from measure_lifecycle(site, size=size, repeats=repeats, wanted=wanted)


def _show(
    figures: Sequence[Figure], *, to: Path, machine: Mapping[str, Any], versions: Mapping[str, str]
) -> None:
    """Print the figures of the gateway, and write them, as docs/benchmarks.md has them."""
    cores = str(cores_among(usable_cores()))
    _write(gateway_table(figures, machine=machine, versions=versions, cores=cores), to=to)


def _write(text: str, *, to: Path) -> None:
    to.write_text(f"{text}\n")
    print(f"\n{text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure modelfleet beside raw server-side apply and a provider that does"
        " nothing, on a control plane of its own.",
    )
    parser.add_argument(
        "--sizes",
        type=_sizes,
        default=SIZES,
        help="numbers of services, comma-separated (default: 100,1000)",
    )
    parser.add_argument(
        "--only",
        type=_steps,
        default=STEPS,
        help=f"what to measure, comma-separated (default: {','.join(STEPS)})",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        help=f"turns per figure, of which the median counts (default: 3 up to {_SMALL}, else 1;"
        f" {_ANSWERS} first answers, 3 starts of a gateway)",
    )
    parser.add_argument(
        "--state", type=Path, default=_PLANE, help=f"the plane's folder (default: {_PLANE})"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the plane running, for the next run or a look"
    )
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(size) for size in text.split(",")))


def _steps(text: str) -> tuple[str, ...]:
    steps = tuple(step.strip() for step in text.split(","))
    if unknown := set(steps) - set(STEPS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {STEPS}")
    return steps


if __name__ == "__main__":
    sys.exit(main())
