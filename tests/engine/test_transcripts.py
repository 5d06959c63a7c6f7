"""The life of one service as a person sees it, command by command.

What is typed and what is printed stands in ``transcripts/life/``, in order; the README quotes it.
Beside each step: what it must not do to pods.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping

import pytest
from namespaces import make_namespace
from pulumi_stack import Run, Stack

from modelfleet.local.api import Api

Transcript = Callable[..., None]

# Of fixed names, since they are read in the transcripts; no other test uses them.
NAMESPACE = "models"
OTHER_NAMESPACE = "models-eu"

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
    return stack_factory(program(), project="fleet", cluster=True)


def kubectl(stack: Stack, *arguments: str) -> Run:
    ended = subprocess.run(
        ["kubectl", *arguments],
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    typed = " ".join(["kubectl", *arguments])
    return Run(typed, ended.returncode, ended.stdout, ended.stderr, {})


def pods(stack: Stack, namespace: str = NAMESPACE) -> set[str]:
    listed = kubectl(stack, "get", "pods", "--namespace", namespace, "--output", "name")
    return set(listed.stdout.split())


def services_left(stack: Stack) -> Run:
    return kubectl(
        stack,
        "get",
        "deployments,services,secrets,networkpolicies",
        "--all-namespaces",
        "--selector=modelfleet.dev/name=chat",
    )


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
    assert not pods(stack) & first

    by_hand = kubectl(stack, "scale", "deployment/chat", "--replicas=1", "--namespace", NAMESPACE)
    transcript("life/6-edit-by-hand", by_hand, stack.refresh("--diff"), stack.up())

    stack.program(program(replicas=3, max_model_len=16384, namespace=OTHER_NAMESPACE))
    transcript("life/7-namespace-replace", stack.preview(), stack.up())
    assert len(pods(stack, OTHER_NAMESPACE)) == 3

    assert services_left(stack).stdout
    transcript("life/8-destroy", stack.destroy(), services_left(stack))
