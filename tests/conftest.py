"""A running plane for every test that asks for one, shared by all workers of one test run.

The first test that needs the plane starts it, at whichever worker it runs: `Plane.up` is locked
and idempotent. The process that started pytest takes it down at the end. Planes with real
nodes, which cost a tenth of a core each while nothing happens, go with the last test of the folder
that has one. A run that was killed leaves a folder named after its process; the next run ends what
it finds there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

from modelfleet.local import Plane
from modelfleet.local.api import Api

_RUNS = Path(__file__).parent.parent / ".modelfleet" / "tests"
_RUN_VARIABLE = "MODELFLEET_TEST_RUN"

_GPUS = "h100-80gb:8x4,l4-24gb:4x4,mi300x-192gb:8x1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="record golden files and transcripts anew instead of comparing with them",
    )
    parser.addoption(
        "--fault-runs", type=int, default=16, help="how many random runs through faults to make"
    )
    parser.addoption("--fault-seed", type=int, help="make the random run of this seed only")
    parser.addoption(
        "--fuzz-whole",
        action="store_true",
        help="draw all 10,000 declarations of tests/fuzz, instead of a tenth of them",
    )


# What Hypothesis takes for slow is the machine's doing.
settings.register_profile(
    "any machine",
    parent=settings.get_profile("default"),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    # Whoever starts pytest in the background has it, and all that it starts, ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Hundreds of processes are started: those of a shell that keeps no byte code would each
    # compile thousands of modules.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if not hasattr(config, "workerinput"):  # xdist's workers inherit the variable
        controller = psutil.Process()
        os.environ[_RUN_VARIABLE] = f"{controller.pid}-{controller.create_time():.0f}"
        for folder in _RUNS.glob("*-*"):
            if not _is_alive(folder.name):
                _remove(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        for folder in _RUNS.glob(f"{os.environ[_RUN_VARIABLE]}*"):
            _remove(folder)


def _is_alive(run: str) -> bool:
    pid, started, *_ = run.split("-")
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" == started
    except (psutil.NoSuchProcess, ValueError):
        return False


def _remove(folder: Path) -> None:
    if folder.exists():
        Plane(folder).down(purge=True)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def fuzz_part(pytestconfig: pytest.Config) -> int:
    """What the number of drawn declarations is divided by: nothing in ``make fuzz``."""
    return 1 if pytestconfig.getoption("--fuzz-whole") else 10


@pytest.fixture(scope="session")
def plane() -> Plane:
    """The plane of this test run, with GPU nodes of three models and the chaos nodes."""
    plane = Plane(_RUNS / os.environ[_RUN_VARIABLE])
    plane.up(gpus=_GPUS, chaos=True)
    return plane


@pytest.fixture(scope="session")
def plane_with_pods() -> Callable[[str], contextlib.AbstractContextManager[Plane]]:
    """``plane_with_pods(name)`` gives a plane with real nodes, and hardly others, and ends it."""

    @contextlib.contextmanager
    def running(name: str) -> Iterator[Plane]:
        folder = _RUNS / f"{os.environ[_RUN_VARIABLE]}-{name}"
        try:
            plane = Plane(folder)
            plane.up(gpus="h100-80gb:8x1", pods=True)
            yield plane
        finally:
            _remove(folder)

    return running


@pytest.fixture(scope="session")
def kubeconfig(plane: Plane) -> Path:
    """The administrator's kubeconfig of the plane."""
    return plane.kubeconfig


@pytest.fixture(scope="session")
def plane_environment(plane: Plane) -> Mapping[str, str]:
    """What a child process needs to run `pulumi`, `kubectl` and `modelfleet` on the plane."""
    return {**os.environ, **plane.environment()}


@pytest.fixture(scope="session")
def plane_api(plane: Plane) -> Iterator[Api]:
    """Plain requests to the plane's API server, as its administrator."""
    with plane.api() as api:
        yield api


@pytest.fixture
def namespace(plane_api: Api) -> Iterator[str]:
    """A namespace of the test's own; its deletion is not waited for."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield name
    plane_api.send("DELETE", f"/api/v1/namespaces/{name}")
