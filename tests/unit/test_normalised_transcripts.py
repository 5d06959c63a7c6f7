"""What transcripts leave out: whatever depends on how long a step took."""

from __future__ import annotations

import pytest

from transcripts import normalised

OPERATION = """\
Updating (dev):

 ~  pulumi-python:dynamic/modelfleet:ModelService chat updated (2s) [diff: ~deployment]{told}
 +  pulumi-python:dynamic/modelfleet:ModelProxy front created (4s){waited}
Diagnostics:
  pulumi-python:dynamic/modelfleet:ModelService (chat):
    in place: deployment.replicas 2 → 3

Resources:
    ~ 1 updated

Duration: 4s
"""

IN_TIME = normalised(
    OPERATION.format(told="; in place: deployment.replicas 2 → 3", waited=""), paths={}
)


@pytest.mark.parametrize("told", ["; waiting: Pod chat-1: not scheduled", "; waited 12 s"])
@pytest.mark.parametrize("waited", [" waiting: a Pod", " waited 4 s"])
def test_whether_a_step_was_waited_for_is_left_out(told: str, waited: str) -> None:
    assert normalised(OPERATION.format(told=told, waited=waited), paths={}) == IN_TIME
    assert "updated [diff: ~deployment]; in place: deployment.replicas 2 → 3\n" in IN_TIME
    assert "front created\n" in IN_TIME
