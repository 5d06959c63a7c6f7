"""One stack of the real engine, driven through the command line as a user would.

Its project, state and home are folders of one test; nothing of the surrounding shell's Pulumi
reaches it, and it needs no network.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from transcripts import normalised

_TIMEOUT_SECONDS = 1800  # a limit for what hangs, on the slowest of machines
_PREFIXES_LEFT_OUT = ("PULUMI_", "MODELFLEET_")
_LEFT_OUT = (
    *("KUBECONFIG", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"),
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL"),  # a make within a make says where it goes
)
_ALWAYS = ("--non-interactive", "--color=never")


@dataclass(frozen=True)
class Run:
    """One command that ended: what it was, how it ended, what it printed."""

    typed: str
    returncode: int
    stdout: str
    stderr: str
    paths: Mapping[str, str] = field(repr=False)

    @property
    def output(self) -> str:
        """Everything it printed."""
        return self.stdout + self.stderr

    def diagnostics(self, resource: str) -> str:
        """Return what was said about one resource, by its logical name; empty when nothing was."""
        blocks = re.split(r"^  \S+ \((.*)\):\n", self.output, flags=re.MULTILINE)
        said = dict(zip(blocks[1::2], blocks[2::2], strict=True)).get(resource, "")
        # The last one is followed by a blank line and the next section.
        return textwrap.dedent(re.split(r"^\S", said, flags=re.MULTILINE)[0]).strip()

    def normalised(self) -> str:
        """Return what was typed and printed, without what differs between runs."""
        printed = normalised(self.output, paths=self.paths)
        return f"$ {self.typed}\n{printed}"


class Stack:
    """A project folder and one stack in it; each method is a command of ``pulumi``.

    A command that ends otherwise than expected fails the test and shows what it printed.
    """

    def __init__(self, project: Path, *, name: str, environment: Mapping[str, str]) -> None:
        self.project = project
        self.name = name
        self.environment = dict(environment)
        self._started: list[psutil.Process] = []
        self.pulumi("stack", "select", "--create", name)

    def program(self, text: str) -> None:
        """Replace the program."""
        (self.project / "__main__.py").write_text(text)

    def preview(self, *arguments: str, expect_failure: bool = False) -> Run:
        """``pulumi preview``."""
        return self.pulumi("preview", *arguments, expect_failure=expect_failure)

    def up(self, *arguments: str, parallel: int = 64, expect_failure: bool = False) -> Run:
        """``pulumi up``, without the preview before it."""
        return self._change("up", *arguments, parallel=parallel, expect_failure=expect_failure)

    def refresh(self, *arguments: str, parallel: int = 64, expect_failure: bool = False) -> Run:
        """``pulumi refresh``, without the preview before it."""
        return self._change("refresh", *arguments, parallel=parallel, expect_failure=expect_failure)

    def destroy(self, *arguments: str, parallel: int = 64, expect_failure: bool = False) -> Run:
        """``pulumi destroy``, without the preview before it."""
        return self._change("destroy", *arguments, parallel=parallel, expect_failure=expect_failure)

    def cancel(self) -> Run:
        """``pulumi cancel``: take away the lock that a killed engine left."""
        return self.pulumi("cancel", "--yes")

    def set_config(self, key: str, value: str, *, secret: bool = False, path: bool = False) -> Run:
        """``pulumi config set``."""
        flags = ["--secret" if secret else "--plaintext", *(["--path"] if path else [])]
        return self.pulumi("config", "set", *flags, key, value)

    def rename(self, name: str) -> None:
        """``pulumi stack rename``."""
        self.pulumi("stack", "rename", name)
        self.name = name

    def export(self) -> dict[str, Any]:
        """Return the state, as ``pulumi stack export`` prints it, from where the engine keeps it.

        Tests look often, and reading a file needs no engine.
        """
        backend = Path(self.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
        (file,) = (backend / ".pulumi" / "stacks").glob(f"*/{self.name}.json")
        kept = json.loads(file.read_text())
        return {"version": kept["version"], "deployment": kept["checkpoint"].get("latest") or {}}

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the resources in the state by logical name, providers left out."""
        return {
            resource["urn"].rpartition("::")[2]: resource
            for resource in self.export()["deployment"].get("resources", [])
            if not resource["type"].startswith("pulumi:providers:")
        }

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the stack, secrets in plain text."""
        printed = self.pulumi("stack", "output", "--json", "--show-secrets").stdout
        outputs: dict[str, Any] = json.loads(printed)
        return outputs

    def pulumi(self, *arguments: str, expect_failure: bool = False) -> Run:
        """Run ``pulumi`` with ``arguments`` and return how it went."""
        ended = subprocess.run(
            ["pulumi", *arguments, *_ALWAYS],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        typed = " ".join(["pulumi", *(each for each in arguments if not _is_for_tests(each))])
        run = Run(typed, ended.returncode, ended.stdout, ended.stderr, self._paths())
        if (run.returncode != 0) != expect_failure:
            pytest.fail(f"{typed!r} ended with {run.returncode}:\n{run.output}", pytrace=False)
        return run

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``pulumi`` with ``arguments`` and return at once; for runs that are interrupted."""
        with (self.project.parent / f"{arguments[0]}.log").open("w") as log:
            return subprocess.Popen(
                ["pulumi", *arguments, *_ALWAYS],
                cwd=self.project,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self, engine: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """Kill the engine alone, with no chance to say goodbye; return its plugins."""
        plugins = psutil.Process(engine.pid).children(recursive=True)
        self._started += plugins
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        return plugins

    def close(self) -> None:
        """End what a killed engine left behind (its language host waits for ever)."""
        for process in self._started:
            if process.is_running():
                process.kill()

    def _change(self, verb: str, *arguments: str, parallel: int, expect_failure: bool) -> Run:
        options = ("--yes", "--skip-preview", f"--parallel={parallel}")
        return self.pulumi(verb, *options, *arguments, expect_failure=expect_failure)

    def _paths(self) -> dict[str, str]:
        return {str(self.project): "<project>", str(self.project.parent): "<folder>"}


def _is_for_tests(argument: str) -> bool:
    return argument in {"--yes", "--skip-preview"} or argument.startswith("--parallel=")


def clean_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the surrounding shell's variables without those that change what commands do."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_PREFIXES_LEFT_OUT) and name not in _LEFT_OUT
    }
