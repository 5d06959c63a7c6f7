"""The SDK's example, by the commands of its README, prints what the README says."""

from __future__ import annotations

from pathlib import Path

import pytest

from documented import Shell, blocks, copy_of_this_checkout
from modelfleet.local import Plane
from modelfleet.local.api import Api

# One after the other, with the examples of the engine: all are in one namespace.
pytestmark = pytest.mark.xdist_group("models")


def test_the_example_does_what_its_readme_says(
    tmp_path: Path, plane: Plane, plane_api: Api
) -> None:
    plane_api.send(
        "PATCH",
        "/api/v1/namespaces/models",
        params={"fieldManager": "tests"},
        headers={"Content-Type": "application/apply-patch+yaml"},
        json={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}},
    )
    clone = copy_of_this_checkout(tmp_path / "clone")
    shown = {
        block.language: block for block in blocks(clone / "examples" / "python-sdk" / "README.md")
    }
    shell = Shell(clone, environment={"MODELFLEET_STATE": str(plane.state_folder)})
    *_, ran = shell.run(shown["sh"].commands)
    assert ran.stdout == shown["text"].text + "\n"
