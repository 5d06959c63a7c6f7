"""Stacks of the real engine, for tests of any kind.

``stack_factory(program)`` makes one. A program is a Python text, a project folder to copy, or
texts and copies by their path in the project. With ``cluster=True`` the stack's KUBECONFIG is that
of the test's ``kubeconfig`` fixture; without, it has none.
"""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from modelfleet.local import install_tools
from pulumi_stack import Run, Stack, clean_environment

TRANSCRIPTS = Path(__file__).parent / "engine" / "transcripts"

_MINIMAL_PROJECT = "name: {name}\nruntime: python\n"
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*")

Program = str | Path | Mapping[str, str | Path]
StackFactory = Callable[..., Stack]


@pytest.fixture(scope="session")
def pulumi_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH that begins with the engine, its language host, and the Python that runs the tests."""
    folder = tmp_path_factory.mktemp("pulumi-bin")
    for name, program in install_tools().programs.items():
        (folder / name).symlink_to(program)
    _list_packages_once(folder)
    return ":".join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])


def _list_packages_once(folder: Path) -> None:
    """Put a Python in front that knows what pip lists.

    The language host asks before every command which packages are installed; that takes pip as
    long as the program takes.
    """
    python = Path(sys.executable).parent / "python3"
    question = ["-m", "pip", "list", "-v", "--format", "json"]
    answer = folder / "packages.json"
    answer.write_bytes(subprocess.run([python, *question], check=True, capture_output=True).stdout)
    knows = folder / "python3"
    knows.write_text(
        f'#!/bin/sh\n[ "$*" = "{" ".join(question)}" ] && exec cat "{answer}"\n'
        f'exec "{python}" "$@"\n'
    )
    knows.chmod(0o755)


@pytest.fixture(scope="session")
def pulumi_environment(
    pulumi_path: str, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Mapping[str, str]:
    """What every engine of this run gets: a home of its own, no network, no second compilation."""
    return {
        **clean_environment(),
        "PATH": pulumi_path,
        "PULUMI_HOME": str(tmp_path_factory.mktemp("pulumi-home")),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DISABLE_CI_DETECTION": "true",
        "PULUMI_CONFIG_PASSPHRASE": "modelfleet-local",
        # An engine starts Python three times per command; importing without byte code costs a
        # second each time.
        "PYTHONPYCACHEPREFIX": str(pytestconfig.cache.mkdir("pycache")),
    }


@pytest.fixture
def stack_factory(
    tmp_path: Path, pulumi_environment: Mapping[str, str], request: pytest.FixtureRequest
) -> Iterator[StackFactory]:
    """``make(program, *, stack="dev", project="project", cluster=False, environment={})``.

    Two calls with the same ``project`` share its state: a second stack, or the same one renamed.
    """
    yield from _factory(tmp_path, pulumi_environment, request)


@pytest.fixture(scope="module")
def module_stack_factory(
    tmp_path_factory: pytest.TempPathFactory,
    pulumi_environment: Mapping[str, str],
    request: pytest.FixtureRequest,
) -> Iterator[StackFactory]:
    """The same for stacks that several tests of a module look at.

    A failing command costs five seconds more than one that succeeds: the engine waits that long
    for the program, which waits for the resource that failed.
    """
    folder = tmp_path_factory.mktemp(request.module.__name__)
    yield from _factory(folder, pulumi_environment, request)


@pytest.fixture
def transcript(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``transcript(name, *runs)`` compares what was typed and printed with a recorded file."""
    update = request.config.getoption("--update-golden", default=False)

    def compare(name: str, *runs: Run) -> None:
        recorded = TRANSCRIPTS / f"{name}.txt"
        printed = "\n".join(run.normalised() for run in runs)
        if update:
            recorded.parent.mkdir(exist_ok=True)
            recorded.write_text(printed)
        assert recorded.exists(), f"{recorded} is missing; record it with --update-golden"
        changed = "\n".join(
            difflib.unified_diff(
                recorded.read_text().splitlines(),
                printed.splitlines(),
                fromfile=f"recorded in {recorded.relative_to(TRANSCRIPTS)}",
                tofile="printed now",
                lineterm="",
            )
        )
        if changed:
            pytest.fail(changed, pytrace=False)

    return compare


def _factory(
    folder: Path, every_engine: Mapping[str, str], request: pytest.FixtureRequest
) -> Iterator[StackFactory]:
    stacks: list[Stack] = []

    def make(
        program: Program,
        *,
        stack: str = "dev",
        project: str = "project",
        cluster: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Stack:
        _write_project(program, folder / project)
        state = folder / f"{project}-state"
        state.mkdir(exist_ok=True)
        variables = {
            **every_engine,
            "PULUMI_BACKEND_URL": f"file://{state}",
            **({"KUBECONFIG": str(request.getfixturevalue("kubeconfig"))} if cluster else {}),
            **(environment or {}),
        }
        stacks.append(Stack(folder / project, name=stack, environment=variables))
        return stacks[-1]

    yield make
    for stack in stacks:
        stack.close()


def _write_project(program: Program, folder: Path) -> None:
    parts = program if isinstance(program, Mapping) else {"__main__.py": program}
    if isinstance(program, Path):
        parts = {".": program}
    for name, content in parts.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            target.write_text(content)
        elif content.is_dir():
            shutil.copytree(content, target, dirs_exist_ok=True, ignore=_NOT_COPIED)
        else:
            shutil.copy(content, target)
    if not (folder / "Pulumi.yaml").exists():
        (folder / "Pulumi.yaml").write_text(_MINIMAL_PROJECT.format(name=folder.name))
