"""The command line as a user has it: arguments, what is typed, and what comes back."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from modelfleet.adapters.cli.main import main


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class CommandLine:
    """``modelfleet`` with the kubeconfig of one user."""

    kubeconfig: Path

    def run(self, *arguments: str, typed: str = "") -> Ran:
        """Run a command in this process; ``typed`` is what somebody types, then nobody does."""
        argv = ["modelfleet", *arguments, "--kubeconfig", str(self.kubeconfig)]
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        with (
            patch.object(sys, "argv", argv),
            patch.object(sys, "stdin", io.StringIO(typed)),
            patch.dict(os.environ, environment, clear=True),
            redirect_stdout(io.StringIO()) as out,
            redirect_stderr(io.StringIO()) as err,
            pytest.raises(SystemExit) as ended,
        ):
            main()
        return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def printed(self, *arguments: str, typed: str = "") -> str:
        """Run a command that ends well, and return what it printed."""
        ran = self.run(*arguments, typed=typed)
        assert ran.code == 0, ran
        return ran.out

    def refused(self, *arguments: str, typed: str = "") -> str:
        """Run a command that fails, and return its one paragraph."""
        ran = self.run(*arguments, typed=typed)
        assert (ran.code, ran.err.count("error: ")) == (1, 1), ran
        assert "Traceback" not in ran.err
        return ran.err.rpartition("error: ")[2].strip()
