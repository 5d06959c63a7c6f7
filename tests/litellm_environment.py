"""Starts the gateway's application without a container, on the packages of LiteLLM's image.

The interpreter sees those packages, its standard library and the application, and nothing that
this project's own environment has: what works here works in a pod.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelfleet.gateway.sources import PACKAGE
from modelfleet.local.images import litellm_packages
from modelfleet.render.proxy.container import ENV
from modelfleet.render.proxy.volumes import FILES_PATH, TMP_PATH

_KEPT = ("PATH", "LANG", "SSL_CERT_FILE")


@dataclass(frozen=True)
class GatewayPlace:
    """What a pod mounts, as folders of a test, and the ports on loopback in place of a pod's.

    ``files`` has the application's folder, gateway.json and litellm.yaml, as the ConfigMap has
    them; ``secrets`` has keys/, inbound/, credentials/ and redis/; ``state`` may be written.
    """

    files: Path
    secrets: Path
    state: Path
    port: int
    internal_port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    """More variables, which come last."""


def gateway_command() -> list[str]:
    """The command of a gateway's container, for the Python that runs this.

    Neither the environment's own packages (``-S``) nor the current folder (``-P``) are on its path.
    LiteLLM adds the folder two levels up, so run it in one where that is harmless: ``state``.
    """
    return [sys.executable, "-S", "-P", "-m", PACKAGE]


def gateway_environment(place: GatewayPlace) -> dict[str, str]:
    """All variables of a gateway's process: those of its container, with the test's folders.

    Installs LiteLLM into the user's cache if it is not there. Raises LocalError if it cannot.
    """
    moved = {FILES_PATH: str(place.files), TMP_PATH: str(place.state)}
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        **{name: _moved(value, moved) for name, value in ENV.items()},
        "PYTHONPATH": f"{place.files}{os.pathsep}{litellm_packages()}",
        "TMPDIR": str(place.state),
        "MODELFLEET_ROOT": str(place.files),
        "MODELFLEET_SECRETS": str(place.secrets),
        "MODELFLEET_STATE": str(place.state / "modelfleet"),
        "MODELFLEET_HOST": "127.0.0.1",
        "MODELFLEET_PORT": str(place.port),
        "MODELFLEET_INTERNAL_PORT": str(place.internal_port),
        **place.environment,
    }


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write texts by path into ``folder``, as a ConfigMap's or a Secret's volume has them."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def _moved(value: str, folders: Mapping[str, str]) -> str:
    """A value that is a path in one of the container's folders, in that of the test."""
    for before, after in folders.items():
        if value == before or value.startswith(f"{before}/"):
            return after + value.removeprefix(before)
    return value
