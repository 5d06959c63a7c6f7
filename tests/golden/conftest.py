"""The option with which expected outputs are rewritten instead of compared."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what is rendered now into the expected outputs, for a person to review",
    )
