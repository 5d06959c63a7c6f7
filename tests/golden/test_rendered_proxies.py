"""What a ModelProxy renders to, whole: ``render-proxy/<case>.input.yaml`` and ``.output.yaml``.

``pytest tests/golden --update-golden`` rewrites the outputs; review them as a change of behaviour.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from proxy_rendering import CASES, OUTPUT, case_names, rendered_proxy


@pytest.mark.parametrize("case", case_names())
def test_a_proxy_renders_as_expected(case: str, request: pytest.FixtureRequest) -> None:
    expected = CASES / f"{case}{OUTPUT}"
    text = rendered_proxy(case)
    if request.config.getoption("--update-golden"):
        expected.write_text(text)
    assert text == expected.read_text()


def test_every_expected_output_of_a_proxy_has_its_declaration() -> None:
    outputs = {path.name.removesuffix(OUTPUT) for path in CASES.glob(f"*{OUTPUT}")}
    assert outputs == set(case_names())


def test_rendering_a_proxy_does_not_depend_on_the_hash_seed() -> None:
    def printed(seed: str) -> bytes:
        program = Path(__file__).parent / "proxy_rendering.py"
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, str(program)], env=environment, capture_output=True, check=True
        ).stdout

    first, second = printed("1"), printed("42")
    assert first
    assert first == second
