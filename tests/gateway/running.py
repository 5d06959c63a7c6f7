"""Runs the gateway's application as a pod would, and stub upstreams for it; only on loopback."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from modelfleet.gateway.app.redis_counters import ATTEMPT_SECONDS
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

PATIENCE_SECONDS = 240
"""How long what is sure to come may take; only where it does not come, somebody waits so long."""
START_SECONDS = 600
_REDIS = f"{PACKAGE}/redis_counters.py"
Json = dict[str, Any]

# Nothing is asked over TLS here, and to read what a machine trusts costs more than a request.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
get = functools.partial(httpx.get, timeout=PATIENCE_SECONDS, verify=NO_TLS)
post = functools.partial(httpx.post, timeout=PATIENCE_SECONDS, verify=NO_TLS)
Client = functools.partial(httpx.Client, timeout=PATIENCE_SECONDS, verify=NO_TLS)
"""Of httpx, each with a connection of its own, and with patience."""


class Stub:
    """A running ``stub_upstream.py``, and what to tell it."""

    def __init__(self, *options: str) -> None:
        script = Path(__file__).with_name("stub_upstream.py")
        ports = ("--port", "0", "--control-port", "0")
        self._process = subprocess.Popen(
            [sys.executable, str(script), *ports, *options], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        found = json.loads(self._process.stdout.readline())
        self.base_url = f"http://127.0.0.1:{found['port']}/v1"
        self._control = Client(base_url=f"http://127.0.0.1:{found['control_port']}")

    def tell(self, *following: Json, model: str = "*", always: Json | None = None) -> None:
        """What the next calls of a served name are to do, one by one, and then always."""
        script = {"model": model, "next": list(following), "always": always}
        self._control.post("/script", json=script).raise_for_status()

    def go_on(self) -> None:
        """Have it go on where it was told to hold."""
        self._control.post("/go_on", json={}).raise_for_status()

    def listen(self, accept: bool) -> None:
        self._control.post("/listening", json={"accept": accept}).raise_for_status()

    def reset(self) -> None:
        self._control.post("/reset", json={}).raise_for_status()

    @property
    def calls(self) -> list[Json]:
        """The calls since it was reset, oldest first."""
        found: list[Json] = self._control.get("/calls").json()
        return found

    @property
    def models_called(self) -> list[str]:
        return [call["model"] for call in self.calls]

    def close(self) -> None:
        self._control.close()
        self._process.terminate()
        self._process.communicate()


class Gateway:
    """A running gateway; ``spec`` is that of a ModelProxy, without its name.

    ``redis_attempt_seconds`` is how long it waits for a Redis that does not answer. One that has
    ended is noticed at once.
    """

    def __init__(
        self,
        folder: Path,
        spec: Mapping[str, Any],
        *,
        credentials: Mapping[int, str] | None = None,
        changed: Callable[[Json], Json] = lambda configuration: configuration,
        environment: Mapping[str, str] | None = None,
        redis_attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        self.spec = ModelProxySpec.model_validate({"model_proxy_name": "front", **spec})
        self._place = GatewayPlace(
            files=folder / "files",
            secrets=folder / "secrets",
            state=folder / "state",
            port=free_port(),
            internal_port=free_port(),
            environment={"MODELFLEET_DRAIN_SECONDS": "0.5", **(environment or {})},
        )
        self._place.state.mkdir(parents=True)
        configuration = changed(json.loads(configuration_of(self.spec)))
        app = {f"{PACKAGE}/{name}": text for name, text in sources().items()}
        declared = f"ATTEMPT_SECONDS = {ATTEMPT_SECONDS}\n"
        assert app[_REDIS].count(declared) == 1
        app[_REDIS] = app[_REDIS].replace(declared, f"ATTEMPT_SECONDS = {redis_attempt_seconds}\n")
        files = {CONFIGURATION_FILE: json.dumps(configuration)}
        files[LITELLM_FILE] = litellm_config_of(self.spec)
        write_files(self._place.files, {**app, **files})
        self.write_secret(f"keys/{KEYS_FILE}", keys_file_of(self.spec, keys=()))
        for number, key in (credentials or {}).items():
            self.write_secret(f"credentials/{number}", f"{key}\n")
        self.url = f"http://127.0.0.1:{self._place.port}"
        self.internal_url = f"http://127.0.0.1:{self._place.internal_port}"
        self._output, self._complaints = folder / "stdout", folder / "stderr"
        with self._output.open("wb") as out, self._complaints.open("wb") as err:
            self.process = psutil.Popen(
                gateway_command(),
                env=gateway_environment(self._place),
                cwd=self._place.state,
                stdout=out,
                stderr=err,
            )

    def write_secret(self, path: str, text: str) -> None:
        """Put a file where a Secret is mounted, at once and as a whole, as the kubelet does."""
        target = self._place.secrets / path
        target.parent.mkdir(parents=True, exist_ok=True)
        whole = target.with_name(f".{target.name}")
        whole.write_text(text)
        whole.replace(target)

    def wait_until_ready(self) -> None:
        for _ in patiently(START_SECONDS):
            if self.process.poll() is not None:
                break
            if self.is_ready:
                return
        raise AssertionError(f"the gateway did not start:\n{self.complaints[-4000:]}")

    @property
    def is_ready(self) -> bool:
        try:
            return get(f"{self.internal_url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    @property
    def complaints(self) -> str:
        """What it printed to stderr."""
        return self._complaints.read_text()

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def records(self) -> list[Json]:
        """The usage records so far."""
        return [json.loads(line) for line in self.output.splitlines()]

    def record(self, request_id: str) -> Json:
        """The record of one request, which may come a moment after its reply."""
        for _ in patiently():
            for record in reversed(self.records):
                if record["request_id"] == request_id:
                    return record
        raise AssertionError(f"no record of {request_id}")

    def close(self) -> None:
        if self.process.poll() is None:
            children = self.process.children(recursive=True)
            self.process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                self.process.wait(20)
            for each in (*children, self.process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        self.process.wait()


def patiently(seconds: float = PATIENCE_SECONDS) -> Iterator[int]:
    """Counts tries until the time is over, with a pause between them."""
    end = time.monotonic() + seconds
    for number in itertools.count():
        yield number
        if time.monotonic() > end:
            return
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
