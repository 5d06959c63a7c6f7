"""What a plane remembers between two calls, in one small file: its ports and what was asked for."""

from __future__ import annotations

import itertools
import json
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from modelfleet.local.components import HOST, Ports
from modelfleet.local.credentials import write_private
from modelfleet.local.pods.network import BLOCKS

DEFAULT_GPUS = "h100-80gb:8x2,l4-24gb:4x4,mi300x-192gb:8x1"


# Below those that systems hand out to outgoing connections, one of which could otherwise sit on a
# port of ours while its server is restarted.
_PORTS = range(20_000, 32_000)


DEFAULT_POD_GPUS = 4


@dataclass(frozen=True)
class Settings:
    """``stages`` are paths of extra KWOK stage files.

    ``pods`` asks for real nodes, with so many ``pod_gpus`` each; ``block`` says which addresses
    they have.
    """

    ports: Ports
    gpus: str = DEFAULT_GPUS
    chaos: bool = False
    stages: tuple[str, ...] = field(default=())
    pods: bool = False
    pod_gpus: int = DEFAULT_POD_GPUS
    block: int = field(
        default_factory=lambda: random.choice(range(BLOCKS))  # noqa: S311  (no secret)
    )


def read_settings(path: Path) -> Settings | None:
    """The settings in ``path``; None where there are none that can be read."""
    try:
        document = json.loads(path.read_text())
        ports = Ports(**document.pop("ports"))
        stages = tuple(document.pop("stages"))
        return Settings(ports=ports, stages=stages, **document)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # Half a file, or another version's: the plane's processes are found without it.
        return None


def write_settings(path: Path, settings: Settings) -> None:
    """Write ``settings``, whole or not at all."""
    write_private(path, json.dumps(asdict(settings), indent=2) + "\n")


def free_ports() -> Ports:
    """Two ports that nobody listens on now."""
    candidates = random.sample(_PORTS, len(_PORTS))
    first, second = itertools.islice(filter(is_free, candidates), 2)
    return Ports(api_server=first, kubelet=second)


def is_free(port: int) -> bool:
    """Whether nobody listens on ``port`` of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def become_free(ports: Sequence[int], *, timeout_seconds: float) -> bool:
    """Whether nobody listens on any of ``ports``, now or within the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not all(map(is_free, ports)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
