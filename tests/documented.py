"""Commands that a document shows, run as its reader would: one after the other, in one shell.

A reader starts with a clone and nothing set up in the shell. Here the clone is a copy of this
checkout, uncommitted files included, with the virtual environment that `make setup` has made.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pulumi_stack import Run, clean_environment

ROOT = Path(__file__).parents[1]

_HEADING = re.compile(r"^#+ (?P<title>.+)$")
_FENCE = re.compile(r"^```(?P<language>\w*)$")
_TIMEOUT_SECONDS = 1500  # a limit for what hangs, on the slowest of machines


@dataclass(frozen=True)
class Block:
    """A fenced block of a document, and the heading it stands under."""

    heading: str
    language: str
    text: str

    @property
    def slug(self) -> str:
        """The heading as a file name."""
        return re.sub(r"[^a-z0-9]+", "-", self.heading.lower()).strip("-")

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block; a backslash at the end of a line goes on in the next."""
        joined = self.text.replace("\\\n", "")
        lines = (re.sub(r"(^|\s+)#.*$", "", line).strip() for line in joined.splitlines())
        return [re.sub(r"\s+", " ", line) for line in lines if line]


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a Markdown document, in order."""
    found: list[Block] = []
    heading, language = "", None
    lines: list[str] = []
    for line in document.read_text().splitlines():
        fence = _FENCE.match(line)
        if language is not None:
            if fence:
                found.append(Block(heading, language, "\n".join(lines)))
                language, lines = None, []
            else:
                lines.append(line)
        elif fence:
            language = fence["language"]
        elif title := _HEADING.match(line):
            heading = title["title"]
    return found


def copy_of_this_checkout(folder: Path) -> Path:
    """Make what a reader has after cloning and `make setup`, and return its folder."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            os.utime(target, (0, 0))  # older than the virtual environment
    _share_virtual_environment(folder / ".venv")
    return folder


def _share_virtual_environment(folder: Path) -> None:
    folder.mkdir()
    for entry in (ROOT / ".venv").iterdir():
        if entry.name != ".locked":
            (folder / entry.name).symlink_to(entry)
    (folder / ".locked").touch()  # how `make setup` knows that it has nothing to do


class Shell:
    """A reader's shell. Commands of one call share its variables and its working directory."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = {
            **clean_environment(),
            "COLUMNS": "120",
            "NO_COLOR": "1",
            "PULUMI_SKIP_CONFIRMATIONS": "true",  # nobody is there to say yes
            "PODS": "no",  # as on most machines; with real nodes it is run in tests/pods
            **(environment or {}),
        }

    def run(self, commands: Sequence[str]) -> list[Run]:
        """Run ``commands``, none of which may fail; return what each printed."""
        mark = "<<<next command>>>"
        script = "".join(f"echo '{mark}'\n{command}\n" for command in commands)
        with subprocess.Popen(
            ["sh", "-eu", "-c", f"exec 2>&1\n{script}"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as shell:
            try:
                said, _ = shell.communicate(timeout=_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired as late:
                os.killpg(shell.pid, signal.SIGKILL)  # what it started holds the pipe as well
                so_far = (late.stdout or b"").decode()
                pytest.fail(f"not over after {late.timeout:g} s:\n{so_far}", pytrace=False)
        if shell.returncode:
            pytest.fail(f"ended with {shell.returncode}:\n{said}", pytrace=False)
        printed = said.split(f"{mark}\n")[1:]
        return [
            Run(command, 0, _without_numbers(text), "", {str(self._folder): "<clone>"})
            for command, text in zip(commands, printed, strict=True)
        ]


def _without_numbers(text: str) -> str:
    """Return what is printed without process numbers and seconds."""
    replaced: Mapping[str, str | Callable[[re.Match[str]], str]] = {
        r"done in \d+(\.\d+)? s": "done in <seconds> s",
        r"^processes  .*$": lambda line: re.sub(r" \d+", " <pid>", line[0]),
    }
    for pattern, placeholder in replaced.items():
        text = re.sub(pattern, placeholder, text, flags=re.MULTILINE)
    return text
