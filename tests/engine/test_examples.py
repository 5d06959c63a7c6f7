"""Every example, by the commands of its own README, on the real engine and cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from namespaces import make_namespace

from documented import ROOT, Shell, blocks, copy_of_this_checkout
from local_models import claimed_models
from modelfleet.local import Plane
from modelfleet.local.api import Api

# One after the other, with the transcripts: all have a service "chat" in one namespace.
pytestmark = pytest.mark.xdist_group("models")

ELSEWHERE = {"with-pulumi-kubernetes"}
"""Needs a plugin that not every machine has: test_with_pulumi_kubernetes.py."""

EXAMPLES = sorted(
    {path.parent.name for path in (ROOT / "examples").glob("*/Pulumi.yaml")} - ELSEWHERE
)


@pytest.fixture(scope="module")
def claims(plane_api: Api) -> Iterator[None]:
    """What `make up` leaves in the namespace of its services, beside those."""
    with claimed_models(plane_api, namespace=make_namespace(plane_api, "models")):
        yield


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_does_what_its_readme_says(
    example: str,
    tmp_path: Path,
    plane: Plane,
    claims: None,
    transcript: Callable[..., None],
) -> None:
    clone = copy_of_this_checkout(tmp_path / "clone")
    commands = [
        command
        for block in blocks(clone / "examples" / example / "README.md")
        if block.language == "sh"
        for command in block.commands
    ]
    # The plane of the tests, instead of the one that `make up` would have left running.
    shell = Shell(clone, environment={"MODELFLEET_STATE": str(plane.state_folder)})
    transcript(f"examples/{example}", *shell.run(commands))
