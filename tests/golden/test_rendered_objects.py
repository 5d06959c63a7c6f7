"""What a declaration renders to, whole: ``<case>.input.yaml`` and ``<case>.output.yaml``.

``pytest tests/golden --update-golden`` rewrites the outputs; review them as a change of behaviour.
What an earlier renderer made of the cases of its time stays in ``renderer-<version>`` for good.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rendering import (
    CASES,
    INPUT,
    OUTPUT,
    case_names,
    declaration_of,
    recorded_in,
    recorded_outputs,
    rendered_text,
)

from modelfleet.render import RENDERER_VERSION


@pytest.mark.parametrize("case", case_names())
def test_a_declaration_renders_as_expected(case: str, request: pytest.FixtureRequest) -> None:
    expected = CASES / f"{case}{OUTPUT}"
    text = rendered_text(declaration_of(case))
    if request.config.getoption("--update-golden"):
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize(("version", "case"), recorded_outputs())
def test_a_renderer_of_an_earlier_release_renders_as_it_did_then(version: int, case: str) -> None:
    # Never recorded anew: a byte of difference restarts the pods of everybody who upgrades.
    folder = recorded_in(version)
    text = rendered_text(declaration_of(case, folder=folder), renderer_version=version)
    assert text == (folder / f"{case}{OUTPUT}").read_text()


def test_every_earlier_renderer_has_recorded_outputs() -> None:
    assert {version for version, _ in recorded_outputs()} == set(range(1, RENDERER_VERSION))


def test_every_expected_output_has_its_declaration() -> None:
    outputs = {path.name.removesuffix(OUTPUT) for path in CASES.glob(f"*{OUTPUT}")}
    assert outputs == set(case_names()), f"a case is <name>{INPUT} and <name>{OUTPUT}"


def test_rendering_does_not_depend_on_the_hash_seed() -> None:
    def printed(seed: str) -> bytes:
        program = Path(__file__).parent / "rendering.py"
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, str(program)], env=environment, capture_output=True, check=True
        ).stdout

    first, second = printed("1"), printed("42")
    assert first
    assert first == second
