"""Whose process is whose, and that ending one never hits another."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from modelfleet.local import processes
from modelfleet.local.components import PROGRAMS, Ports, command_lines

FOLDER = Path("/home/me/project/.modelfleet/plane")


@pytest.mark.parametrize(
    ("argv", "ours"),
    [
        (["/cache/etcd", f"--data-dir={FOLDER}/etcd"], True),
        (["etcd", "--log-level=warn", f"--data-dir={FOLDER}/etcd"], True),
        (["/cache/etcd", "--data-dir=/var/lib/etcd"], False),
        (["/cache/etcd", f"--data-dir={FOLDER}2/etcd"], False),
        (["/cache/etcd", "--data-dir=/home/me/project/.modelfleet/tests/1/plane/etcd"], False),
        (["vi", f"--cmd={FOLDER}/etcd"], False),
        (["/bin/sh", "-c", "…", f"--data-dir={FOLDER}/etcd"], False),
        (["etcd"], False),
        ([], False),
    ],
)
def test_a_process_is_ours_if_it_is_a_program_of_ours_on_files_of_ours(
    argv: list[str], ours: bool
) -> None:
    assert processes.belongs(argv, folder=FOLDER, programs=frozenset(PROGRAMS)) is ours


def test_every_command_line_names_the_planes_folder() -> None:
    commands = command_lines(
        folder=FOLDER,
        ports=Ports(1, 2),
        programs={name: Path("/cache") / name for name in PROGRAMS},
        kwok_config=FOLDER / "kwok.yaml",
    )
    assert list(commands) == list(PROGRAMS)
    for name, argv in commands.items():
        assert processes.belongs(argv, folder=FOLDER, programs=frozenset([name])), name


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """A program of our own that runs on, whatever its arguments, and starts no other."""
    program = tmp_path / "sleeper"
    program.symlink_to("/bin/sh")
    return program


def start_sleeper(program: Path, folder: Path) -> psutil.Process:
    folder.mkdir(exist_ok=True)
    argv = [str(program), "-c", "trap '' TERM; while :; do :; done", f"x={folder}/data"]
    pid = processes.start(argv, folder=folder, log=folder / "log", environ={})
    assert processes.wait_until_started(pid, program=program.name)
    (found,) = processes.find(folder, [program.name])
    assert found.pid == pid
    return found


def test_a_started_program_is_found_by_its_folder_and_ended_without_touching_others(
    sleeper: Path, tmp_path: Path
) -> None:
    one = start_sleeper(sleeper, tmp_path / "one")
    two = start_sleeper(sleeper, tmp_path / "two")
    assert one.pid != two.pid
    assert one.ppid() != psutil.Process().pid, "it would die, or linger, with us"
    processes.end([one], timeout_seconds=0.2)
    assert processes.find(tmp_path / "one", [sleeper.name]) == []
    assert processes.find(tmp_path / "two", [sleeper.name]) == [two]
    processes.end([two], timeout_seconds=0.2)
    assert processes.find(tmp_path / "two", [sleeper.name]) == []


def test_a_program_is_waited_for_however_long_its_shell_takes_to_become_it(
    sleeper: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)  # which nobody can write to before somebody reads it
    argv = [str(sleeper), "-c", "while :; do :; done", f"x={tmp_path}/data"]
    pid = processes.start(argv, folder=tmp_path, log=log, environ={})
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(processes.wait_until_started, pid, program=sleeper.name)
        with pytest.raises(TimeoutError):
            started.result(timeout=0.2)
        with log.open():
            assert started.result(timeout=60)
    processes.end(processes.find(tmp_path, [sleeper.name]), timeout_seconds=60)


def test_a_program_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    argv = ["/bin/true", f"x={tmp_path}/data"]
    pid = processes.start(argv, folder=tmp_path, log=tmp_path / "log", environ={})
    while processes.wait_until_started(pid, program="true"):
        pass
    assert processes.find(tmp_path, ["true"]) == []


def test_a_program_that_cannot_be_started_is_not_waited_for(tmp_path: Path) -> None:
    argv = [str(tmp_path / "missing"), f"x={tmp_path}/data"]
    pid = processes.start(argv, folder=tmp_path, log=tmp_path / "log", environ={})
    assert not processes.wait_until_started(pid, program="missing")


def test_ending_a_process_that_is_gone_is_fine() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        handle = psutil.Process(process.pid)
        process.kill()
        process.wait()
    processes.end([handle], timeout_seconds=1)


def test_a_zombie_counts_as_gone() -> None:
    process = subprocess.Popen(["/bin/true"])
    handle = psutil.Process(process.pid)
    while handle.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    started = time.monotonic()
    processes.end([handle], timeout_seconds=120)
    assert time.monotonic() - started < 60
    process.wait()


def test_the_last_lines_of_a_log_are_shown_and_a_missing_one_has_none(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert processes.last_lines(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(40)))
    assert processes.last_lines(log, count=2) == "line 38\nline 39"
