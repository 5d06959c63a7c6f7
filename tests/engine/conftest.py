"""Tests on the real engine; every test of this folder is marked ``engine``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_stack import Run
from stack_fixtures import (  # noqa: F401  (fixtures are found where they are imported)
    module_stack_factory,
    pulumi_environment,
    pulumi_path,
    stack_factory,
)

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("engine")


@pytest.fixture
def transcript(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``transcript(name, *runs)`` compares what was typed and printed with a recorded file."""
    update = request.config.getoption("--update-golden", default=False)

    def compare(name: str, *runs: Run) -> None:
        recorded = HERE / "transcripts" / f"{name}.txt"
        printed = "\n".join(run.normalised() for run in runs)
        if update:
            recorded.parent.mkdir(exist_ok=True)
            recorded.write_text(printed)
        assert recorded.exists(), f"{recorded} is missing; record it with --update-golden"
        assert printed == recorded.read_text()

    return compare
