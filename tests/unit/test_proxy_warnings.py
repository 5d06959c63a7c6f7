"""What is said of a proxy that may be meant, but seldom is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from proxy_declarations import SECRET, proxy, route, valid_proxies

from modelfleet.spec import ModelProxySpec, spec_of
from modelfleet.spec.proxy_sizing import (
    REQUESTS_PER_SECOND_PER_CORE,
    STREAMS_PER_CORE,
    requests_carried,
    streams_carried,
    worker_count,
    workers_of,
)
from modelfleet.spec.proxy_warnings import warnings_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEYS: dict[str, Any] = {"x": {"generate": {}}}
PER_MINUTE = 60 * REQUESTS_PER_SECOND_PER_CORE
"""What one process answers."""


def warnings(inputs: dict[str, Any]) -> list[str]:
    found = warnings_of(spec_of(inputs, model=ModelProxySpec), now=NOW)
    return [str(warning) for warning in found]


def keyed(**fields: Any) -> dict[str, Any]:
    return proxy(**{"api_keys": KEYS, **fields})


def limited(rpm: int) -> dict[str, Any]:
    return {"x": {"generate": {}, "limits": {"rpm": rpm}}}


def test_a_proxy_with_keys_and_room_has_no_warning() -> None:
    limits = {"concurrency_limit": STREAMS_PER_CORE}
    assert warnings(keyed(policies=limits)) == []


SAID: list[tuple[dict[str, Any], str]] = [
    (proxy(), "api_keys: there are none, and no credential_name: whoever can connect may call"),
    (
        proxy(api_keys={"x": {"generate": {}, "expires_at": "2026-11-21T13:00:00+02:00"}}),
        "api_keys.x.expires_at: was 2026-11-21T13:00:00+02:00: the key is refused",
    ),
    (
        proxy(workspace_id="team", api_keys={"x": {"generate": {}, "models": {"allow": ["chat"]}}}),
        "api_keys.x.models.allow[0]: chat matches no access name; there are team/chat",
    ),
    (
        proxy(api_keys={"x": {"generate": {}, "models": {"deny": ["c*", "x.*"]}}}),
        "api_keys.x.models.deny[1]: x.* matches no access name",
    ),
    (
        keyed(routes={"a": route("chat", {"service": "talk", "weight": 0})}),
        "routes.a.targets[1].weight: is 0: it gets no requests",
    ),
    (
        keyed(routes={"a": route("chat", "talk", fallbacks=["b"]), "b": route("talk")}),
        "routes.a: falls back to b, which has no other upstream",
    ),
    (
        keyed(policies={"concurrency_limit": STREAMS_PER_CORE + 1}),
        f"cpu: carries about {STREAMS_PER_CORE} answers streamed at a time",
    ),
    (
        keyed(cpu=0.5, routes={"a": route("chat", policies={"concurrency_limit": 20})}),
        "cpu: carries about 12 answers streamed at a time",
    ),
    (
        keyed(api_keys=limited(2 * PER_MINUTE + 1)),
        f"api_keys.x.limits.rpm: is {2 * PER_MINUTE + 1}, and the proxy answers about {PER_MINUTE} "
        "requests a minute",
    ),
    (keyed(cpu=4), "cpu: is 4, and one process uses one core; set 1, or declare redis"),
    (
        keyed(policies={"ai_guardrail_config": {"check_response": True, "max_text_length": 9}}),
        "policies.ai_guardrail_config.check_response: reads replies in full before they go out",
    ),
    (
        keyed(routes={"a": route("chat", policies={"cache_ttl_seconds": 9})}),
        "routes.a.policies.cache_ttl_seconds: has no effect while cache is not true",
    ),
]


@pytest.mark.parametrize(("inputs", "expected"), SAID, ids=[each[1][:50] for each in SAID])
def test_what_is_seldom_meant_is_one_warning(inputs: dict[str, Any], expected: str) -> None:
    (found,) = warnings(inputs)
    assert found.startswith(expected)


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param(proxy(credential_name="s/key"), id="a key in a Secret"),
        pytest.param(
            proxy(api_keys={"x": {"generate": {}, "expires_at": "2026-11-21T12:00:01Z"}}),
            id="a key that is good for a second",
        ),
        pytest.param(
            proxy(
                workspace_id="team",
                api_keys={"x": {"generate": {}, "models": {"allow": ["team/*"], "deny": ["*at"]}}},
            ),
            id="globs that match",
        ),
        pytest.param(
            keyed(routes={"a": route("chat", fallbacks=["b"]), "b": route("chat", "talk")}),
            id="a fallback with one more upstream",
        ),
        pytest.param(keyed(cpu=4, redis={"managed": True}), id="cores that are used"),
        pytest.param(
            keyed(
                replicas=2,
                cpu=2,
                redis={"managed": True},
                policies={"concurrency_limit": 4 * STREAMS_PER_CORE},
            ),
            id="as many streams as two pods of two cores carry",
        ),
        pytest.param(keyed(api_keys=limited(2 * PER_MINUTE)), id="a limit that may be reached"),
        pytest.param(
            keyed(replicas=2, cpu=2, redis={"managed": True}, api_keys=limited(2 * 4 * PER_MINUTE)),
            id="a limit that four processes may reach",
        ),
        pytest.param(keyed(replicas=0, api_keys=limited(9 * PER_MINUTE)), id="stopped, with keys"),
        pytest.param(
            keyed(replicas=0, policies={"concurrency_limit": 9 * STREAMS_PER_CORE}), id="stopped"
        ),
        pytest.param(
            keyed(policies={"cache_ttl_seconds": 9, "cache": True}), id="a cache with its time"
        ),
    ],
)
def test_what_is_sound_has_no_warning(inputs: dict[str, Any]) -> None:
    assert warnings(inputs) == []


@given(valid_proxies())
@settings(max_examples=40, deadline=None)
def test_every_valid_proxy_can_be_warned_of_and_no_warning_shows_a_key(
    inputs: dict[str, Any],
) -> None:
    keys = {"x": {"key": SECRET, "expires_at": "2020-01-01T00:00:00Z"}}
    assert any("api_keys.x" in each for each in warnings({**inputs, "api_keys": keys}))
    assert not any(SECRET in each for each in warnings({**inputs, "api_keys": keys}))


@pytest.mark.parametrize(
    ("fields", "workers"),
    [
        ({}, 1),
        ({"cpu": 0.5}, 1),
        ({"cpu": 3.9, "redis": {"managed": True}, "memory": 4096}, 3),
        ({"cpu": 4, "limit_scope": "replica"}, 4),
        ({"cpu": 4, "limit_scope": "replica", "policies": {"token_rate_limiter": {"tpm": 5}}}, 1),
        (
            {"cpu": 4, "limit_scope": "replica", "redis": {"managed": True}, "memory": 4096},
            4,
        ),
    ],
)
def test_a_pod_has_a_process_for_every_core_where_they_count_together(
    fields: dict[str, Any], workers: int
) -> None:
    assert workers_of(spec_of(proxy(**fields), model=ModelProxySpec)) == workers


def test_a_process_uses_one_core_at_most() -> None:
    assert streams_carried(cpu=8, workers=1) == STREAMS_PER_CORE
    assert streams_carried(cpu=0.5, workers=1) == STREAMS_PER_CORE // 2
    assert requests_carried(cpu=8, workers=1) == PER_MINUTE
    assert requests_carried(cpu=0.5, workers=1) == PER_MINUTE // 2
    assert worker_count(cpu=0.1, has_redis=True, counts_per_replica=False, has_limits=True) == 1
