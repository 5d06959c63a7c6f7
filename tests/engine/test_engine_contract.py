"""What our plumbing relies on in the SDK and the engine, with a provider that manages nothing.

A new version of either is taken up after this file passes with it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from looking import wait_until
from pulumi.dynamic.dynamic import PROVIDER_KEY
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key

from pulumi_stack import Run, Stack

PROJECT = Path(__file__).parent.parent / "fixtures" / "toy_project"
PLANTED = "s3cr3t-value"
KEY = f'key=pulumi.Output.secret("{PLANTED}")'
PROGRAM = "import pulumi\nfrom toy import Toy\n\n"

Transcript = Callable[..., None]


@pytest.fixture
def stack(stack_factory: Callable[..., Stack]) -> Stack:
    return stack_factory(PROJECT)


def toys(*declarations: str) -> str:
    return PROGRAM + "".join(f"Toy({each})\n" for each in declarations)


def is_encrypted(value: object) -> bool:
    return isinstance(value, dict) and value.get(_special_sig_key) == _special_secret_sig


@dataclass(frozen=True)
class Failed:
    """One stack with four toys, and its first two runs: three of them fail to be made."""

    first: Run
    after_first: Mapping[str, Any]
    second: Run
    after_second: Mapping[str, Any]


@pytest.fixture(scope="module")
def failed(module_stack_factory: Callable[..., Stack]) -> Failed:
    stack = module_stack_factory(PROJECT)
    puma = f'"puma", {KEY}, fails="not ready"'
    stack.program(toys('"bear"', '"kite", fails="refused"', '"lion", fails="bug"', puma))
    first = stack.up("--continue-on-error", expect_failure=True)
    after_first = stack.resources()
    stack.program(toys('"bear"', puma))
    return Failed(first, after_first, stack.up(expect_failure=True), stack.resources())


@pytest.fixture(scope="module")
def made(module_stack_factory: Callable[..., Stack]) -> Stack:
    """Two toys that were made, with all that is asked of how; nobody changes them."""
    stack = module_stack_factory(PROJECT, project="made")
    stack.set_config("modelfleet:fleet.owner", "team-a", path=True)
    stack.set_config("modelfleet:fleet.token", PLANTED, path=True, secret=True)
    stack.program(two_toys(note="4096"))
    stack.up()
    return stack


def two_toys(*, note: str) -> str:
    timeouts = "pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='3m'))"
    bear, kite = '"bear"', f'"kite", {timeouts}, note="{note}"'
    return toys(bear, kite)


def test_an_error_is_one_paragraph_without_a_traceback(failed: Failed) -> None:
    assert failed.first.diagnostics("kite") == (
        "error: Toy kite: denied by quota. Ask for more toys."
    )
    assert "kite" not in failed.after_first


def test_a_bug_of_ours_keeps_its_traceback_and_says_whose_it_is(failed: Failed) -> None:
    said = failed.first.diagnostics("lion")
    assert said.startswith("error: Traceback (most recent call last):")
    assert "LookupError: nobody thought of this" in said
    assert said.endswith(
        "Toy lion: create ended with LookupError. This is a bug in modelfleet; "
        "please report it with the traceback above."
    )


def test_a_create_that_is_not_ready_stays_in_the_state_and_the_next_up_goes_on(
    failed: Failed, transcript: Transcript
) -> None:
    assert failed.after_first["puma"]["initErrors"] == [
        "pod toy-0 cannot be scheduled: 0/3 nodes have 8 GPUs (deployment.gpu.count)."
    ]
    assert failed.after_first["bear"].keys().isdisjoint({"initErrors"})
    transcript("contract-not-ready", failed.second)


def test_secrets_stay_encrypted_when_a_create_and_an_update_are_not_ready(failed: Failed) -> None:
    for resources in (failed.after_first, failed.after_second):
        puma = resources["puma"]
        assert PLANTED not in str(resources)
        assert is_encrypted(puma["inputs"]["key"])
        assert is_encrypted(puma["outputs"]["key"]), "given by the user"
        assert is_encrypted(puma["outputs"]["token"]), "computed by the provider"
        assert puma["inputs"][PROVIDER_KEY] == puma["outputs"][PROVIDER_KEY]


def test_every_problem_is_one_line_and_none_shows_a_value(
    stack: Stack, transcript: Transcript
) -> None:
    mistakes = '{"key": "is too short", "deployment.gpu.count": "must be at least 1"}'
    stack.program(toys(f'"kite", {KEY}, mistakes={mistakes}'))
    preview = stack.preview(expect_failure=True)
    assert PLANTED not in preview.output
    transcript("contract-problems", preview)


def test_an_update_that_is_not_ready_and_is_then_put_back_is_made_again(stack: Stack) -> None:
    stack.program(toys('"kite"'))
    stack.up()
    stack.program(toys('"kite", fails="not ready"'))
    stack.up(expect_failure=True)
    kite = stack.resources()["kite"]
    # The engine keeps the inputs that worked, and the outputs of what is live.
    assert ("fails" in kite["inputs"], "fails" in kite["outputs"]) == (False, True)
    stack.program(toys('"kite"'))
    assert "~ 1 updated" in stack.up().output
    kite = stack.resources()["kite"]
    assert "fails" not in kite["outputs"]
    assert "initErrors" not in kite


def test_a_refresh_of_what_is_still_not_ready_warns_and_the_next_up_goes_on(
    stack: Stack, transcript: Transcript
) -> None:
    stack.program(toys('"kite", fails="not ready"'))
    stack.up(expect_failure=True)
    transcript("contract-refresh-not-ready", stack.refresh(), stack.preview())


def test_the_state_holds_a_reference_to_the_provider_and_not_its_code(made: Stack) -> None:
    blobs = {made.resources()[name]["outputs"][PROVIDER_KEY] for name in ("bear", "kite")}
    (pickled,) = map(base64.b64decode, blobs)
    assert b"toy_provider" in pickled
    assert len(pickled) < 64


def test_a_message_of_a_preview_stands_beside_its_resource(
    made: Stack, transcript: Transcript
) -> None:
    made.program(two_toys(note="8192"))
    transcript("contract-message", made.preview())


def test_progress_shows_while_a_resource_is_worked_on_and_is_not_kept(stack: Stack) -> None:
    stack.program(toys('"kite", seconds=2'))
    printed = stack.up().output
    assert re.search(r"Toy kite creating( \(\d+s\))? waiting: 1 of 2 s", printed)
    assert not [each for each in printed.splitlines() if "created" in each and "waiting" in each]
    assert "Diagnostics:" not in printed


def test_a_verb_knows_its_urn_and_the_timeout_the_user_gave(made: Stack) -> None:
    kite = made.resources()["kite"]
    assert kite["outputs"]["urn_seen"] == kite["urn"]
    assert kite["outputs"]["timeout_seen"] == 180


def test_structured_and_secret_configuration_reaches_the_provider(made: Stack) -> None:
    told = made.resources()["kite"]["outputs"]["fleet"]
    assert json.loads(told) == {"owner": "team-a", "token": PLANTED}


def test_more_creates_wait_side_by_side_than_the_sdk_has_threads(stack: Stack) -> None:
    stack.program(f'{PROGRAM}for number in range(64):\n    Toy(f"toy{{number}}", meets=64)\n')
    assert "65 created" in stack.up(parallel=64).output


def test_a_plugin_ends_with_its_engine_and_a_new_run_converges(stack: Stack) -> None:
    stack.program(toys('"kite", seconds=3600'))
    engine = stack.start("up", "--yes", "--skip-preview")
    ticks = stack.project / "ticks"
    wait_until(ticks.exists)
    plugin = psutil.Process(int(ticks.read_text().split()[0]))
    stack.kill(engine)
    psutil.wait_procs([plugin], timeout=300)
    assert not plugin.is_running()
    assert "locked by 1 lock" in stack.up(expect_failure=True).output
    stack.cancel()
    stack.program(toys('"kite"'))
    assert "+ 1 created" in stack.up().output
