"""A seed tells the same story and the same faults wherever and whenever it is run."""

from __future__ import annotations

import pytest

from faults.fault_schedule import Fault, Seeded
from faults.random_fleets import story_of
from faults.raw_http import Request


def faults_of(seed: int, *, namespace: str) -> list[Fault | None]:
    schedule = Seeded(seed, rate=0.5)
    paths = [f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}" for name in "abcde"]
    asked = [Request(method, path, b"") for method in ("GET", "PATCH") for path in paths] * 3
    return [schedule(request) for request in asked]


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_stands_for_one_story_and_one_schedule(seed: int) -> None:
    one, again = (story_of(seed, namespace="here") for _ in range(2))
    assert one == again
    assert faults_of(seed, namespace="here") == faults_of(seed, namespace="there")
    assert faults_of(seed, namespace="here") != faults_of(seed + 1, namespace="here")


def test_reads_meet_no_conflicts_and_watches_only_what_can_become_of_one() -> None:
    seen = {
        request.method: {Seeded(seed, rate=1)(request) for seed in range(300)}
        for request in (Request("GET", "/a", b""), Request("PATCH", "/a", b""))
    }
    assert Fault.CONFLICT in seen["PATCH"]
    assert Fault.CONFLICT not in seen["GET"]
    watch = Request("GET", "/a?watch=true", b"")
    met = {Seeded(seed, rate=1)(watch) for seed in range(300)}
    assert {Fault.CUT_WATCH, Fault.EXPIRE_WATCH} < met
    assert not met & {Fault.HALF_BODY, Fault.STALL}
