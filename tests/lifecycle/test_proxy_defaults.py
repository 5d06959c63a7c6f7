"""Whatever a proxy declares: applied a second time it changes nothing, and it has not drifted.

The API server fills in defaults and writes some values in another way; none of that may look like
somebody's edit, or every run would write, and every refresh would show what nobody did.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from fleets import writes
from module_fleet import ON_ONE_LOOP, module_fleet
from proxies import NAME, desired, updated

from modelfleet.fleet import Fleet
from modelfleet.plan import plan
from modelfleet.resource_types import MODEL_PROXY

__all__ = ["module_fleet"]  # a fixture, in the place of each test's own

pytestmark = ON_ONE_LOOP

SECRET = "sk-0123456789abcdef-hush"

TARGETS: list[dict[str, Any]] = [
    {"base_url": "https://api.example.com/v1/", "model_name": "m"},
    {"base_url": "http://10.0.0.1:8080", "model_name": "org/m:1", "weight": 3},
    {"base_url": "https://[2001:db8::1]/v1", "model_name": "m", "weight": 0},
    {"service": {"id": "far/m", "cluster": "elsewhere", "base_url": "https://far.example.com/v1"}},
]
CHOICES: dict[str, list[Any]] = {
    "workspace_id": [None, "team"],
    "description": [None, 'für alle: 100 % "so" 模型'],
    "policies": [
        {},
        {"cache": True, "cache_ttl_seconds": 60},
        {"num_retries": 0, "request_timeout": 5},
        {"concurrency_limit": 10, "token_rate_limiter": {"tpm": 1000, "tpd": 5000}},
        {"ai_guardrail_config": {"check_request": True, "blocked_patterns": ["a+", "\\d{3}"]}},
    ],
    "replicas": [0, 1, 3],
    "redis": [
        None,
        {"managed": True, "storage_gib": 0.5},
        {"managed": True, "storage_gib": 2.5, "storage_class": "fast", "image": "redis:7.2"},
        {"host": "redis.example.com", "tls": True},
        {"host": "10.0.0.2", "port": 6380},
    ],
    "limit_scope": ["proxy", "replica"],
    "cpu": [0.1, 0.25, 1, 1.5, 2],
    "memory": [2048, 3000, 4096],
    "api_keys": [
        {},
        {"x": {"generate": {}}},
        {
            "y": {"key": SECRET, "models": {"allow": ["a"], "deny": ["team/*"]}},
            "z": {
                "key": SECRET + "2",
                "limits": {"rpm": 5, "tps": 7},
                "expires_at": "2027-01-31T12:00:00+02:00",
            },
        },
    ],
    "network_configuration": [
        {},
        {"allow_from": [{"namespace_labels": {"a": "b"}}, {"pod_labels": {"c": "d"}}]},
        {"allow_from": [{"namespace_labels": {}, "pod_labels": {}}]},
    ],
    "tags": [{}, {"cost": "1"}],
}
NAMES = ("a", "org/model:1", "b")


def declaration(seed: int, *, namespace: str) -> dict[str, Any]:
    """Return a valid declaration, another one for each seed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    while True:
        routes = {
            name: {"targets": chance.sample(TARGETS, chance.randint(1, len(TARGETS)))}
            for name in chance.sample(NAMES, chance.randint(1, len(NAMES)))
        }
        first, *others = routes
        if others and chance.random() < 0.5:
            routes[first]["fallbacks"] = others  # type: ignore[assignment]
        fields = {name: chance.choice(values) for name, values in CHOICES.items()}
        declared = {
            "model_proxy_name": NAME,
            "namespace": namespace,
            "routes": routes,
            "wait": {"until": "accepted"},
            **{name: value for name, value in fields.items() if value is not None},
        }
        if not plan(declared, of=MODEL_PROXY).problems:
            return declared


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_applied_twice_is_written_once_and_has_not_drifted(
    fleet: Fleet, namespace: str, seed: int
) -> None:
    declared = declaration(seed, namespace=namespace)
    first = desired(declared)
    await fleet.apply(first)
    before = writes(fleet.client)
    second = updated(first, copy.deepcopy(declared))
    await fleet.apply(second)
    assert writes(fleet.client) == before
    found = await fleet.drift(second)
    assert found is not None
    assert (found.drift, found.live) == ({}, {})
