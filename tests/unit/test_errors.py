"""The tree of errors: its shape, its texts, and that it is written down as it is."""

from __future__ import annotations

import inspect
import re

import pytest

from modelfleet import errors
from modelfleet.errors import (
    ClusterError,
    ModelFleetError,
    NotReadyError,
    Problem,
    ProviderBugError,
    SpecError,
    UnavailableError,
)
from modelfleet.local import errors as local_errors

CLASSES = [
    member
    for module in (errors, local_errors)
    for _, member in inspect.getmembers(module, inspect.isclass)
    if issubclass(member, Exception) and member.__module__ == module.__name__
]


def test_every_error_is_a_modelfleet_error_and_stands_in_the_drawn_tree_at_its_place() -> None:
    drawn = re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for indent, name in drawn:
        while above and above[-1][0] >= len(indent):
            above.pop()
        parents[name] = above[-1][1] if above else "Exception"
        above.append((len(indent), name))
    assert parents == {each.__name__: each.__bases__[0].__name__ for each in CLASSES}


def test_only_being_unavailable_is_worth_a_retry_and_says_when() -> None:
    error = UnavailableError("Deployment models/qwen", "busy", status=429, retry_after_seconds=2)
    assert error.retry_after_seconds == 2
    assert not any(hasattr(each, "retry_after_seconds") for each in CLASSES)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModelFleetError("It failed"), "It failed"),
        (ModelFleetError("It failed", hint="Do this."), "It failed. Do this."),
        (ModelFleetError("It failed!", hint="Do this."), "It failed! Do this."),
        (
            ClusterError("Service models/qwen", "is refused", status=403, hint="Ask."),
            "Service models/qwen: is refused. Ask.",
        ),
        (
            NotReadyError("ModelService models/qwen", ["failed.", "Pod a: crashed."]),
            "ModelService models/qwen: failed. Pod a: crashed.",
        ),
        (
            ProviderBugError("create ended with KeyError."),
            "create ended with KeyError. This is a bug in modelfleet; please report it with the "
            "traceback above.",
        ),
    ],
)
def test_a_message_is_subject_cause_and_then_the_hint(error: Exception, text: str) -> None:
    assert str(error) == text


def test_a_spec_error_holds_each_problem_once_sorted_by_path() -> None:
    problems = [Problem("b", "is wrong"), Problem("a", "is wrong"), Problem("b", "is wrong")]
    error = SpecError("ModelService qwen", problems)
    assert error.problems == (Problem("a", "is wrong"), Problem("b", "is wrong"))
    assert str(error) == "ModelService qwen: a: is wrong; b: is wrong"


def test_a_problem_of_the_whole_names_no_path() -> None:
    assert str(Problem("", "declare either")) == "declare either"


@pytest.mark.parametrize("each", CLASSES, ids=lambda each: each.__name__)
def test_every_error_says_in_a_sentence_what_it_means(each: type[Exception]) -> None:
    assert re.match(r"[A-Z].*\.", inspect.getdoc(each) or "")
