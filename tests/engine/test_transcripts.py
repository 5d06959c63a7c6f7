"""The life and the troubles of one service as a person sees them, command by command.

What is typed and what is printed stands in ``transcripts/life/``, in order, and in
``transcripts/trouble/``; documents quote it. Beside each step: what it must not do to pods.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from namespaces import make_namespace

from modelfleet.local.api import Api
from modelfleet.local.gpus import gpu_pools
from modelfleet.local.nodes import node_objects
from pulumi_stack import Run, Stack

Transcript = Callable[..., None]

# One after the other, with the examples and stacks: their namespaces have fixed names.
pytestmark = pytest.mark.xdist_group("models")

# Of fixed names, since they are read in the transcripts.
NAMESPACE = "models"
OTHER_NAMESPACE = "models-eu"
FULL_NAMESPACE = "models-us"

PROGRAM = """\
import pulumi
from modelfleet import ModelService

chat = ModelService(
    "chat",
    namespace="{namespace}",
    deployment={{
        "model": {{"uri": "hf://Qwen/Qwen3-8B"}},
        "gpu": {{"product": "NVIDIA-L4"}},
        "replicas": {replicas},
        "max_model_len": {max_model_len},
    }},
)
pulumi.export("base_url", chat.base_url)
"""
DECLARED: Mapping[str, object] = {
    "namespace": NAMESPACE,
    "replicas": 2,
    "max_model_len": 8192,
}


def program(**changed: object) -> str:
    return PROGRAM.format(**{**DECLARED, **changed})


@pytest.fixture
def stack(stack_factory: Callable[..., Stack], plane_api: Api) -> Stack:
    for name in (NAMESPACE, OTHER_NAMESPACE):
        make_namespace(plane_api, name)
        # Pods here are counted, and those of the test before may still be ending.
        in_namespace = f"/api/v1/namespaces/{name}/pods"
        wait_until(lambda path=in_namespace: not plane_api.send("GET", path)["items"])
    return stack_factory(program(), project="fleet", cluster=True)


def kubectl(stack: Stack, *arguments: str) -> Run:
    ended = subprocess.run(
        ["kubectl", *arguments],
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    typed = " ".join(["kubectl", *arguments])
    return Run(typed, ended.returncode, ended.stdout, ended.stderr, {})


def pods(stack: Stack, namespace: str = NAMESPACE) -> set[str]:
    listed = kubectl(stack, "get", "pods", "--namespace", namespace, "--output", "name")
    return set(listed.stdout.split())


def objects_left(stack: Stack, namespace: str) -> Run:
    kinds = "deployments,services,secrets,networkpolicies,pods"
    return kubectl(stack, "get", kinds, "--namespace", namespace)


def test_the_life_of_a_service_reads_as_recorded(stack: Stack, transcript: Transcript) -> None:
    transcript("life/1-preview", stack.preview())
    transcript("life/2-up", stack.up())
    transcript("life/3-up-again", stack.up())
    first = pods(stack)
    assert len(first) == 2

    stack.program(program(replicas=3))
    transcript("life/4-scale-in-place", stack.preview("--diff"), stack.up())
    assert pods(stack) > first

    stack.program(program(replicas=3, max_model_len=16384))
    transcript("life/5-engine-argument-rolling", stack.preview("--diff"), stack.up())
    wait_until(lambda: not pods(stack) & first)  # those that end are listed until they have

    by_hand = kubectl(stack, "scale", "deployment/chat", "--replicas=1", "--namespace", NAMESPACE)
    transcript("life/6-edit-by-hand", by_hand, stack.refresh("--diff"), stack.up())

    stack.program(program(replicas=3, max_model_len=16384, namespace=OTHER_NAMESPACE))
    transcript("life/7-namespace-replace", stack.preview(), stack.up())
    assert len(pods(stack, OTHER_NAMESPACE)) == 3

    assert objects_left(stack, OTHER_NAMESPACE).stdout
    left = (objects_left(stack, namespace) for namespace in (NAMESPACE, OTHER_NAMESPACE))
    transcript("life/8-destroy", stack.destroy(), *left)


MISTAKEN = """\
from modelfleet import ModelService

ModelService(
    "chat",
    namespace="Models",
    deployment={
        "model": {"uri": "ftp://weights/qwen3-8b"},
        "gpu": {"product": "NVIDIA-L4", "count": 0},
        "replicas": 2.5,
        "max_model_length": 8192,
        "autoscaling": {"min": 1, "max": 4},
    },
)
"""


def test_six_mistakes_are_six_lines(
    stack_factory: Callable[..., Stack], transcript: Transcript
) -> None:
    refused = stack_factory(MISTAKEN, project="fleet").preview(expect_failure=True)
    transcript("trouble/six-mistakes", refused)


NO_ROOM = """\
from modelfleet import ModelService

ModelService(
    "chat",
    namespace="models-us",
    deployment={{
        "model": {{"uri": "hf://Qwen/Qwen3-235B-A22B"}},
        "gpu": {{"product": "NVIDIA-A100-SXM4-80GB", "count": 8}},
    }},
    wait={{"timeout_seconds": {timeout_seconds}}},
)
"""


@pytest.fixture
def late_node(plane_api: Api) -> Iterator[Callable[[], None]]:
    """A function that adds a node with eight A100s, which no other node has."""
    (node,) = node_objects(gpu_pools("a100-80gb:8x1"), pool="late")
    yield lambda: plane_api.apply_node(node)
    plane_api.remove_node(node["metadata"]["name"])


def test_what_finds_no_gpu_says_so_and_serves_once_there_is_one(
    stack_factory: Callable[..., Stack],
    plane_api: Api,
    late_node: Callable[[], None],
    transcript: Transcript,
) -> None:
    make_namespace(plane_api, FULL_NAMESPACE)
    stack = stack_factory("", project="fleet", cluster=True)
    for seconds in (5, 60, 600):  # more only where the scheduler takes longer to look at all nodes
        stack.program(NO_ROOM.format(timeout_seconds=seconds))
        failed = stack.up(expect_failure=True)
        if "cannot be scheduled" in failed.output:
            break
        stack.destroy()
    assert "Traceback" not in failed.output

    stack.program(NO_ROOM.format(timeout_seconds=900))
    waiting = stack.start("up", "--yes", "--skip-preview")
    log = stack.project.parent / "up.log"
    wait_until(lambda: "waiting: Pod chat-" in log.read_text())
    late_node()
    assert waiting.wait(timeout=900) == 0
    transcript(
        "trouble/no-room", without_numbers(failed, seconds=seconds), stack.up(), stack.destroy()
    )


def without_numbers(run: Run, *, seconds: int) -> Run:
    """Return ``run`` without how many nodes the plane happens to have, and as if it took 5 s."""
    told = run.stdout.replace(f"after {seconds} s", "after 5 s")
    return replace(run, stdout=re.sub(r"\b\d+ (nodes?|with(?:out)?)\b", r"<n> \1", told))


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float = 600) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)
