"""The pure parts of the benchmarks: rows and limits, the table, the file, counted requests,
and who bears witness to the way to a first answer."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from benchmarks import floor
from benchmarks.audit import lists_in, requests_in, writes_in
from benchmarks.first_answer import probed_each_second, rendered
from benchmarks.results import Row, beside_both, compared_across_sizes, document, row_of, table_of
from benchmarks.services import TINY, declaration, names, tiny_declaration
from benchmarks.timeline import (
    ANSWERED,
    CONTAINER_STARTED,
    CREATE_CALLED,
    NOTICED,
    PARTS,
    READY,
    SCHEDULED,
    STARTED,
    WRITTEN,
    epoch_seconds,
    instants_of_engine_line,
    instants_of_event,
    instants_of_pod,
    last_write_at,
    listening_at,
    local_port_in,
    parts_of,
    text_in,
)
from modelfleet.adapters.dynamic import state
from modelfleet.plan import plan
from modelfleet.resource_types import MODEL_SERVICE

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
        ["name", "size", "value", "baseline", "ratio", "limit", "holds"],
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
    assert set(floor.PLANNED) == set(MODEL_SERVICE.planned)
    assert tuple(floor.LIVE) == state.OUTPUTS


def test_a_preview_starts_without_the_http_client_and_the_differ() -> None:
    heavy = "{'httpx', 'deepdiff'} & set(sys.modules)"
    script = f"import sys, modelfleet.adapters.dynamic.provider; print({heavy} or 'none')"
    reply = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert reply.stdout.strip() == "none"


def test_the_parts_of_a_first_answer_add_up_to_the_whole() -> None:
    ends = {instant: 100.0 + 2 * number for number, instant in enumerate(PARTS.values(), start=1)}
    parts = parts_of({STARTED: 100.0, **ends})
    assert list(parts) == list(PARTS)
    assert set(parts.values()) == {2.0}
    assert sum(parts.values()) == ends[ANSWERED] - 100.0


def test_a_part_that_nobody_saw_counts_as_the_next_and_one_seen_late_as_no_time() -> None:
    instants = {STARTED: 10.0, WRITTEN: 11.0, READY: 14.0, NOTICED: 13.5, ANSWERED: 16.0}
    assert parts_of(instants) == {
        "apply": 1.0,
        "probe": 3.0,
        "noticing": 0.0,
        "first token": 2.0,
    }


@pytest.mark.parametrize(
    ("conditions", "instants"),
    [
        ([], set()),
        ([("PodScheduled", "False")], set()),
        ([("PodScheduled", "True"), ("Initialized", "True"), ("Ready", "False")], {SCHEDULED}),
        ([("PodScheduled", "True"), ("Ready", "True")], {SCHEDULED, READY}),
    ],
)
def test_a_pod_tells_what_it_is_past_by_its_conditions(
    conditions: list[tuple[str, str]], instants: set[str]
) -> None:
    status = {"conditions": [{"type": name, "status": is_so} for name, is_so in conditions]}
    assert instants_of_pod({"status": status}) == instants
    assert instants_of_pod({}) == set()


@pytest.mark.parametrize(
    ("reason", "where", "instants"),
    [
        ("Started", "spec.containers{engine}", {CONTAINER_STARTED}),
        ("Created", "spec.containers{engine}", set()),
        ("Started", "spec.initContainers{download}", set()),
        ("Scheduled", None, set()),
    ],
)
def test_the_start_of_the_engine_counts_and_of_no_other_container(
    reason: str, where: str | None, instants: set[str]
) -> None:
    event = {"reason": reason, "involvedObject": {"kind": "Pod", "fieldPath": where}}
    assert instants_of_event(event) == instants


@pytest.mark.parametrize(
    ("line", "instants"),
    [
        (" +  pulumi:pulumi:Stack p-a creating (0s) \n", set()),
        (
            " +  pulumi-python:dynamic/modelfleet:ModelService tiny creating (0s) \n",
            {CREATE_CALLED},
        ),
        (
            " +  pulumi-python:dynamic/modelfleet:ModelService tiny created (6s) waiting\n",
            {NOTICED},
        ),
        (" +  pulumi-python:dynamic/benchmarks:Floor svc-0000 creating (0s) \n", {CREATE_CALLED}),
        (" +  pulumi:pulumi:Stack p-a created (6s) \n", set()),
        ("    + 2 created\n", set()),
    ],
)
def test_the_engine_prints_when_it_calls_create_and_when_that_returns(
    line: str, instants: set[str]
) -> None:
    assert instants_of_engine_line(line) == instants


def test_a_log_with_timestamps_tells_when_the_engine_listens() -> None:
    log = [
        "2026-11-21T04:19:36.425411302Z I srv load_model: loading model '/models/tiny.gguf'",
        "2026-11-21T04:19:36.506526363Z I srv llama_server: listening on http://0.0.0.0:8080",
        "2026-11-21T04:19:41.000000000Z I srv listening on http again",
    ]
    assert listening_at(log) == pytest.approx(epoch_seconds("2026-11-21T04:19:36Z") + 0.506526363)
    assert listening_at(log[:1]) is None


def test_times_are_read_to_the_nanosecond_and_without_a_fraction() -> None:
    assert epoch_seconds("1970-01-01T00:01:00Z") == 60
    assert epoch_seconds("1970-01-01T00:01:00.250000001Z") == pytest.approx(60.25)


def test_the_last_write_in_a_namespace_ends_the_apply() -> None:
    def event(verb: str, namespace: str, second: int) -> str:
        at = f"1970-01-01T00:00:0{second}.500000Z"
        where = {"namespace": namespace, "resource": "deployments"}
        return json.dumps({"verb": verb, "objectRef": where, "stageTimestamp": at})

    log = [
        event("patch", "mine", 1),
        event("patch", "mine", 2),
        event("watch", "mine", 3),
        event("get", "mine", 4),
        event("patch", "other", 5),
        json.dumps({"verb": "get", "stageTimestamp": "1970-01-01T00:00:06Z"}),
    ]
    assert last_write_at(log, namespace="mine") == 2.5
    assert last_write_at(log, namespace="nobody") is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('data: {"choices": [{"delta": {"role": "assistant", "content": null}}]}', ""),
        ('data: {"choices": [{"delta": {"content": "I am"}}]}', "I am"),
        ('data: {"choices": [], "usage": {"total_tokens": 9}}', ""),
        ("data: [DONE]", ""),
        ("", ""),
    ],
)
def test_the_first_token_is_the_first_text_of_a_stream(line: str, text: str) -> None:
    assert text_in(line) == text


def test_a_port_forward_of_kubectl_says_which_port_it_has() -> None:
    assert local_port_in("Forwarding from 127.0.0.1:40321 -> 8080\n") == 40321
    assert local_port_in("error: unable to forward port\n") is None


def test_the_service_that_answers_is_a_valid_one() -> None:
    planned = plan(tiny_declaration("models"))
    assert planned.problems == ()
    assert planned.values["access_name"] == TINY


async def test_the_quicker_probe_changes_only_how_often_it_asks() -> None:
    objects = await rendered("models")
    quick = probed_each_second(objects)
    (before,), (after,) = (
        [
            obj["spec"]["template"]["spec"]["containers"][0]
            for obj in each
            if "template" in obj["spec"]
        ]
        for each in (objects, quick)
    )
    probe, slow = after.pop("startupProbe"), before.pop("startupProbe")
    assert probe.pop("periodSeconds") == 1
    assert probe.pop("failureThreshold") == slow.pop("failureThreshold") * slow.pop("periodSeconds")
    assert (probe, after) == (slow, before)
