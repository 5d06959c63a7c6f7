"""Runs that end in the middle: killed or interrupted, with a state that knows nothing of them.

The services are many and stopped, so that being in the middle is a matter of writing, not waiting.
The last of them wait for a gate to be opened: however long it takes to interrupt a run, it is not
over by then.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import pytest
from declaring import ACCEPTED, Code, hosted, program
from looking import Namespace, incarnations, wait_until

from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]

NAMES = [f"svc-{number:02}" for number in range(30)]
BEYOND_THE_GATE = 6
IN_THE_MIDDLE = 10
_SKIPPED = {"PULUMI_SKIP_CHECKPOINTS": "true"}


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


@pytest.fixture
def stack(stack_factory: StackFactory, here: Namespace) -> Stack:
    # Of its own name: prune looks for what belongs to the owner, which is named after the project,
    # in the whole cluster.
    return stack_factory(
        stopped(here, NAMES), project=here.name, cluster=True, environment=_SKIPPED
    )


GATE = """\
import asyncio
from pathlib import Path

async def opened():
    while not Path("gate-is-open").exists():
        await asyncio.sleep(0.1)
    return "beyond the gate"
"""


def stopped(here: Namespace, names: Sequence[str]) -> str:
    """Return a program of services without pods."""
    return gated(here, names, deployment={"replicas": 0}, wait=ACCEPTED)


def gated(here: Namespace, names: Sequence[str], **fields: Any) -> str:
    """Return a program of services, the last of which are not declared before the gate opens."""
    beyond = {"description": Code("opened()")}
    return program(
        *(
            hosted(name, namespace=here.name, **fields, **(beyond if is_beyond else {}))
            for name, is_beyond in zip(
                names,
                [*[False] * (len(names) - BEYOND_THE_GATE), *[True] * BEYOND_THE_GATE],
                strict=True,
            )
        ),
        before=GATE,
    )


def open_gate(stack: Stack) -> None:
    (stack.project / "gate-is-open").touch()


def in_the_middle(stack: Stack, here: Namespace) -> subprocess.Popen[bytes]:
    """Start an ``up`` and return when it has made some of the services."""
    engine = stack.start("up", "--yes", "--skip-preview", "--parallel=4")
    wait_until(lambda: len(here.names("deployments")) >= IN_THE_MIDDLE)
    return engine


def plugin_of(engine: subprocess.Popen[bytes]) -> psutil.Process:
    (plugin,) = [
        each
        for each in psutil.Process(engine.pid).children(recursive=True)
        if "pulumi.dynamic" in each.cmdline()
    ]
    return plugin


def killed_with_its_plugin(stack: Stack, here: Namespace) -> list[str]:
    """Kill engine and plugin in the middle of an ``up``; return the services that are whole."""
    engine = in_the_middle(stack, here)
    plugin = plugin_of(engine)
    stack.kill(engine)
    plugin.kill()
    psutil.wait_procs([plugin])
    made = here.names("deployments")
    assert IN_THE_MIDDLE <= len(made) < len(NAMES)
    assert "locked by 1 lock" in stack.up(expect_failure=True).output
    stack.cancel()
    assert stack.resources() == {}, "nothing was saved"
    open_gate(stack)
    return made


def pruned(stack: Stack, *arguments: str) -> list[str]:
    """Return the names that ``modelfleet prune`` lists."""
    return sorted(re.findall(r"ModelService \S+/(\S+)", printed_by_prune(stack, *arguments)))


def printed_by_prune(stack: Stack, *arguments: str) -> str:
    return subprocess.run(
        ["modelfleet", "prune", "--stack", stack.name, "--cwd", stack.project, *arguments],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    ).stdout


def test_after_a_kill_the_same_program_converges(stack: Stack, here: Namespace) -> None:
    killed_with_its_plugin(stack, here)
    stack.up()
    assert stack.resources().keys() == {f"{here.name}-dev", *NAMES}
    assert here.names("deployments") == NAMES
    in_state = {stack.resources()[name]["outputs"]["incarnation"] for name in NAMES}
    assert incarnations(here.own()) == in_state
    assert pruned(stack) == [], "what the state has is never left over"

    # One that does not go keeps the run from being over before it is killed.
    here.edit("deployments", NAMES[0], {"metadata": {"finalizers": ["example.org/held"]}})
    engine = stack.start("destroy", "--yes", "--skip-preview", "--parallel=4")
    wait_until(lambda: len(here.names("deployments")) <= len(NAMES) - IN_THE_MIDDLE)
    plugin = plugin_of(engine)
    stack.kill(engine)
    plugin.kill()
    assert NAMES[0] in here.names("deployments")
    here.edit("deployments", NAMES[0], {"metadata": {"finalizers": None}})
    stack.cancel()
    stack.destroy()
    assert here.own() == []


def test_after_a_kill_prune_lists_exactly_what_the_program_no_longer_has(
    stack: Stack, here: Namespace
) -> None:
    made = killed_with_its_plugin(stack, here)
    dropped = made[:10]
    kept = [name for name in NAMES if name not in dropped]
    stack.program(stopped(here, kept))
    stack.up()
    assert pruned(stack) == dropped
    documents = json.loads(printed_by_prune(stack, "--output", "json"))
    assert [(each["name"], each["deleted"]) for each in documents] == [(n, False) for n in dropped]
    assert f"Deployment {here.name}/{dropped[0]}" in documents[0]["objects"]
    assert here.names("deployments") == NAMES, "listing deletes nothing"
    assert pruned(stack, "--yes") == dropped
    wait_until(lambda: here.names("deployments") == kept)
    assert here.names("services") == kept
    assert pruned(stack) == []


def test_a_plugin_whose_engine_was_killed_stops_writing_and_prune_leaves_nothing(
    stack: Stack, here: Namespace
) -> None:
    engine = in_the_middle(stack, here)
    plugin = plugin_of(engine)
    stack.kill(engine)
    gone, _ = psutil.wait_procs([plugin], timeout=300)
    assert gone == [plugin]
    stack.cancel()

    left = here.versions()
    stack.destroy()
    assert here.versions() == left, "a state without resources destroys nothing"
    names = {obj["metadata"]["name"] for obj in here.own()}
    assert pruned(stack, "--yes") == sorted(names)
    wait_until(lambda: here.own() == [])
    assert pruned(stack) == []


def test_an_interrupted_run_saves_what_it_has_made_and_the_next_goes_on(
    stack_factory: StackFactory, here: Namespace
) -> None:
    names = NAMES[:12]
    stack = stack_factory(gated(here, names, behaviour="slow"), cluster=True)
    engine = stack.start("up", "--yes", "--skip-preview", "--parallel=4")
    wait_until(lambda: len(here.names("deployments")) >= 4)
    engine.send_signal(signal.SIGINT)
    assert engine.wait(timeout=600) != 0
    saved = stack.resources().keys() - {"project-dev"}
    assert 4 <= len(saved) < len(names)
    assert here.names("deployments") == sorted(saved)

    open_gate(stack)
    stack.up()
    assert stack.resources().keys() == {"project-dev", *names}
    assert here.names("deployments") == names
