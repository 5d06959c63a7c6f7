"""The pure parts of measuring queries: what is asked means something, and how rows are shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.querying import QUERIES
from benchmarks.records import external_services
from benchmarks.results import Row as Result
from benchmarks.results import markdown_of
from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.zstack_api.parameters import query_of
from modelfleet.adapters.query_api.zstack_api.queries import find
from modelfleet.adapters.query_api.zstack_api.rows import Row, Rows
from modelfleet.cluster.objects import Object
from zstack_fleet import snapshot_of


def live(number: int, secret: Object) -> Object:
    born = {"uid": f"uid-{number}", "resourceVersion": "1"}
    metadata = {**secret["metadata"], **born, "creationTimestamp": "2026-11-02T13:04:05Z"}
    return {**secret, "metadata": metadata}


@pytest.mark.parametrize("title", QUERIES)
async def test_every_query_that_is_timed_finds_some_services_and_looks_at_all(title: str) -> None:
    secrets = external_services(210, namespace="models")
    objects = [live(number, each) for number, each in enumerate(secrets)]
    rows: Sequence[Row] = await Rows().seen_by(
        Account("bench", namespace="models", namespaces=("models",)), await snapshot_of(objects)
    )
    assert len(rows) == 210
    asked = query_of([(name, text.replace("04711", "00171")) for name, text in QUERIES[title]])
    assert 0 < len(await find(asked, rows)) <= 210


def test_rows_are_shown_as_the_docs_have_them() -> None:
    rows = [
        Result("query, p99", 10_000, 12.3, "ms", limit=50),
        Result("memory", 10_000, 180.0, "MiB", baseline=179.0, limit=1.05),
    ]
    machine = {"cores": 2, "processor": "a processor", "load_before": 0.1}
    assert markdown_of(rows, machine=machine).splitlines()[-2:] == [
        "| query, p99 | 10,000 | 12.30 ms |  | ≤ 50 ms |",
        "| memory | 10,000 | 180 MiB | 1.01 \u00d7 | ≤ 1.05 \u00d7 |",
    ]
