"""What is rendered against what a real API server makes of it.

A field that came back in another spelling would look like somebody's edit for ever after, so every
golden case is applied and read back leaf by leaf.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelfleet.cluster.client import Client
from modelfleet.engines import pinned
from modelfleet.render import Identity, objects_of
from modelfleet.spec import spec_of

pytestmark = pytest.mark.lifecycle

CASES = Path(__file__).parent.parent / "golden" / "render"
OUTPUTS = sorted(CASES.glob("*.output.yaml"))
MANAGER = "modelfleet-render-test"


def objects_in(path: Path, *, namespace: str) -> list[dict[str, Any]]:
    _planned, *objects = yaml.safe_load_all(path.read_text())
    for each in objects:
        each["metadata"]["namespace"] = namespace
    return objects


def rewritten(desired: Any, live: Any, at: str = "") -> Iterator[str]:
    """Yield where ``live`` does not say what ``desired`` does; it may say more."""
    if isinstance(desired, dict) and desired and isinstance(live, dict):
        for key, value in desired.items():
            yield from rewritten(value, live.get(key), f"{at}.{key}")
    elif isinstance(desired, list) and isinstance(live, list) and len(desired) == len(live):
        for index, (value, found) in enumerate(zip(desired, live, strict=True)):
            yield from rewritten(value, found, f"{at}[{index}]")
    elif desired != live:
        yield f"{at}: {desired!r} came back as {live!r}"


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.name.split(".")[0])
async def test_the_api_server_writes_back_what_is_rendered(
    path: Path, kubeconfig: Path, namespace: str
) -> None:
    client = Client.connect(kubeconfig=str(kubeconfig))
    try:
        for desired in objects_in(path, namespace=namespace):
            first = await client.apply(copy.deepcopy(desired), field_manager=MANAGER)
            assert list(rewritten(desired, first.live)) == []
            again = await client.apply(copy.deepcopy(desired), field_manager=MANAGER)
            generations = [each.live["metadata"].get("generation") for each in (first, again)]
            assert generations[0] == generations[1], "applying the same again changed something"
    finally:
        await client.aclose()


@pytest.mark.parametrize("case", ["smallest-hosted", "embedding-from-a-claim", "runtime-in-full"])
async def test_pods_are_admitted_where_only_restricted_ones_are(
    case: str, admin_kubeconfig: Path, namespace: str
) -> None:
    client = Client.connect(kubeconfig=str(admin_kubeconfig))  # a Namespace and a Pod are written
    try:
        restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
        metadata = {"name": namespace, "labels": restricted}
        await client.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, field_manager=MANAGER
        )
        objects = objects_in(CASES / f"{case}.output.yaml", namespace=namespace)
        template = objects[-1]["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", "namespace": namespace, **template["metadata"]},
            "spec": template["spec"],
        }
        assert (await client.apply(pod, field_manager=MANAGER)).created
    finally:
        await client.aclose()


STAGES: list[dict[str, Any]] = [
    {"env": {"B": "1"}, "gpu": {"count": 1}, "replicas": 2},
    {"env": {"A": "1", "B": "2", "C": ""}, "gpu": {"count": 2, "min_memory_gib": 10}},
    {"env": {"C": {"secret": "s/k"}, "B": "2"}, "strategy": {"type": "recreate"}, "gpu": {}},
    {"secret_env": {"A": "hush"}, "model": {"uri": "pvc://weights"}, "gpu": {}, "shm_gib": 0},
    {"tolerations": [{"key": "x"}], "drain_seconds": 0, "gpu": {"vendor": "amd"}},
    {"env": {"B": "1"}, "gpu": {"count": 1}, "replicas": 2},
]
"""What one service is declared to be, one after the other."""


async def test_every_change_of_a_service_arrives_whole(kubeconfig: Path, namespace: str) -> None:
    identity = Identity(owner="o/p/s", urn=None, incarnation="1", cluster_uid="c")
    client = Client.connect(kubeconfig=str(kubeconfig))
    try:
        for stage in STAGES:
            inputs = {
                "model_service_name": "qwen",
                "namespace": namespace,
                "deployment": {"model": {"uri": "hf://org/model"}, **stage},
            }
            spec = spec_of(pinned(inputs, None))
            for desired in objects_of(spec, identity=identity, hash_key=b"key"):
                live = (await client.apply(copy.deepcopy(desired), field_manager=MANAGER)).live
                assert list(rewritten(desired, live)) == []
    finally:
        await client.aclose()
