"""What ``import modelfleet`` offers."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import modelfleet
from modelfleet import errors, inputs


def test_the_public_names_are_sorted() -> None:
    assert sorted(modelfleet.__all__) == modelfleet.__all__


@pytest.mark.parametrize("name", modelfleet.__all__)
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    member = getattr(modelfleet, name)
    assert member.__name__ == name
    assert (member.__doc__ or "").partition("\n")[0].endswith(".")


def test_every_error_and_every_argument_type_is_public() -> None:
    raised = {
        name
        for name, member in vars(errors).items()
        if inspect.isclass(member) and issubclass(member, errors.ModelFleetError)
    }
    others = {"ModelProxy", "ModelService", "Problem"}
    assert set(modelfleet.__all__) == raised | set(inputs.__all__) | others


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'modelfleet' has no attribute 'Nothing'"):
        modelfleet.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import modelfleet, modelfleet.errors, modelfleet.local", {"pulumi", "pydantic"}),
        ("from modelfleet import ModelService", {"httpx", "deepdiff", "modelfleet.fleet"}),
    ],
    ids=["package", "program"],
)
def test_an_import_brings_nothing_that_is_not_needed(statement: str, forbidden: set[str]) -> None:
    script = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not forbidden & set(done.stdout.split())
