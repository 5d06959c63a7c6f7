"""Nothing is lost while pods come and go: two replicas under load, changed, scaled and drained.

Clients on both nodes send streams and plain requests through the Service during all of it. The
counts are properties of the test, and printed (``pytest -rP``).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from client_pods import CLIENT, Load, LoadCounts, wait_until
from pod_watch import Seen, pods_watched
from small_services import program, sentence

from modelfleet import labels
from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]
Record = Callable[[str, object], None]

NAME, MODEL = "steady", "slow-chat"
SERVED_WHILE_STOPPING_SECONDS = 20
"""What a pod goes on for here after it is told to stop: 10 s of drain, and 10 of the renderer's."""


class Steady:
    """A service under load: its declaration, its pods, its clients."""

    def __init__(self, stack: Stack, api: Api, namespace: str) -> None:
        self.stack, self.api, self.namespace = stack, api, namespace
        self._deployment: dict[str, Any] = {}

    def declare(self, deployment: Mapping[str, Any]) -> None:
        """Change the program, and only that."""
        self._deployment |= deployment
        runs = {"drain_seconds": 10, **self._deployment}
        self.stack.program(program(NAME, namespace=self.namespace, model=MODEL, deployment=runs))

    def up(self, **deployment: Any) -> None:
        """Change the program and run it."""
        self.declare(deployment)
        self.stack.up()

    @property
    def pods(self) -> list[dict[str, Any]]:
        """The pods that there are, those that are stopping included."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        selector = f"{labels.NAME}={NAME}"
        items: list[dict[str, Any]] = self.api.send(
            "GET", path, params={"labelSelector": selector}
        )["items"]
        return items

    def wait_until_none_is_stopping(self) -> None:
        """Wait until only pods are left that nobody has told to stop."""
        wait_until(
            lambda: not any("deletionTimestamp" in pod["metadata"] for pod in self.pods),
            timeout_seconds=SERVED_WHILE_STOPPING_SECONDS + 60,
        )


@pytest.fixture(scope="module")
def steady(module_stack_factory: StackFactory, api: Api, module_namespace: str) -> Iterator[Steady]:
    stack = module_stack_factory("", cluster=True)
    yield Steady(stack, api, module_namespace)
    stack.program("")
    stack.up()


@pytest.fixture
def load(steady: Steady, api: Api, environment: Mapping[str, str]) -> Iterator[Load]:
    load = Load(api, steady.namespace, environment=environment)
    yield load
    load.remove()


@pytest.fixture
def under_load(
    steady: Steady,
    load: Load,
    environment: Mapping[str, str],
    tmp_path: Path,
    record_property: Record,
) -> Callable[[Callable[[], None]], tuple[LoadCounts, Seen]]:
    """``under_load(what)`` does it under load, until no pod is stopping any more."""

    def do(what: Callable[[], None]) -> tuple[LoadCounts, Seen]:
        url = f"http://{NAME}.{steady.namespace}.svc.cluster.local"
        steady.wait_until_none_is_stopping()
        load.start(url=url, text=sentence(MODEL))
        watched = pods_watched(
            steady.api,
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
        print(f"load: {counts}; pods: {seen}")
        return counts, seen

    return do


UnderLoad = Callable[[Callable[[], None]], tuple[LoadCounts, Seen]]


@pytest.mark.parametrize(
    ("strategy", "least_ready", "spare_gpus"),
    [({}, 1, 0), ({"max_surge": 1, "max_unavailable": 0}, 2, 1)],
    ids=["one-at-a-time", "one-more-meanwhile"],
)
def test_a_rolling_update_under_load_loses_no_request_and_keeps_what_its_strategy_promises(
    steady: Steady,
    under_load: UnderLoad,
    strategy: Mapping[str, int],
    least_ready: int,
    spare_gpus: int,
) -> None:
    steady.up(replicas=2, strategy=strategy, args={"parallel": 4})
    before = {pod["metadata"]["name"] for pod in steady.pods}

    counts, seen = under_load(lambda: steady.up(args={"parallel": 3}))

    assert counts.failures == []
    assert all(count > 0 for count in counts.requests.values())
    assert before.isdisjoint(pod["metadata"]["name"] for pod in steady.pods)
    assert seen.least_ready >= least_ready
    planned = steady.stack.outputs()["gpu_total"]
    assert planned == 2
    assert seen.most_gpus <= planned + spare_gpus


def test_scaling_up_and_down_under_load_loses_no_request(
    steady: Steady, under_load: UnderLoad
) -> None:
    steady.up(replicas=2, strategy={})

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
    steady.up(replicas=2, strategy={}, disruption={"min_available": 1})
    victim = steady.pods[0]["spec"]["nodeName"]

    def kubectl(*arguments: str) -> None:
        subprocess.run(
            ["kubectl", *arguments], env=environment, check=True, timeout=150, capture_output=True
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
