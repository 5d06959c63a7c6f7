"""Starts programs that outlive us, finds them again, and ends them: nobody else's.

A plane's processes are known by their command line: one of the plane's programs, with a flag
that points into the plane's own folder. There are no pid files, so none can be stale, lost, or
point to a stranger that got the number later.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

_KILLED_SECONDS = 120  # for the kernel, on a machine that is busy, to take all back that they had

# The shell goes away at once: the program gets init as its parent, and we get no zombie and no
# child to wait for. `exec` in the background gives the program its own command line.
_DETACH = """
{ cd "$1" && log="$2" && shift 2 && exec "$@" >>"$log" 2>&1 </dev/null; } >/dev/null 2>&1 &
echo $!
"""


def start(argv: Sequence[str], *, folder: Path, log: Path, environ: Mapping[str, str]) -> int:
    """Start ``argv`` in ``folder``, in a session of its own, its output appended to ``log``.

    Returns the process id that the program has, or will have once a shell has become it.
    """
    shell = subprocess.run(
        ["/bin/sh", "-c", _DETACH, "sh", str(folder), str(log), *argv],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=dict(environ),
    )
    return int(shell.stdout)


def find(folder: Path, programs: Iterable[str]) -> list[psutil.Process]:
    """Processes of this user that run one of ``programs`` on files in ``folder``, oldest first."""
    names = frozenset(programs)
    user_id = os.getuid()
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            argv = process.cmdline()
            if belongs(argv, folder=folder, programs=names) and process.uids().real == user_id:
                found.append(process)
    return sorted(found, key=lambda process: process.create_time())


def belongs(argv: Sequence[str], *, folder: Path, programs: frozenset[str]) -> bool:
    """Whether a command line is one of ``programs`` with an argument that points into ``folder``.

    The slash behind the folder keeps planes apart whose paths begin alike.
    """
    if not argv or Path(argv[0]).name not in programs:
        return False
    inside = f"{folder}/"
    return any(a.startswith(inside) or f"={inside}" in a for a in argv[1:])


def name_of(process: psutil.Process) -> str:
    """The program's name, ``""`` when the process is gone."""
    return Path(argv[0]).name if (argv := argv_of(process)) else ""


def argv_of(process: psutil.Process) -> list[str]:
    """The command line, empty when the process is gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def end(ended: Sequence[psutil.Process], *, timeout_seconds: float = 10) -> None:
    """Ask each process to end, insist after the timeout, and return when all are gone.

    psutil compares start times before it sends a signal, so a reused pid is never hit.
    """
    _signal(ended, psutil.Process.terminate)
    _signal(_left_after(timeout_seconds, ended), psutil.Process.kill)
    _left_after(_KILLED_SECONDS, ended)


def _signal(targets: Iterable[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in targets:
        with contextlib.suppress(psutil.NoSuchProcess):
            send(process)


def _left_after(timeout_seconds: float, ended: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run after the timeout; returns early when none does.

    A zombie counts as gone: it holds nothing, and not every container's init collects them.
    """
    deadline = time.monotonic() + timeout_seconds
    while (left := [process for process in ended if _runs(process)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def last_lines(log: Path, *, count: int = 15) -> str:
    """The end of a log file, ``""`` when there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-count:])


def wait_until_started(pid: int, *, program: str) -> bool:
    """Whether a process that was started runs ``program``, once its shell has become that.

    Between fork and exec the shell still wears its own name, for as long as the machine makes it,
    and for a moment it has none.
    """
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        while not (argv := process.cmdline()) or argv[2:3] == [_DETACH]:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            time.sleep(0.02)
        return Path(argv[0]).name == program
    return False
