"""Starts the gateway: ``python -m modelfleet_gateway``, in a pod or in a test."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from .settings import read_gateway, settings_of


def main() -> None:
    """Serve callers on one port, and the kubelet and the provider on another, until SIGTERM."""
    settings = settings_of()
    gateway = read_gateway(settings)
    inherited = os.environ.get("MODELFLEET_LISTENER")
    if gateway.workers > 1 and inherited is None:
        _share_metrics(settings.state / "metrics")

    # Not before: prometheus_client decides when it is imported whether processes count together.
    from .internal import InternalApplication, serve_internally
    from .readiness import Readiness
    from .serving import listener, serve, serve_by_workers

    readiness = Readiness(settings.state, expected=gateway.workers)
    if inherited is not None:
        serve(settings, gateway, readiness, socket.socket(fileno=int(inherited)))
        return
    readiness.reset()
    public = listener(settings.host, settings.port)
    internal = listener(settings.host, settings.internal_port)
    serve_internally(InternalApplication(settings, gateway, readiness), internal)
    if gateway.workers > 1:
        serve_by_workers(gateway, readiness, public)
    else:
        serve(settings, gateway, readiness, public)


def _share_metrics(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


if __name__ == "__main__":
    main()
