"""Processes and their ends: listeners, workers, and a shutdown that cuts nothing.

On SIGTERM a process first says that it is not ready and asks callers, reply by reply, to connect
elsewhere; after the drain time it takes no more, finishes what runs, and ends.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import FrameType

import uvicorn

from .application import Application
from .connections import protocol
from .metrics import forget_process
from .readiness import Readiness
from .settings import Gateway, Settings

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep idle connections (5 s to 60 s): they should end them, not we."""

_RESTART_SECONDS = 1.0


def listener(host: str, port: int) -> socket.socket:
    """A listening socket; an empty ``host`` is every address, of IPv6 as well if there is one."""
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
        )
    return socket.create_server((host, port), backlog=_BACKLOG)


def serve(settings: Settings, gateway: Gateway, readiness: Readiness, on: socket.socket) -> None:
    """Serve callers in this process until SIGTERM or SIGINT."""

    def on_ready() -> None:
        # What is loaded now stays: a collection need not look through all of LiteLLM each time.
        gc.collect()
        gc.freeze()
        readiness.mark()

    application = Application(settings, gateway, on_ready=on_ready)
    config = uvicorn.Config(
        application,
        # uvloop and httptools where the image has them, which not every release does.
        loop="auto",
        http=protocol(),
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    _DrainingServer(config, application, readiness, settings.drain_seconds).run(sockets=[on])


class _DrainingServer(uvicorn.Server):
    """Drains on a signal, where uvicorn's own would end at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        application: Application,
        readiness: Readiness,
        drain_seconds: float,
    ) -> None:
        super().__init__(config)
        self._application, self._readiness = application, readiness
        self._drain_seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Take no more requests after the drain time; a second signal changes nothing."""
        if self._application.is_draining:
            return
        self._application.is_draining = True
        self._readiness.unmark()
        timer = threading.Timer(self._drain_seconds, self._end)
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        self.should_exit = True


def serve_by_workers(gateway: Gateway, readiness: Readiness, on: socket.socket) -> None:
    """Serve callers in several processes on one socket, and start anew those that die."""
    is_ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: is_ending.set())
    environment = {**os.environ, "MODELFLEET_LISTENER": str(on.fileno())}
    command = [sys.executable, *sys.orig_argv[1:]]
    workers: list[subprocess.Popen[bytes]] = []
    while not is_ending.is_set():
        for worker in [each for each in workers if each.poll() is not None]:
            print(f"worker {worker.pid} ended: {worker.returncode}", file=sys.stderr)
            workers.remove(worker)
            readiness.unmark(worker.pid)
            forget_process(worker.pid)
            time.sleep(_RESTART_SECONDS)
        while len(workers) < gateway.workers:
            workers.append(subprocess.Popen(command, env=environment, pass_fds=[on.fileno()]))
        is_ending.wait(0.2)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait()
