"""What a person reads when a declaration is wrong or a service does not become ready.

One paragraph for each cause: what, why, which declared field, what to do. Never a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from declaring import hosted, program
from looking import Namespace, Object, wait_until

from modelfleet.local.api import Api
from pulumi_stack import Run, Stack

StackFactory = Callable[..., Stack]


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


@pytest.fixture
def late_gpu(plane_api: Api, namespace: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """A GPU product that no node has, and what adds a node that does."""
    product = f"NVIDIA-LATE-{namespace}"
    nodes = plane_api.send("GET", "/api/v1/nodes")["items"]
    like = next(node for node in nodes if node["metadata"]["name"].startswith("h100"))
    name = f"late-{namespace}"
    metadata: Object = {
        "name": name,
        "annotations": {"kwok.x-k8s.io/node": "fake"},
        "labels": {
            **{key: like["metadata"]["labels"][key] for key in ("type", "kubernetes.io/os")},
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": product,
            "kubernetes.io/hostname": name,
        },
    }
    resources = {"cpu": "8", "memory": "64Gi", "pods": "10", "nvidia.com/gpu": "1"}

    def add() -> None:
        plane_api.apply_node(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": metadata,
                "spec": {"taints": like["spec"]["taints"]},
                "status": {"capacity": resources, "allocatable": resources},
            }
        )

    yield product, add
    plane_api.remove_node(name)


def told_in_time(stack: Stack, declared: Callable[[float], str], cause: str) -> tuple[Run, int]:
    """Run an ``up`` that ends with its time; return it, and how many seconds ``declared`` had.

    They are few, and more only where the cluster takes longer than that to come to the cause.
    """
    for seconds in (4, 60, 600):
        stack.program(declared(seconds))
        failed = stack.up(expect_failure=True)
        if cause in failed.output:
            break
    return failed, seconds


def test_six_mistakes_are_six_errors_of_one_line_each(stack_factory: StackFactory) -> None:
    stack = stack_factory(
        program(
            hosted(
                "chat",
                namespace="Models",
                deployment={
                    "model": {"uri": "ftp://somewhere/model"},
                    "replicas": -1,
                    "gpus": 2,
                    "gpu": {"count": "one"},
                },
                wait={"until": "ready"},
            )
        )
    )
    for command in (stack.preview, stack.up):
        refused = command(expect_failure=True)
        has = "error: pulumi-python:dynamic/modelfleet:ModelService resource 'chat' has a problem: "
        lines = refused.diagnostics("chat").splitlines()
        assert [line.removeprefix(has).partition(":")[0] for line in lines] == [
            "deployment.gpu.count",
            "deployment.gpus",
            "deployment.model.uri",
            "deployment.replicas",
            "namespace",
            "wait.until",
        ]
        assert "Traceback" not in refused.output


def test_what_cannot_be_scheduled_is_told_and_becomes_ready_once_a_node_is_there(
    stack_factory: StackFactory,
    here: Namespace,
    late_gpu: tuple[str, Callable[[], None]],
) -> None:
    product, add_node = late_gpu

    def declared(timeout_seconds: float) -> str:
        deployment = {"gpu": {"product": product}}
        wait = {"timeout_seconds": timeout_seconds}
        return program(hosted("chat", namespace=here.name, wait=wait, deployment=deployment))

    stack = stack_factory("", cluster=True)
    failed, seconds = told_in_time(stack, declared, "cannot be scheduled")
    assert "Traceback" not in failed.output
    said = " ".join(failed.diagnostics("chat").split())
    assert re.fullmatch(
        rf"error: 1 error occurred: \* ModelService {here.name}/chat: is not ready after "
        rf"{seconds} s\. Pod chat-\S+: cannot be scheduled, none of \d+ nodes fits: "
        rf".*{product}.*\. "
        r"Compare deployment\.gpu\.product with the labels of the nodes, .*",
        said,
    ), said

    stack.program(declared(900))
    engine = stack.start("up", "--yes", "--skip-preview")
    log = stack.project.parent / "up.log"
    wait_until(lambda: "waiting: Pod chat-" in log.read_text())
    add_node()
    assert engine.wait(timeout=900) == 0
    last = re.findall(r"ModelService chat (.*)$", log.read_text(), flags=re.MULTILINE)[-1]
    assert re.search(r"^(created|updated) .*\bwaited \d+ s\b", last), "not what it waited for"
    assert stack.resources()["chat"]["outputs"]["status"] == "READY"


def test_each_way_of_not_becoming_ready_is_told_by_cause_field_and_advice(
    stack_factory: StackFactory, here: Namespace
) -> None:
    expected = {
        "crash-loop": "container engine exits with code 1, 3 restarts. Last log lines: INFO .* "
        "Check deployment.runtime.args, deployment.env and the model.",
        "oom": "container engine was killed, out of memory, .* Raise deployment.memory_gib above "
        "the present limit of 256Mi.",
        "image-pull": "cannot pull image example.org/tiny:1: not found. "
        "Correct deployment.runtime.image: no such image can be had.",
        "bad-secret": 'cannot start its container engine: secret "absent" not found. '
        r"Create Secret absent in the same namespace \(kubernetes.core.v1.Secret in a Pulumi "
        r"program\), or change deployment.env.",
        "never-ready": "container engine runs, but its readiness probe does not pass. .* "
        "see its log, and check deployment.runtime.probes.",
    }

    def declared(timeout_seconds: float) -> str:
        never = {"timeout_seconds": timeout_seconds}
        return program(
            *(
                hosted(
                    behaviour,
                    namespace=here.name,
                    behaviour=behaviour,
                    wait=never if behaviour == "never-ready" else {"timeout_seconds": 900},
                )
                for behaviour in expected
            ),
            hosted("nowhere", namespace=f"{here.name}-missing"),
        )

    stack = stack_factory("", cluster=True)
    failed, seconds = told_in_time(stack, declared, "its readiness probe does not pass")
    assert "Traceback" not in failed.output
    for behaviour, text in expected.items():
        (said,) = stack.resources()[behaviour]["initErrors"]
        service = f"ModelService {here.name}/{behaviour}"
        outcome = f"is not ready after {seconds} s" if behaviour == "never-ready" else "failed"
        assert re.fullmatch(f"{service}: {outcome}\\. Pod {behaviour}-\\S+: {text}", said), said
    assert failed.diagnostics("nowhere") == (
        f'error: NetworkPolicy {here.name}-missing/nowhere: namespaces "{here.name}-missing" not '
        "found. Create the Namespace first, by kubectl create namespace; or in a Pulumi program "
        "add a kubernetes.core.v1.Namespace, and pass its metadata.name as namespace, so that the "
        "service is made after it."
    )
