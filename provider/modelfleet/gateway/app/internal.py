"""The port for the kubelet and the provider, served once per pod: probes, metrics, upstreams.

It is in no Service. It has a thread of its own, so that a busy gateway answers its probes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
from typing import Any

import uvicorn

from .asgi import Message, Send
from .metrics import exposition
from .readiness import Readiness
from .settings import Gateway, Settings
from .upstream_checks import UpstreamChecks

_FOR_THE_NODE = frozenset({"/healthz", "/readyz", "/metrics"})
"""What others than the provider may ask for, who comes by a port-forward: from within the pod."""
_THE_POD_ITSELF = frozenset({"127.0.0.1", "::1"})


class InternalApplication:
    """``/healthz``, ``/readyz``, ``/status``, ``/metrics`` and ``/upstreams``."""

    def __init__(self, settings: Settings, gateway: Gateway, readiness: Readiness) -> None:
        self._settings = settings
        self._readiness = readiness
        self._checks = UpstreamChecks(settings, gateway)

    async def __call__(self, scope: Message, _receive: object, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        is_forwarded = (scope.get("client") or ("",))[0] in _THE_POD_ITSELF
        path = scope["path"] if is_forwarded or scope["path"] in _FOR_THE_NODE else ""
        status, kind, body = await self._answer(path)
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str) -> tuple[int, bytes, bytes]:
        text = b"text/plain; charset=utf-8"
        if path == "/healthz":
            return 200, text, b"ok\n"
        if path == "/readyz":
            return (200, text, b"ok\n") if self._readiness.is_ready else (503, text, b"not ready\n")
        if path == "/status":
            return 200, b"application/json", json.dumps(self._status()).encode()
        if path == "/metrics":
            body = await asyncio.to_thread(exposition)
            return 200, b"text/plain; version=0.0.4; charset=utf-8", body
        if path == "/upstreams":
            document = await self._checks.document()
            return 200, b"application/json", json.dumps(document).encode()
        return 404, text, b"not found\n"

    def _status(self) -> dict[str, Any]:
        """``keys_sha256`` is of the file as it is mounted now, None where there is none.

        Each process looks at it again on a request, after half a second at most.
        """
        try:
            keys = hashlib.sha256(self._settings.keys_file.read_bytes()).hexdigest()
        except OSError:
            keys = None
        return {"ready": self._readiness.is_ready, "keys_sha256": keys}


def serve_internally(application: InternalApplication, listener: socket.socket) -> None:
    """Serve in a thread, until the process ends."""
    config = uvicorn.Config(
        application,
        lifespan="off",
        ws="none",
        access_log=False,
        server_header=False,
        log_config=None,
    )
    server = uvicorn.Server(config)
    threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, daemon=True, name="internal"
    ).start()
