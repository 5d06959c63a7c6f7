"""Runs of the real ``pulumi``: how long each command takes, and how large its plugin grows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.errors import BenchmarkError

PARALLEL = 64

_PROGRAM = Path(__file__).with_name("program")
_PLUGIN_MODULE = "pulumi.dynamic"
_POLL_SECONDS = 0.05
_SEARCH_SECONDS = 0.25
_LAST_LINES = 25

_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "up": ("--yes", "--skip-preview", "--parallel", str(PARALLEL)),
    "preview": ("--parallel", str(PARALLEL)),
    "refresh": ("--yes", "--skip-preview", "--parallel", str(PARALLEL)),
    "destroy": ("--yes", "--skip-preview", "--parallel", str(PARALLEL)),
}


@dataclass(frozen=True)
class Run:
    """One command: wall time, and what it took of the machine (0 of a plugin: there was none).

    ``cpu_seconds`` are those of the engine, the program and the plugin together.
    """

    seconds: float
    cpu_seconds: float
    plugin_cpu_seconds: float
    plugin_peak_bytes: int


class Stack:
    """One stack of a benchmark program, with commands as a user would type them."""

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        environ: Mapping[str, str],
        program: Path = _PROGRAM,
    ) -> None:
        """``environ`` is the whole environment of the commands."""
        self._name = name
        self._folder = folder / name
        self._environ = dict(environ)
        self._log = folder / f"{name}.log"
        shutil.copytree(program, self._folder, dirs_exist_ok=True)
        self._run(["stack", "select", "--create", name], self._environ, timeout_seconds=60)

    def run(self, verb: str, *, timeout_seconds: float, **environ: str) -> Run:
        """Run ``pulumi <verb>``, with more variables in its environment.

        Raises:
            BenchmarkError: it failed, or took longer; with the end of what it printed.
        """
        environment = {**self._environ, **environ}
        return self._run(self._arguments(verb), environment, timeout_seconds=timeout_seconds)

    async def start(self, verb: str, **environ: str) -> asyncio.subprocess.Process:
        """Start ``pulumi <verb>``, and leave it to the caller to read what it prints."""
        return await asyncio.create_subprocess_exec(
            "pulumi",
            *self._arguments(verb),
            "--non-interactive",
            cwd=self._folder,
            env={**self._environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _arguments(self, verb: str) -> list[str]:
        return [verb, "--stack", self._name, *_ARGUMENTS[verb], "--suppress-outputs"]

    def _run(
        self, arguments: list[str], environ: Mapping[str, str], *, timeout_seconds: float
    ) -> Run:
        command = ["pulumi", *arguments, "--non-interactive"]
        started, cpu_started = time.monotonic(), _cpu_seconds_of_children()
        with self._log.open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                plugin = _follow_plugin(process, deadline=started + timeout_seconds)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        seconds = time.monotonic() - started
        if process.returncode != 0:
            end = "\n".join(self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
            raise BenchmarkError(
                f"{' '.join(command)} ended with {process.returncode} after {seconds:.0f} s "
                f"(limit {timeout_seconds:.0f} s):\n{end}"
            )
        cpu_seconds = _cpu_seconds_of_children() - cpu_started
        return Run(seconds, cpu_seconds, plugin.cpu_seconds, plugin.peak_bytes)


@dataclass(frozen=True)
class _Plugin:
    """What the provider's process took."""

    peak_bytes: int = 0
    cpu_seconds: float = 0.0


def _follow_plugin(process: subprocess.Popen[bytes], *, deadline: float) -> _Plugin:
    """Wait for ``process`` until ``deadline``; return what the plugin below it took."""
    plugin: psutil.Process | None = None
    seen, search_at = _Plugin(), 0.0
    while process.poll() is None and time.monotonic() < deadline:
        if plugin is None and time.monotonic() >= search_at:
            # Looking through all processes costs what is measured; once found it is cheap.
            plugin, search_at = _plugin_below(process.pid), time.monotonic() + _SEARCH_SECONDS
        if plugin is not None:
            with contextlib.suppress(psutil.Error):
                cpu = plugin.cpu_times()
                peak = max(seen.peak_bytes, plugin.memory_info().rss)
                seen = _Plugin(peak, cpu.user + cpu.system)
        time.sleep(_POLL_SECONDS)
    return seen


def _cpu_seconds_of_children() -> float:
    """Return the processor time of all ended children and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _plugin_below(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                command = child.cmdline()
                if _PLUGIN_MODULE in command and Path(command[0]).name.startswith("python"):
                    return child
    return None
