"""Nothing is lost while pods come and go: two replicas under load, changed, scaled and drained.

Clients on both nodes send streams and plain requests through the Service during all of it. The
counts are properties of the test, and printed (``pytest -rP``).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from children import tied
from client_pods import CLIENT, Load, LoadCounts, wait_until
from pod_watch import Seen, pods_watched
from small_services import REAL, program, sentence

from modelfleet import labels
from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]
Record = Callable[[str, object], None]
UnderLoad = Callable[[Callable[[], None]], tuple[LoadCounts, Seen]]

NAME, MODEL = "steady", "slow-chat"
DRAIN_SECONDS = 8
"""Twice that long a pod serves on that is told to stop: as long again for its Service to hear."""


class Steady:
    """A service under load: its declaration and its pods."""

    def __init__(self, stack: Stack, api: Api, namespace: str) -> None:
        self.stack, self.namespace = stack, namespace
        self._api = api
        self._deployment: dict[str, Any] = {"drain_seconds": DRAIN_SECONDS}

    def up(self, **deployment: Any) -> None:
        """Change what is declared, and run the program."""
        self._deployment |= deployment
        declared = program(NAME, namespace=self.namespace, model=MODEL, deployment=self._deployment)
        self.stack.program(declared)
        self.stack.up()

    @property
    def pods(self) -> list[dict[str, Any]]:
        """The pods that there are, those that are stopping included."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        selector = {"labelSelector": f"{labels.NAME}={NAME}"}
        items: list[dict[str, Any]] = self._api.send("GET", path, params=selector)["items"]
        return items

    def wait_until_none_is_stopping(self) -> None:
        """Wait until only pods are left that nobody has told to stop."""
        wait_until(
            lambda: not any("deletionTimestamp" in pod["metadata"] for pod in self.pods),
        )


@pytest.fixture
def steady(stack_factory: StackFactory, api: Api, namespace: str) -> Steady:
    return Steady(stack_factory("", cluster=True), api, namespace)


@pytest.fixture
def under_load(
    steady: Steady,
    api: Api,
    environment: Mapping[str, str],
    tmp_path: Path,
    record_property: Record,
) -> UnderLoad:
    """``under_load(what)`` does it under load, until no pod is stopping any more."""

    def do(what: Callable[[], None]) -> tuple[LoadCounts, Seen]:
        url = f"http://{NAME}.{steady.namespace}.svc.cluster.local"
        load = Load(api, steady.namespace, environment=environment)
        load.start(url=url, text=sentence(MODEL))
        watched = pods_watched(
            api,
            steady.namespace,
            service=NAME,
            file=tmp_path / "watched.json",
            environment=environment,
        )
        with watched as seen:
            what()
            steady.wait_until_none_is_stopping()
        counts = load.end()
        record_property("load", str(counts))
        print(f"load: {counts}\npods: {seen}")
        return counts, seen

    return do


@pytest.mark.parametrize(
    ("gpus_of_a_pod", "strategy", "least_ready", "spare_pods"),
    [(4, {}, 1, 0), (1, {"max_surge": 1, "max_unavailable": 0}, 2, 1)],
    ids=["without-a-spare-gpu", "with-one-pod-more-meanwhile"],
)
def test_a_rolling_update_under_load_loses_no_request_and_keeps_what_its_strategy_promises(
    steady: Steady,
    under_load: UnderLoad,
    gpus_of_a_pod: int,
    strategy: Mapping[str, int],
    least_ready: int,
    spare_pods: int,
) -> None:
    gpu = {**REAL, "count": gpus_of_a_pod}
    steady.up(replicas=2, strategy=strategy, gpu=gpu)
    before = {pod["metadata"]["name"] for pod in steady.pods}

    counts, seen = under_load(lambda: steady.up(args={"parallel": 3}))

    assert counts.failures == []
    assert all(count > 0 for count in counts.requests.values())
    assert before.isdisjoint(pod["metadata"]["name"] for pod in steady.pods)
    assert seen.least_ready >= least_ready
    planned = steady.stack.outputs()["gpu_total"]
    assert planned == 2 * gpus_of_a_pod
    assert seen.most_gpus <= planned + spare_pods * gpus_of_a_pod


def test_scaling_up_and_down_under_load_loses_no_request(
    steady: Steady, under_load: UnderLoad
) -> None:
    steady.up(replicas=2)

    def scale() -> None:
        steady.up(replicas=3)
        assert len(steady.pods) == 3
        steady.up(replicas=1)

    counts, seen = under_load(scale)

    assert counts.failures == []
    assert len(steady.pods) == 1
    assert (seen.least_ready, seen.most_gpus, len(seen.names)) == (1, 3, 3)


def test_draining_a_node_under_load_loses_no_request(
    steady: Steady, under_load: UnderLoad, environment: Mapping[str, str]
) -> None:
    steady.up(replicas=2, disruption={"min_available": 1})
    victim = steady.pods[0]["spec"]["nodeName"]

    def kubectl(*arguments: str) -> None:
        subprocess.run(
            tied(["kubectl", *arguments]),
            env=environment,
            check=True,
            timeout=900,
            capture_output=True,
        )

    def drain() -> None:
        try:
            kubectl("drain", victim, f"--pod-selector=!{CLIENT}", "--delete-emptydir-data")
            assert victim not in {pod["spec"]["nodeName"] for pod in steady.pods}
            wait_until(lambda: sum(map(_is_ready, steady.pods)) == 2)
        finally:
            kubectl("uncordon", victim)

    counts, seen = under_load(drain)

    assert counts.failures == []
    assert seen.least_ready >= 1
    assert seen.most_gpus <= 2
    assert "2 unchanged" in steady.stack.refresh().output


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
