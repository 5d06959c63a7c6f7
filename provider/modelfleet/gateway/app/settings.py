"""Where the application finds its files and ports, and what gateway.json says. Reads, never writes.

Everything comes from the environment with the values of a pod as defaults, so that a test can run
the same application elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """Of one pod: directories, ports and bounds.

    ``root`` holds gateway.json and litellm.yaml, ``secrets`` what is mounted from Secrets, and
    ``state`` what the processes of the pod tell one another.
    """

    root: Path
    secrets: Path
    state: Path
    host: str
    port: int
    internal_port: int
    max_body_bytes: int
    max_bodies_bytes: int
    drain_seconds: float

    @property
    def keys_file(self) -> Path:
        """The hashes of callers' keys, and what each may do."""
        return self.secrets / "keys" / "keys.json"

    @property
    def inbound_file(self) -> Path:
        """The one key of ``credential_name``."""
        return self.secrets / "inbound" / "key"

    @property
    def redis_password_file(self) -> Path:
        """The password of the Redis that limits are counted in."""
        return self.secrets / "redis" / "password"

    @property
    def litellm_file(self) -> Path:
        """LiteLLM's own configuration."""
        return self.root / "litellm.yaml"

    def credential_file(self, number: int) -> Path:
        """The key that the upstreams with credential ``number`` are called with."""
        return self.secrets / "credentials" / str(number)


def settings_of(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process; an empty ``MODELFLEET_HOST`` is every address."""
    get = environment.get
    return Settings(
        root=Path(get("MODELFLEET_ROOT", "/opt/modelfleet")),
        secrets=Path(get("MODELFLEET_SECRETS", "/etc/modelfleet")),
        state=Path(get("MODELFLEET_STATE", "/tmp/modelfleet")),  # noqa: S108 - the pod's own
        host=get("MODELFLEET_HOST", ""),
        port=int(get("MODELFLEET_PORT", "4000")),
        internal_port=int(get("MODELFLEET_INTERNAL_PORT", "4001")),
        max_body_bytes=int(float(get("MODELFLEET_MAX_BODY_MIB", "64")) * _MIB),
        max_bodies_bytes=int(float(get("MODELFLEET_MAX_BODIES_MIB", "256")) * _MIB),
        drain_seconds=float(get("MODELFLEET_DRAIN_SECONDS", "3")),
    )


@dataclass(frozen=True)
class Route:
    """What is in force for one access name: the policies of the proxy are merged into it."""

    access_name: str
    request_timeout: float
    fallbacks: tuple[str, ...]
    is_cached: bool
    cache_ttl_seconds: int
    limits: Mapping[str, int]
    guardrail: Mapping[str, Any] | None


@dataclass(frozen=True)
class Upstream:
    """One place that requests are sent to; ``credential`` is the number of its key's file."""

    id: str
    name: str
    field: str
    service: str | None
    base_url: str
    credential: int | None


@dataclass(frozen=True)
class Gateway:
    """gateway.json; ``raw`` is the document itself, for who reads parts of it on its own."""

    proxy: str
    routes: Mapping[str, Route]
    upstreams: Mapping[str, Upstream]
    limits: Mapping[str, int]
    has_inbound_credential: bool
    requires_key: bool
    workers: int
    raw: Mapping[str, Any]


def read_gateway(settings: Settings) -> Gateway:
    """Read gateway.json. Raises OSError and ValueError; without it nothing can be served."""
    raw = json.loads((settings.root / "gateway.json").read_bytes())
    if raw["version"] != 1:
        raise ValueError(f"gateway.json has version {raw['version']}, this application reads 1")
    return Gateway(
        proxy=raw["proxy"],
        routes={name: _route(name, route) for name, route in raw["routes"].items()},
        upstreams={name: _upstream(name, each) for name, each in raw["upstreams"].items()},
        limits=raw["policies"]["limits"],
        has_inbound_credential=raw["has_inbound_credential"],
        requires_key=raw["requires_key"],
        workers=raw["workers"],
        raw=raw,
    )


def _route(name: str, raw: Mapping[str, Any]) -> Route:
    return Route(
        access_name=name,
        request_timeout=raw["request_timeout"],
        fallbacks=tuple(raw["fallbacks"]),
        is_cached=raw["cache"],
        cache_ttl_seconds=raw["cache_ttl_seconds"],
        limits=raw["limits"],
        guardrail=raw["guardrail"],
    )


def _upstream(upstream_id: str, raw: Mapping[str, Any]) -> Upstream:
    return Upstream(
        id=upstream_id,
        name=raw["name"],
        field=raw["field"],
        service=raw["service"],
        base_url=raw["base_url"],
        credential=raw["credential"],
    )
