"""The reference of AgentRun's SDK and API: what the tables say, and all there is to be said."""

from __future__ import annotations

import re

import pytest

from modelfleet.agentrun.differences import DIFFERENCES, Where
from modelfleet.agentrun.fields import FIELDS
from modelfleet.codegen.__main__ import CHECKOUT
from modelfleet.codegen.agentrun_reference import agentrun_text

TOLD = agentrun_text()


def test_the_reference_is_what_the_tables_say() -> None:
    page = CHECKOUT / "docs" / "reference" / "agentrun.md"
    assert page.read_text("utf-8") == TOLD


@pytest.mark.parametrize("where", list(Where))
def test_every_place_has_differences(where: Where) -> None:
    assert any(each.where is where for each in DIFFERENCES)


def test_every_difference_says_what_is_done_there_and_here_and_why() -> None:
    for each in DIFFERENCES:
        assert each.theirs != each.ours
        for text in (each.theirs, each.ours, each.why):
            assert text.endswith((".", ". ", "…"))
            assert "\n" not in text
    assert len({each.theirs for each in DIFFERENCES}) == len(DIFFERENCES)


@pytest.mark.parametrize(
    "subject",
    [
        "Config that it came by for all later calls",
        "Inputs are never changed",
        "By status and error code alone",
        "403 is never taken for",
        "Service, then proxy",
        "A name that means both is refused",
        "`status_reason` is a field",
        "raise_on_failure=True",
        "Nothing that is said is dropped",
        "clear=",
        "secret environment it shows the names",
        "PRIVATE, and nothing else",
        "are of one moment",
        "none is without an id",
        "with every call; those of the call win",
        "Both generations of call shapes work",
        "Seconds, for every time",
        "No file is read at import",
        "takes an explicit region back",
        "STOPPED is null, DEGRADED is READY",
        "`custom_llm_provider` may be openai or custom",
        "OpenAI's own client",
        "with `deployment` it runs here",
        "A Kubernetes Secret of the namespace",
        "take_ownership=True",
    ],
)
def test_what_programs_may_stumble_over_is_told(subject: str) -> None:
    assert subject in TOLD


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_every_field_has_a_row_with_both_spellings(kind: str) -> None:
    section = TOLD.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    for field in FIELDS[kind].values():
        assert re.search(rf"^\| `{field.name}`( \+)? \| `{field.wire}` \|", section, re.MULTILINE)
