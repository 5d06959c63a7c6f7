"""Runs by chance, each told by a seed: whatever fails on the way, running again converges.

The short version here is part of every test run; ``make faults`` is the long one. A seed gives the
same fleet and the same faults every time: ``pytest tests/lifecycle/faults --fault-seed 17``.
"""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.random_fleets import story_of
from faults.random_run import Report, Run
from faults.run_summary import summary
from modelfleet.cluster.client import Client
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.local.api import Api

AT_ONCE = 16
REPORT_EVERY = 50


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    seed = request.config.getoption("--fault-seed")
    if seed is not None:
        return range(seed, seed + 1)
    return range(request.config.getoption("--fault-runs"))


@pytest.fixture
def namespaces(plane_api: Api, seeds: range) -> Iterator[list[str]]:
    """A namespace for each of the runs that go on at once."""
    names = [f"faults-{number}" for number in range(min(AT_ONCE, len(seeds)))]
    for name in names:
        plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield names
    for name in names:
        plane_api.send("DELETE", f"/api/v1/namespaces/{name}")


@pytest.mark.xdist_group("random-faults")
def test_after_any_faults_one_rerun_converges_and_nothing_is_left_or_touched(
    seeds: range,
    namespaces: list[str],
    fleet_kubeconfig: Path,
    admin_kubeconfig: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told(text: str) -> None:
        with capsys.disabled():
            print(text)

    started = time.monotonic()
    with warnings.catch_warnings():
        # A process that is killed leaves its sockets to the system, and so does what is in its
        # place here; all of them are collected before it ends.
        warnings.simplefilter("ignore", ResourceWarning)
        reports = asyncio.run(all_runs(seeds, namespaces, fleet_kubeconfig, admin_kubeconfig, told))
        gc.collect()
    told(f"\n{summary(reports, seconds=time.monotonic() - started)}")
    assert [wrong for report in reports for wrong in report.wrong] == []


async def all_runs(
    seeds: range,
    namespaces: list[str],
    fleet_kubeconfig: Path,
    admin_kubeconfig: Path,
    told: Callable[[str], None],
) -> list[Report]:
    """Run every seed, as many at once as there are namespaces."""
    access = load_access(kubeconfig=str(fleet_kubeconfig))
    admin = Client.connect(kubeconfig=str(admin_kubeconfig))
    waiting, reports = iter(seeds), list[Report]()

    async def take_turns(namespace: str) -> None:
        for seed in waiting:
            story = story_of(seed, namespace=namespace)
            reports.append(await Run(story, access=access, admin=admin, namespace=namespace).tell())
            for wrong in reports[-1].wrong:
                told(wrong)
            if len(reports) % REPORT_EVERY == 0:
                told(f"{len(reports)} runs")

    try:
        await asyncio.gather(*map(take_turns, namespaces))
    finally:
        await admin.aclose()
    return reports
