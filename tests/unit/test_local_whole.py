"""Folders of the cache: made once, whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from modelfleet.local.errors import LocalError
from modelfleet.local.progress import Progress
from modelfleet.local.whole import Work, made_whole


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "modelfleet"


def made(make: Callable[[Work], None], *, key: str = "1") -> Path:
    return made_whole(
        "things", name="thing", key=key, title="Making it", progress=Progress(), make=make
    )


def test_what_is_there_is_not_made_again() -> None:
    calls: list[Path] = []

    def make(work: Work) -> None:
        calls.append(work.part)
        (work.part / "content").write_text("whole")

    assert made(make) == made(make)
    assert len(calls) == 1
    assert (made(make) / "content").read_text() == "whole"


def test_two_who_want_the_same_make_it_once() -> None:
    makers: list[str] = []
    both_want_it = threading.Barrier(2, timeout=120)

    def make(work: Work) -> None:
        makers.append(threading.current_thread().name)
        (work.part / "content").write_text("whole")

    def want() -> None:
        both_want_it.wait()
        made(make)

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(makers) == 1


def test_what_could_not_be_made_leaves_nothing_and_is_made_the_next_time(cache: Path) -> None:
    def fail(work: Work) -> None:
        (work.part / "half").write_text("half")
        raise RuntimeError("in between")

    with pytest.raises(RuntimeError):
        made(fail)
    assert [path.name for path in (cache / "things").iterdir()] == ["thing.lock"]
    assert made(lambda work: (work.part / "content").touch()).is_dir()


def test_what_a_killed_one_left_is_cleared_away(cache: Path) -> None:
    abandoned = cache / "things" / ".thing.part-abc" / "part"
    abandoned.mkdir(parents=True)
    made(lambda _: None)
    assert not abandoned.exists()


def test_a_failing_command_is_told_with_its_last_lines_and_the_log(cache: Path) -> None:
    def make(work: Work) -> None:
        work.run(["sh", "-c", "echo first; echo went wrong >&2; exit 3"], hint="Try this.")

    with pytest.raises(LocalError) as failed:
        made(make)
    log = cache / "logs" / "thing.log"
    assert "Making it: failed:\nfirst\nwent wrong\n" in str(failed.value)
    assert str(log) in str(failed.value)
    assert failed.value.hint == "Try this."


def test_a_log_is_of_the_last_time(cache: Path) -> None:
    made(lambda work: work.run(["echo", "one"]), key="1")
    made(lambda work: work.run(["echo", "two"]), key="2")
    assert (cache / "logs" / "thing.log").read_text() == "two\n"


def test_flags_for_a_users_own_builds_are_not_inherited(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CFLAGS", "CMAKE_GENERATOR", "PYTHONPATH"):
        monkeypatch.setenv(name, "a-users-own")
    lines: list[str] = []
    made(lambda work: work.run(["env"], environ={"PYTHONPATH": "ours"}, on_line=lines.append))
    assert "PYTHONPATH=ours\n" in lines
    assert not [line for line in lines if "a-users-own" in line]
