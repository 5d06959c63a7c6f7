"""What is measured: the upstream, LiteLLM alone, and the gateway, each a process with a core.

All of them on loopback. The callers (this process) and the upstream share the first core that this
process may use, gateways have the second: what a gateway takes is then its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.errors import BenchmarkError
from benchmarks.gateway_load import Door
from benchmarks.gateway_stub import SERVED
from modelfleet.gateway.configuration import CONFIGURATION_FILE, configuration_of
from modelfleet.gateway.keys_file import KEYS_FILE, keys_file_of
from modelfleet.gateway.litellm_config import LITELLM_FILE, litellm_config_of
from modelfleet.gateway.sources import PACKAGE, sources
from modelfleet.spec.proxy import ModelProxySpec
from tests.litellm_environment import (
    GatewayPlace,
    gateway_command,
    gateway_environment,
    write_files,
)

MODEL = "chat"
_PLAIN = "plain"
KEY_WITHOUT_LIMITS, KEY_WITH_LIMITS = "unlimited", "limited"
_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 180.0
_END_SECONDS = 20.0

_KEYS = {
    name: f"sk-{name}-{secrets.token_hex(12)}"
    for name in (KEY_WITHOUT_LIMITS, KEY_WITH_LIMITS, _PLAIN)
}
_FAR = {"rpm": 10_000_000, "tpm": 1_000_000_000}
"""Limits that are counted and never reached."""


@dataclass(frozen=True)
class Cores:
    """Where callers with the upstream, and where gateways run; None where nothing is pinned."""

    callers: int | None
    gateways: int | None

    def __str__(self) -> str:
        if self.callers is None:
            return "nothing pinned: fewer than two cores, or no way to"
        return f"callers and upstream on core {self.callers}, gateway on core {self.gateways}"


def cores_among(usable: Sequence[int]) -> Cores:
    """Return the first two of ``usable``; nothing is pinned where there are fewer."""
    first, second, *_ = (*sorted(usable), None, None)
    return Cores(None, None) if second is None else Cores(first, second)


def usable_cores() -> Sequence[int]:
    """The cores that this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


@contextmanager
def kept_to(core: int | None) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, to one core."""
    if core is None or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A process that answers, with all that it started; ``ready`` tells when it does."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        core: int | None,
        ready: Callable[[], bool],
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._complaints = folder / "stderr"
        began = time.perf_counter()
        with (folder / "stdout").open("wb") as out, self._complaints.open("wb") as err:
            with kept_to(core):
                self._process = psutil.Popen(
                    command, env=dict(environment), cwd=folder, stdout=out, stderr=err
                )
            self._wait(ready)
        self.cold_start_seconds = time.perf_counter() - began

    def _wait(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                end = self._complaints.read_text()[-2000:]
                self.close()
                raise BenchmarkError(f"A gateway did not start:\n{end}")
            time.sleep(0.02)

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far, user and system."""
        times = [each.cpu_times() for each in self._family()]
        return float(sum(each.user + each.system for each in times))

    @property
    def memory_mib(self) -> tuple[float, float]:
        """Resident memory (RSS), and with the fair part of what is shared (PSS, where known)."""
        infos = [each.memory_full_info() for each in self._family()]
        resident = sum(each.rss for each in infos)
        proportional = sum(getattr(each, "pss", each.rss) for each in infos)
        return resident / 2**20, proportional / 2**20

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def close(self) -> None:
        """End it, and what it started."""
        family = self._family() if self._process.is_running() else []
        with suppress(psutil.NoSuchProcess):
            self._process.terminate()
        with suppress(psutil.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self._process.wait()


@contextmanager
def upstream(core: int | None) -> Iterator[Door]:
    """Run the upstream; callers may ask it directly."""
    command = [sys.executable, "-m", "benchmarks.gateway_stub"]
    with kept_to(core):
        process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Door(int(process.stdout.readline()), SERVED, "none")
    finally:
        process.terminate()
        process.communicate()


class Gateways:
    """LiteLLM alone and the gateway, from the same files, each to be started."""

    def __init__(self, folder: Path, door: Door, *, core: int | None) -> None:
        self._core, self._folder = core, folder
        spec = ModelProxySpec.model_validate(declaration(f"http://127.0.0.1:{door.port}/v1"))
        app = {f"{PACKAGE}/{name}": text for name, text in sources().items()}
        files = {CONFIGURATION_FILE: configuration_of(spec), LITELLM_FILE: litellm_config_of(spec)}
        shutil.rmtree(folder / "files", ignore_errors=True)
        write_files(folder / "files", {**app, **files})
        keys = {f"keys/{KEYS_FILE}": keys_file_of(spec, keys=())}
        write_files(folder / "secrets", keys)
        self._place = GatewayPlace(
            files=folder / "files",
            secrets=folder / "secrets",
            state=folder / "ours",
            port=_free_port(),
            internal_port=_free_port(),
            environment={"MODELFLEET_DRAIN_SECONDS": "0"},
        )
        self._plain_port = _free_port()

    @property
    def plain_door(self) -> Door:
        return Door(self._plain_port, MODEL, _KEYS[_PLAIN])

    def door(self, key: str) -> Door:
        """The gateway's door for one of its keys, with limits or without."""
        return Door(self._place.port, MODEL, _KEYS[key])

    def start_ours(self) -> Server:
        """Start the gateway as its container does."""
        return Server(
            gateway_command(),
            environment=gateway_environment(self._place),
            folder=self._place.state,
            core=self._core,
            ready=lambda: _answers(self._place.internal_port, "/readyz"),
        )

    def start_plain(self) -> Server:
        """Start LiteLLM's own application under the same server with the same options."""
        python = gateway_command()[:-2]
        options = ["--loop", "uvloop", "--http", "httptools", "--ws", "none", "--backlog", "2048"]
        quiet = ["--no-access-log", "--no-server-header", "--no-proxy-headers"]
        where = ["--host", "127.0.0.1", "--port", str(self._plain_port)]
        own = {"LITELLM_MASTER_KEY": _KEYS[_PLAIN]}
        return Server(
            [*python, "-m", "uvicorn", "litellm.proxy.proxy_server:app", *where, *options, *quiet],
            environment=gateway_environment(self._place) | own,
            folder=self._folder / "plain",
            core=self._core,
            ready=lambda: _answers(self._plain_port, "/health/readiness"),
        )


def declaration(base_url: str) -> dict[str, Any]:
    """Return an everyday proxy: one route, a key without limits and one with."""
    return {
        "model_proxy_name": "measured",
        "routes": {MODEL: {"targets": [{"base_url": base_url, "model_name": SERVED}]}},
        "api_keys": {
            KEY_WITHOUT_LIMITS: {"key": _KEYS[KEY_WITHOUT_LIMITS]},
            KEY_WITH_LIMITS: {"key": _KEYS[KEY_WITH_LIMITS], "limits": _FAR},
        },
    }


def _answers(port: int, path: str) -> bool:
    try:
        reply = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return reply.status_code == 200


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
