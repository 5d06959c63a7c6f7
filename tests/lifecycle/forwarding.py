"""A plane whose fake pods have ports that lead somewhere: to real servers in this process.

KWOK forwards a port as it was told at its start, so the servers come first, on ports that are free.
A port of a pod stands for what listens there, whichever pod it is of.
"""

from __future__ import annotations

import hashlib
import json
import socketserver
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
import yaml
from rights import least_kubeconfig

from modelfleet.local import Plane
from modelfleet.local.api import Api

ECHO: Final = 7001
DIGEST: Final = 7002
SOURCE: Final = 7003
SLOW: Final = 7004
NOBODY: Final = 7005
GATEWAY: Final = 4000
GATEWAY_INSIDE: Final = 4001
ENGINE: Final = 8000
GUARDED_ENGINE: Final = 8001

SOURCE_BYTES: Final = 32 * 1024 * 1024
SLOW_SECONDS: Final = 1.0
THINKING_SECONDS: Final = 600.0
API_KEY: Final = "not-a-real-key"


class Pause:
    """Where engines stop at the message "pause", ``reached``, until the pause is ``over``."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()

    def make(self) -> None:
        """Stop here."""
        self.reached.set()
        self.over.wait(THINKING_SECONDS)


PAUSE: Final = Pause()


@dataclass
class GatewayScript:
    """What ``GET`` of a path answers, each time anew; a path that is missing is not found."""

    answers: dict[str, Callable[[], Any]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Forwarding:
    """The plane, and a user who may do what `modelfleet chat` needs, and no more.

    ``servers`` are the ports of this machine that ports of pods lead to. ``gateway`` is what every
    gateway says on its internal port, by path, and in ``asked`` how often it was asked.
    """

    plane: Plane
    api: Api
    chat_kubeconfig: Path
    servers: Mapping[int, int]
    gateway: GatewayScript


@pytest.fixture(scope="session")
def forwarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarding]:
    """A plane with servers behind the ports of its pods."""
    folder = tmp_path_factory.mktemp("forwarding")
    script = GatewayScript()
    with ExitStack() as stack:
        servers = {
            ECHO: stack.enter_context(_serving(_Echo)),
            DIGEST: stack.enter_context(_serving(_Digest)),
            SOURCE: stack.enter_context(_serving(_Source)),
            SLOW: stack.enter_context(_serving(_Slow)),
            NOBODY: 1,  # below what anybody gets by asking for a free port
            ENGINE: stack.enter_context(_answering(_Engine)),
            GUARDED_ENGINE: stack.enter_context(_answering(_GuardedEngine)),
            GATEWAY: stack.enter_context(_answering(_Gateway)),
            GATEWAY_INSIDE: stack.enter_context(_answering(_gateway_inside(script))),
        }
        forwards = [
            {"ports": [port], "target": {"address": "127.0.0.1", "port": target}}
            for port, target in servers.items()
        ]
        stages = folder / "forwards.yaml"
        stages.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "kwok.x-k8s.io/v1alpha1",
                    "kind": "ClusterPortForward",
                    "metadata": {"name": "all-pods"},
                    "spec": {"forwards": forwards},
                }
            )
        )
        plane = Plane(folder / "plane")
        stack.callback(plane.down, purge=True)
        plane.up(gpus="l4-24gb:1x1", chaos=True, stage_files=[stages])
        api = stack.enter_context(plane.api())
        kubeconfig = least_kubeconfig(plane, api, folder, user="chatter", role="rbac-chat.yaml")
        yield Forwarding(plane, api, kubeconfig, servers, script)


class _ServesWhoeverStays(socketserver.BaseServer):
    """Says nothing of clients that go away before they have been answered."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Server(_ServesWhoeverStays, socketserver.ThreadingTCPServer):
    """For plain connections."""


class _HttpServer(_ServesWhoeverStays, ThreadingHTTPServer):
    """For HTTP."""


@contextmanager
def _serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    with _running(_Server(("127.0.0.1", 0), handler)) as port:
        yield port


@contextmanager
def _answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    with _running(_HttpServer(("127.0.0.1", 0), handler)) as port:
        yield port


@contextmanager
def _running(server: socketserver.ThreadingTCPServer) -> Iterator[int]:
    server.daemon_threads = True
    server.block_on_close = False  # KWOK tells a server nothing of a client that has gone
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


class _Digest(socketserver.StreamRequestHandler):
    """Reads a line with a number, then as many bytes, and answers with their digest."""

    def handle(self) -> None:
        left = int(self.rfile.readline())
        digest = hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 65_536))
            digest.update(piece)
            left -= len(piece)
        self.wfile.write(digest.hexdigest().encode())


class _Source(socketserver.StreamRequestHandler):
    """Sends a lot to whoever says a line."""

    def handle(self) -> None:
        self.rfile.readline()
        for number in range(SOURCE_BYTES // 65_536):
            self.wfile.write(number.to_bytes(4) * 16_384)


class _Slow(socketserver.StreamRequestHandler):
    """Takes its time to answer a line."""

    def handle(self) -> None:
        line = self.rfile.readline()
        time.sleep(SLOW_SECONDS)
        self.wfile.write(b"at last: " + line)


class _Engine(BaseHTTPRequestHandler):
    """As much of the OpenAI API as a chat takes. Messages may ask for trouble.

    It says how many messages it was sent, what the last one was, and what else was asked for.
    """

    protocol_version = "HTTP/1.1"
    refused: ClassVar[Mapping[str, tuple[int, str, str, str]]] = {}

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = asked["messages"][-1]["content"]
        if self.refusal():
            self.answer(401, {"error": {"message": "Invalid API Key", "code": 401}})
        elif said in self.refused:
            status, code, message, retry_after = self.refused[said]
            error = {"message": message, "type": "some_error", "param": None, "code": code}
            self.answer(
                status, {"error": error}, **({"Retry-After": retry_after} if retry_after else {})
            )
        elif said == "too much":
            self.answer(400, {"error": {"message": "the context has 10 tokens", "code": 400}})
        elif asked.get("stream"):
            self.stream(asked, said)
        else:
            if said == "pause":
                PAUSE.make()
            choice = {"index": 0, "finish_reason": "stop"}
            message = {"role": "assistant", "content": "".join(self.words(asked))}
            choices = [{**choice, "message": message}]
            self.answer(200, {**self.head(asked), "choices": choices, "usage": USAGE})

    def refusal(self) -> bool:
        return False

    def words(self, asked: dict[str, Any]) -> list[str]:
        roles = "+".join(each["role"] for each in asked["messages"])
        extras = "".join(
            f" {name}={asked[name]}" for name in ("max_tokens", "temperature") if name in asked
        )
        return [roles, " ", asked["messages"][-1]["content"], extras, " ", asked["model"]]

    def head(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
        }

    def answer(self, status: int, content: dict[str, Any], **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, asked: dict[str, Any], said: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head = {**self.head(asked), "object": "chat.completion.chunk"}
        for word in self.words(asked):
            self.chunk({**head, "choices": [{"index": 0, "delta": {"content": word}}]})
            if said == "break off":
                self.chunk({"error": {"message": "the engine has died", "code": 500}})
                return
            if said == "vanish":
                self.close_connection = True
                return
            if said == "pause":
                PAUSE.make()
            if said == "think":
                time.sleep(THINKING_SECONDS)
        last = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        self.chunk({**head, "choices": last})
        self.chunk({**head, "choices": [], "usage": USAGE})
        self.piece(b"data: [DONE]\n\n")
        self.piece(b"")

    def chunk(self, content: dict[str, Any]) -> None:
        self.piece(b"data: " + json.dumps(content).encode() + b"\n\n")

    def piece(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


class _GuardedEngine(_Engine):
    def refusal(self) -> bool:
        return self.headers.get("Authorization") != f"Bearer {API_KEY}"


class _Gateway(_Engine):
    """Refuses as a gateway does, which one may ask it for."""

    refused: ClassVar = {
        "no key": (401, "missing_api_key", "No API key. Send one as a bearer.", ""),
        "denied": (403, "model_access_denied", "This key is denied `chat`.", ""),
        "unknown": (404, "model_not_found", "The model `x` does not exist.", ""),
        "too often": (429, "model_rate_limit_exceeded", "60 requests. Try again in 17 s.", "17"),
        "no quota": (402, "insufficient_quota", "The quota is used up.", ""),
        "nobody": (502, "bad_gateway", "No upstream of `chat` answers.", ""),
    }


def _gateway_inside(script: GatewayScript) -> type[BaseHTTPRequestHandler]:
    class GatewayInside(BaseHTTPRequestHandler):
        """The internal port of a gateway, as far as it is asked by whoever applies it."""

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            script.asked[self.path] += 1
            answer = script.answers.get(self.path)
            body = json.dumps(answer() if answer else {}).encode()
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return GatewayInside


USAGE: Final = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
