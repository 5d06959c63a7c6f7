"""Tests on the real engine; every test of this folder is marked ``engine``."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack_fixtures import (  # noqa: F401  (fixtures are found where they are imported)
    module_stack_factory,
    pulumi_environment,
    pulumi_path,
    stack_factory,
    transcript,
)

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("engine")
