"""The fleet program: three environments out of one program, told apart by configuration alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from documented import ROOT
from local_models import claimed_models
from modelfleet.local.api import Api
from pulumi_stack import Stack

# One after the other, with the transcripts: all have a service "chat" in one namespace.
pytestmark = pytest.mark.xdist_group("models")

StackFactory = Callable[..., Stack]

PROJECT: Mapping[str, str | Path] = {
    "Pulumi.yaml": ROOT / "Pulumi.yaml",
    "stacks": ROOT / "stacks",
}
RESOURCES = {
    "chat", "code", "embeddings", "rerank", "titles", "titles-next", "frontier", "front",
}  # fmt: skip


@pytest.mark.parametrize(
    ("stack", "gpus"),
    [
        pytest.param("dev", 6, id="dev: what two H100 nodes and four of L4 can hold"),
        pytest.param("staging", 5, id="staging: one replica of each"),
        pytest.param("prod", 32, id="prod: many"),
    ],
)
def test_every_environment_previews_where_no_cluster_is_known(
    stack: str, gpus: int, stack_factory: StackFactory
) -> None:
    preview = stack_factory(
        PROJECT, stack=stack, environment={"KUBECONFIG": "/nonexistent", "HOME": "/nonexistent"}
    ).preview()
    assert f"gpus        : {gpus}" in preview.output
    assert "+ 9 to create" in preview.output


@pytest.fixture
def models(plane_api: Api, namespace: str) -> Iterator[None]:
    """What stacks/local.yaml makes for the namespace of the dev fleet."""
    with claimed_models(plane_api, namespace=namespace):
        yield


def test_the_dev_fleet_serves_and_its_key_is_nowhere_in_plain_text(
    stack_factory: StackFactory, namespace: str, models: None
) -> None:
    stack = stack_factory(PROJECT, cluster=True)
    stack.set_config("environment.namespace", namespace, path=True)
    stack.set_config("frontier_key", "planted-s3cr3t", secret=True)
    printed = stack.up().output
    fleet = stack.resources()
    del fleet["fleet-dev"]
    statuses = {name: resource["outputs"]["status"] for name, resource in fleet.items()}
    assert statuses == dict.fromkeys(RESOURCES, "READY")
    in_cluster = subprocess.run(
        ["kubectl", "get", "all,networkpolicies", "--namespace", namespace, "--output", "yaml"],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "planted-s3cr3t" not in printed + str(stack.export()) + in_cluster
    assert "9 unchanged" in stack.up().output
    stack.destroy()


def test_mistakes_in_the_configuration_are_told_at_once_by_their_keys(
    stack_factory: StackFactory, transcript: Callable[..., None]
) -> None:
    stack = stack_factory(PROJECT)
    for key, value in {
        "services.chat.replicas": "two",
        "services.code.model": "Qwen3-Coder",
        "services.titels.replicas": "2",
        "gpus.large": "",
        "frontier.base_url": "http://api.openai.com/v1",
    }.items():
        stack.set_config(f"environment.{key}", value, path=True)
    transcript("stacks/mistakes", stack.preview(expect_failure=True))


def test_a_cluster_that_is_not_configured_is_refused_at_preview(
    stack_factory: StackFactory,
) -> None:
    stack = stack_factory(PROJECT)
    stack.set_config("environment.cluster", "prod-us", path=True)
    assert (
        "fleet:environment.cluster: prod-us is none of default; add it to modelfleet:clusters"
        in stack.preview(expect_failure=True).output
    )
