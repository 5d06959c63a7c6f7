"""The pure parts of the benchmarks: rows and limits, the table, the file, counted requests."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from benchmarks import floor
from benchmarks.audit import lists_in, requests_in, writes_in
from benchmarks.results import Row, beside_both, compared_across_sizes, document, row_of, table_of
from benchmarks.services import declaration, names
from modelfleet.adapters.dynamic import state
from modelfleet.plan import plan

LIST_ROW = "refresh: LIST requests"


@pytest.mark.parametrize(
    ("row", "ratio", "holds"),
    [
        (Row("up", 100, 18.0, "s", baseline=10.0, limit=2), 1.8, True),
        (Row("up", 100, 20.0, "s", baseline=10.0, limit=2), 2.0, True),
        (Row("up", 100, 21.0, "s", baseline=10.0, limit=2), 2.1, False),
        (Row("destroy", 100, 90.0, "s", baseline=10.0), 9.0, None),
        (Row("memory", 1000, 299.0, "MB", limit=300), None, True),
        (Row("memory", 1000, 301.0, "MB", limit=300), None, False),
        (Row("writes", 1000, 0, "", limit=0), None, True),
        (Row("writes", 1000, 1, "", limit=0), None, False),
    ],
)
def test_a_limit_bounds_the_ratio_where_there_is_a_baseline_else_the_value(
    row: Row, ratio: float | None, holds: bool | None
) -> None:
    assert row.ratio == ratio
    assert row.holds is holds


def test_of_repeated_measurements_the_medians_count() -> None:
    row = row_of("up", 100, [30.0, 10.0, 11.0], "s", baselines=[5.0, 50.0, 4.0], limit=2)
    assert (row.value, row.baseline, row.ratio) == (11.0, 5.0, 2.2)


def test_what_must_not_grow_is_compared_with_the_smallest_size() -> None:
    rows = [
        Row(LIST_ROW, 1000, 4, ""),
        Row("refresh", 100, 2.0, "s"),
        Row(LIST_ROW, 100, 4, ""),
        Row(LIST_ROW, 500, 5, ""),
    ]
    compared = compared_across_sizes(rows, LIST_ROW)
    assert [(row.size, row.ratio, row.holds) for row in compared] == [
        (1000, 1.0, True),
        (100, None, None),
        (100, None, None),
        (500, 1.25, False),
    ]


def test_work_that_consists_of_two_others_is_set_beside_their_sum() -> None:
    rows = [
        Row("up", 100, 12.0, "s", baseline=4.0, limit=2),
        Row("raw apply", 100, 6.0, "s"),
        Row("up", 1000, 90.0, "s", baseline=10.0, limit=2),
    ]
    (row,) = beside_both(rows, "up", "raw apply")
    assert (row.size, row.baseline, row.ratio, row.limit) == (100, 10.0, 1.2, None)


def test_the_file_has_one_entry_per_row_beside_machine_and_versions() -> None:
    rows = [Row("up", 100, 21.0, "s", baseline=10.0, limit=2)]
    content = document(rows, machine={"cores": 2}, versions={"python": "3.11.7"})
    assert json.loads(json.dumps(content)) == {
        "machine": {"cores": 2},
        "versions": {"python": "3.11.7"},
        "results": [
            {
                "name": "up",
                "size": 100,
                "value": 21.0,
                "unit": "s",
                "baseline": 10.0,
                "ratio": 2.1,
                "limit": 2,
                "holds": False,
            }
        ],
    }


def printed(rows: list[Row], *, color: bool) -> str:
    console = Console(
        width=120,
        file=io.StringIO(),
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=False,
    )
    with console.capture() as capture:
        console.print(table_of(rows))
    return capture.get()


def test_the_table_shows_every_row_with_its_unit() -> None:
    rows = [
        Row("up", 100, 21.0, "s", baseline=10.5, limit=1.5),
        Row("provider memory", 100, 98.76, "MB", limit=300),
        Row("destroy", 100, 123.4, "s"),
    ]
    assert [line.split() for line in printed(rows, color=False).splitlines()] == [
        ["name", "services", "value", "baseline", "ratio", "limit", "holds"],
        ["up", "100", "21", "s", "10.50", "s", "2.00", "≤", "1.5", "no"],
        ["provider", "memory", "100", "98.76", "MB", "≤", "300", "yes"],
        ["destroy", "100", "123", "s"],
    ]


def test_a_row_that_does_not_hold_is_red_and_no_other() -> None:
    for value, is_red in ((21.0, True), (11.0, False)):
        text = printed([Row("up", 100, value, "s", baseline=10.0, limit=1.5)], color=True)
        assert ("\x1b[31m" in text) is is_red


def test_requests_are_counted_by_verb_and_resource_from_an_audit_log() -> None:
    events = [
        {"verb": "list", "objectRef": {"resource": "deployments"}},
        {"verb": "list", "objectRef": {"resource": "secrets"}},
        {"verb": "watch", "objectRef": {"resource": "deployments"}},
        {"verb": "get", "objectRef": {"resource": "namespaces"}},
        {"verb": "patch", "objectRef": {"resource": "deployments"}},
        {"verb": "patch", "objectRef": {"resource": "deployments"}},
        {"verb": "get", "requestURI": "/version"},
    ]
    counts = requests_in(map(json.dumps, events))
    assert counts["patch", "deployments"] == 2
    assert (lists_in(counts), writes_in(counts), counts.total()) == (2, 2, 7)


def test_the_measured_service_is_a_valid_one() -> None:
    assert plan(declaration("svc-0000", namespace="models", until="available")).problems == ()
    assert names(2) == ["svc-0000", "svc-0001"]


def test_the_provider_that_does_nothing_carries_as_many_values_as_ours() -> None:
    assert tuple(floor.PLANNED) == state.PLANNED
    assert tuple(floor.LIVE) == state.OUTPUTS


def test_a_preview_starts_without_the_http_client_and_the_differ() -> None:
    heavy = "{'httpx', 'deepdiff'} & set(sys.modules)"
    script = f"import sys, modelfleet.adapters.dynamic.provider; print({heavy} or 'none')"
    reply = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert reply.stdout.strip() == "none"
