"""What the tests of waiting share: services whose pods behave as asked, and the wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from writing import MANAGER, owned

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.diagnosis import diagnose
from modelfleet.cluster.live import LiveServices
from modelfleet.cluster.objects import Object
from modelfleet.cluster.readiness import Code, Outcome, Until, Waiting, readiness
from modelfleet.local.api import Api
from modelfleet.local.stages import node_selector

BEHAVIOUR = "modelfleet.test/behaviour"


def serving(
    namespace: str,
    name: str = "qwen",
    *,
    behaviour: str = "",
    replicas: int = 1,
    gpus: int = 1,
    argument: str = "",
    selector: dict[str, str] | None = None,
    **spec: Any,
) -> Object:
    """Return a Deployment whose pods want GPUs and behave, on the chaos nodes, as asked."""
    pod_labels = labels.selector(kind="ModelService", name=name)
    container = {
        "name": "engine",
        "image": "vllm/vllm-openai:v0.1",
        "args": ["--model", argument or "qwen"],
        "resources": {"limits": {"memory": "4Gi", "nvidia.com/gpu": str(gpus)}},
        "startupProbe": {
            "httpGet": {"path": "/health", "port": 8000},
            "periodSeconds": 10,
            "failureThreshold": 60,
        },
    }
    pod = {
        "containers": [container],
        "nodeSelector": {**(selector or {}), **(node_selector(behaviour) if behaviour else {})},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists"},
            *([{"key": BEHAVIOUR, "operator": "Exists"}] if behaviour else []),
        ],
        "terminationGracePeriodSeconds": 1,
    }
    return owned(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": pod_labels},
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                },
                "template": {"metadata": {"labels": pod_labels}, "spec": pod},
                **spec,
            },
        },
        name=name,
    )


def add_h100_node(api: Api, name: str, *, pool: str) -> Object:
    """Add a node like the first H100 node that only pods with ``in_pool`` select."""
    nodes = api.send("GET", "/api/v1/nodes")["items"]
    like = next(node for node in nodes if node["metadata"]["name"].startswith("h100"))
    metadata = {key: like["metadata"][key] for key in ("labels", "annotations")} | {"name": name}
    metadata["labels"] = {**metadata["labels"], **in_pool(pool)}
    node = {"metadata": metadata, "spec": {"taints": like["spec"]["taints"]}}
    node["status"] = {key: like["status"][key] for key in ("capacity", "allocatable")}
    return api.send("POST", "/api/v1/nodes", json=node)


def in_pool(pool: str) -> dict[str, str]:
    """Return what selects the nodes of a pool."""
    return {"modelfleet.test/pool": pool}


class Progress:
    """Collects the reasons of a wait; a test can wait for one of them to be given."""

    def __init__(self) -> None:
        self.codes: set[Code] = set()
        self.last: Waiting = Waiting(())
        self._more = asyncio.Event()

    def __call__(self, waiting: Waiting) -> None:
        self.codes |= {reason.code for reason in waiting.reasons}
        self.last = waiting
        self._more.set()

    async def tells(self, code: Code) -> None:
        while code not in self.codes:
            self._more.clear()
            await self._more.wait()


class Cluster:
    """A client and the services it waits for."""

    def __init__(self, client: Client) -> None:
        self.client = client
        # A server that was killed comes back when the machine has had the time to start it.
        self.live = LiveServices(client, unreachable_seconds=1_800)

    async def apply(self, obj: Object) -> Object:
        """Apply and return the live object."""
        return (await self.client.apply(obj, field_manager=MANAGER, force=True)).live

    async def until(
        self,
        applied: Object,
        *,
        until: Until = "available",
        timeout_seconds: float = 240.0,
        on_progress: Callable[[Waiting], None] | None = None,
    ) -> Outcome:
        """Wait, and have a failure diagnosed."""
        outcome = await self.live.until(
            applied,
            partial(readiness, until=until),
            timeout_seconds=timeout_seconds,
            on_progress=on_progress,
        )
        return await self._diagnosed(applied, outcome)

    async def waiting_for(self, applied: Object, code: Code, words: str) -> Outcome:
        """Return what is waited for, diagnosed, once that is told; or how the wait has ended."""
        progress = Progress()
        wait = asyncio.ensure_future(self.until(applied, on_progress=progress))
        while not wait.done():
            outcome = await self._diagnosed(applied, progress.last)
            if [each.code for each in outcome.reasons if words in each.sentence] == [code]:
                wait.cancel()
                return outcome
            await asyncio.wait((wait,), timeout=0.2)
        return wait.result()

    async def _diagnosed(self, applied: Object, outcome: Outcome) -> Outcome:
        reasons = await diagnose(self.client, self.live.pods(applied), outcome.reasons)
        return type(outcome)(reasons)


@asynccontextmanager
async def cluster(kubeconfig: Path) -> AsyncIterator[Cluster]:
    """Give a cluster whose watches are closed afterwards."""
    client = Client.connect(kubeconfig=str(kubeconfig))
    connected = Cluster(client)
    try:
        yield connected
    finally:
        await connected.live.aclose()
        await client.aclose()
