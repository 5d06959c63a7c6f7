"""Says when two builds are the same: a key over everything that decides what comes out. Pure."""

from __future__ import annotations

import hashlib
import platform

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def content_key(*parts: str | bytes) -> str:
    """Twelve digits over ``parts`` in their order; where one ends and the next begins counts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()[:12]


def architecture(machine: str = "") -> str:
    """The processor as container images name it, such as ``amd64``."""
    machine = machine or platform.machine()
    return _MACHINES.get(machine, machine)
