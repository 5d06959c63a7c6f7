"""The internal port of a gateway: what the kubelet may ask, and what only the provider may."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from modelfleet.gateway.app.internal import InternalApplication
from modelfleet.gateway.app.readiness import Readiness
from modelfleet.gateway.app.settings import Settings, read_gateway

GATEWAY: dict[str, Any] = {
    "version": 1,
    "proxy": "models/front",
    "has_inbound_credential": False,
    "routes": {},
    "policies": {"concurrency_limit": None, "limits": {}},
    "upstreams": {},
    "redis": None,
    "limit_scope": "proxy",
    "requires_key": True,
    "processes": 1,
    "workers": 1,
}


def status_of(path: str, *, client: str, folder: Path) -> int:
    """Return the status that ``path`` is answered with for a caller from that address."""
    settings = Settings(
        root=folder,
        secrets=folder,
        state=folder,
        host="127.0.0.1",
        port=4000,
        internal_port=4001,
        max_body_bytes=1,
        max_bodies_bytes=1,
        drain_seconds=0,
    )
    (folder / "gateway.json").write_text(json.dumps(GATEWAY))
    readiness = Readiness(folder, expected=1)
    readiness.reset()
    readiness.mark()
    application = InternalApplication(settings, read_gateway(settings), readiness)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "client": (client, 5)}
    asyncio.run(application(scope, None, send))
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_and_metrics_are_for_whoever_the_policy_lets_in(path: str, tmp_path: Path) -> None:
    assert status_of(path, client="10.1.2.3", folder=tmp_path) == 200


@pytest.mark.parametrize("path", ["/status", "/upstreams"])
def test_upstreams_and_keys_are_told_to_who_comes_by_a_port_forward_only(
    path: str, tmp_path: Path
) -> None:
    assert status_of(path, client="127.0.0.1", folder=tmp_path) == 200
    assert status_of(path, client="10.1.2.3", folder=tmp_path) == 404


def test_nothing_else_is_there(tmp_path: Path) -> None:
    assert status_of("/docs", client="127.0.0.1", folder=tmp_path) == 404
