"""The way back to the engine: messages beside a resource, and an end when the engine ends.

The engine starts a plugin with its own address as the first argument. The SDK makes nothing of it
for dynamic providers: their prints and logs appear as lines of the whole stack, and their process
outlives an engine that was killed and goes on writing to the cluster while the next run has
already started.

Outside of a plugin's process there is no engine: messages go to stderr, and nothing is watched.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from functools import cache
from typing import Literal

import grpc  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

Severity = Literal["debug", "info", "warning", "error"]

_PLUGIN_MODULE = "pulumi.dynamic.__main__"
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
_SEVERITIES: dict[Severity, engine_pb2.LogSeverity.ValueType] = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}
_LOG_TIMEOUT_SECONDS = 60.0  # an engine that is gone refuses at once
_CONNECT_TIMEOUT_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
_EXIT_STATUS = 70


def engine_address() -> str | None:
    """Return ``host:port`` of the engine that started this process, None where none did."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or spec.name != _PLUGIN_MODULE or len(sys.argv) < 2:
        return None
    return sys.argv[1] if _ADDRESS.fullmatch(sys.argv[1]) else None


def log(severity: Severity, message: str, *, urn: str = "", ephemeral: bool = False) -> None:
    """Show ``message`` beside the resource ``urn``; without a URN, for the stack as a whole.

    An ephemeral message stands in the resource's line while the resource is worked on; the next
    one replaces it, an empty one clears it. Other messages are kept and listed at the end. An
    ``error`` fails the whole run. Never raises: what cannot be delivered goes to stderr, or is
    dropped when it is ephemeral.
    """
    if _delivered(
        engine_pb2.LogRequest(
            severity=_SEVERITIES[severity], message=message, urn=urn, ephemeral=ephemeral
        )
    ):
        return
    if not ephemeral:
        print(f"{severity}: {message}", file=sys.stderr)


def end_with_engine() -> None:
    """From now on, end this process as soon as its engine is gone, however it went.

    An engine that is killed cannot end its plugins, and the parent of a plugin is a shell that
    survives. What an engine cannot leave behind is an open port: one thread holds a connection to
    it. Ending in the middle of a create is what a killed run needs; running again converges.
    """
    address = engine_address()
    if address is not None:
        _start_watching(address)


def _delivered(request: engine_pb2.LogRequest) -> bool:
    address = engine_address()
    if address is None:
        return False
    try:
        _engine(address).Log(request, timeout=_LOG_TIMEOUT_SECONDS)
    except grpc.RpcError:
        return False
    return True


@cache
def _engine(address: str) -> engine_pb2_grpc.EngineStub:
    # On loopback, whatever HTTP proxy the user's environment names.
    options = [("grpc.enable_http_proxy", 0)]
    return engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, options=options))


@cache
def _start_watching(address: str) -> None:
    threading.Thread(
        target=_watch, args=(address,), name="modelfleet-engine-watch", daemon=True
    ).start()


def _watch(address: str) -> None:
    host, _, port = address.rpartition(":")
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_SECONDS) as s:
                _wait_until_closed(s)
        except ConnectionRefusedError:
            os._exit(_EXIT_STATUS)
        except OSError:
            time.sleep(_PAUSE_SECONDS)


def _wait_until_closed(connection: socket.socket) -> None:
    # Nothing is ever said on it, so a living engine closes it after two minutes; the caller then
    # connects again. Only a refused connection tells that the engine is gone.
    connection.settimeout(None)
    while connection.recv(4096):
        pass
