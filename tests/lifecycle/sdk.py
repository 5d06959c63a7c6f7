"""What the tests of the SDK share: both forms of a call, and small things to create."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleets import ENGINE

from modelfleet.client import (
    Config,
    ModelProxyCreateInput,
    ModelServiceCreateInput,
    ProviderSettings,
    ProxyConfig,
    ProxyConfigEndpoint,
)

Do = Callable[..., Any]
"""``do(owner, name, *args, **kw)`` calls one of the two forms of a method."""


def sync_form(owner: Any, name: str, *args: Any, **kw: Any) -> Any:
    return getattr(owner, name)(*args, **kw)


def async_form(owner: Any, name: str, *args: Any, **kw: Any) -> Any:
    return asyncio.run(getattr(owner, f"{name}_async")(*args, **kw))


def config_of(kubeconfig: Path, namespace: str, **others: Any) -> Config:
    return Config(kubeconfig=kubeconfig, namespace=namespace, **others)


def external(name: str = "qwen", **others: Any) -> ModelServiceCreateInput:
    """Return a service that runs elsewhere: it is READY at once."""
    settings = ProviderSettings(
        base_url="https://api.example.com/v1", api_key="sk-upstream", model_names=["qwen-max"]
    )
    fields = {"model_service_name": name, "provider_settings": settings, **others}
    return ModelServiceCreateInput(**fields)


def hosted(name: str = "qwen", **deployment: Any) -> ModelServiceCreateInput:
    """Return a service that is ready as soon as its pod is."""
    smallest = {
        "model": {"uri": "file:///models/qwen"},
        "runtime": ENGINE,
        "cpu": 0.1,
        "drain_seconds": 0,
    }
    return ModelServiceCreateInput(model_service_name=name, deployment={**smallest, **deployment})


def proxy(name: str = "gate", service: str = "qwen", **others: Any) -> ModelProxyCreateInput:
    """Return a proxy in front of one service."""
    endpoint = ProxyConfigEndpoint(model_service_name=service)
    fields = {"cpu": 0.1, "memory": 1024, **others}
    return ModelProxyCreateInput(
        model_proxy_name=name, proxy_config=ProxyConfig(endpoints=[endpoint]), **fields
    )
