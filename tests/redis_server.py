"""A real Redis on this machine, taken out of the image that local clusters run.

The very program of the image, with its own libraries and their loader: nothing of this machine's
distribution is used, and nothing is installed. It serves on loopback, with a password, and keeps
what it was told even when it is killed.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from modelfleet.local.images import built_images, missing_requirements
from modelfleet.local.images.description import described_images
from modelfleet.local.progress import Progress
from modelfleet.local.whole import Work, made_whole

_START_SECONDS = 240


@functools.cache
def redis_command() -> Sequence[str]:
    """The words that start the image's redis-server; skips where the image cannot be built."""
    images = [image for image in described_images() if image.name == "redis"]
    if missing := missing_requirements(images):
        pytest.skip(f"no Redis: building its image needs {', '.join(missing)}")
    (built,) = built_images(images=images)

    def make(work: Work) -> None:
        with tarfile.open(built.archive) as image:
            for entry in image:
                # What in the archive is a layer depends on its format; it is a tar in any.
                with (
                    contextlib.suppress(tarfile.ReadError),
                    tarfile.open(fileobj=image.extractfile(entry)) as layer,
                ):
                    _extract_program(layer, to=work.part)

    folder = made_whole(
        "programs",
        name="redis-server",
        key=built.key,
        title="Taking redis-server out of its image",
        progress=Progress(),
        make=make,
    )
    (loader,) = folder.glob("usr/lib/*/ld-linux*.so.*")
    program = folder / "usr/bin/redis-server"
    return [str(loader), "--library-path", str(loader.parent), str(program)]


def _extract_program(layer: tarfile.TarFile, *, to: Path) -> None:
    for entry in layer:
        is_library = entry.name.startswith("usr/lib/") and ".so" in entry.name
        if is_library or entry.name.startswith("usr/bin/redis-"):
            layer.extract(entry, to, filter="tar")


class RedisServer:
    """One server; ``stop`` and ``start`` are those of a pod that is replaced."""

    def __init__(self, folder: Path, *, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        self.password = "a-password-of-the-tests"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def password_file(self) -> Path:
        """Where the password is, as a mounted Secret has it."""
        return self.folder / "password"

    @property
    def client(self) -> redis.Redis:
        """A client of the tests' own, which never tries again."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, password=self.password, protocol=2, retry=once)

    def start(self) -> None:
        """Start it on the data it left, and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        self.password_file.write_text(f"{self.password}\n")
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "requirepass": self.password,
            "appendonly": "yes",
            "appendfsync": "always",
            "logfile": self.folder / "log",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen([*redis_command(), *words, *self._options])
        ends_at = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError(f"Redis did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it: it has no time to write anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), self.client as client:
            return bool(client.ping())
        return False


@contextlib.contextmanager
def redis_server(folder: Path, *, options: Sequence[str] = ()) -> Iterator[RedisServer]:
    """A started server on the data in ``folder``, which goes with it."""
    server = RedisServer(folder, options=options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
