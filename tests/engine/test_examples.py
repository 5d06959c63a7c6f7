"""Every example, by the commands of its own README, on the real engine and cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
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

ON_TINY_MODELS = {"gateway"}

EXAMPLES = sorted(
    {path.parent.name for path in (ROOT / "examples").glob("*/Pulumi.yaml")} - ELSEWHERE
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_does_what_its_readme_says(
    example: str,
    tmp_path: Path,
    plane: Plane,
    plane_api: Api,
    pulumi_path: str,
    transcript: Callable[..., None],
) -> None:
    make_namespace(plane_api, "models")
    clone = copy_of_this_checkout(tmp_path / "clone")
    commands = [
        command
        for block in blocks(clone / "examples" / example / "README.md")
        if block.language == "sh"
        for command in block.commands
    ]
    knows_packages = plane.state_folder / "bin" / "python3"
    if not knows_packages.exists():
        knows_packages.symlink_to(Path(pulumi_path.partition(":")[0]) / "python3")
    # The plane of the tests, instead of the one that `make up` would have left running.
    shell = Shell(clone, environment={"MODELFLEET_STATE": str(plane.state_folder)})
    # What `make up` leaves in the namespace beside its services.
    has_models = claimed_models(plane_api, namespace="models")
    with has_models if example in ON_TINY_MODELS else contextlib.nullcontext():
        runs = shell.run(commands)
    transcript(f"examples/{example}", *runs)
