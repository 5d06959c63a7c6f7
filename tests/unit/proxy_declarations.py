"""Declarations of proxies that tests share: small, varied, in both forms, with every part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from declarations import UNKNOWN, is_unknown
from hypothesis import strategies as st

from modelfleet.spec import ModelProxySpec, problems_of
from modelfleet.spec.merge import merged

SECRET = "sk-0123456789abcdef-hush"

PROXY: dict[str, Any] = {
    "model_proxy_name": "gateway",
    "namespace": "models",
    "routes": {"chat": {"targets": [{"service": "chat"}]}},
}
SHORTHAND: dict[str, Any] = {
    "model_proxy_name": "gateway",
    "namespace": "models",
    "proxy_config": {"endpoints": [{"model_service_name": "chat"}]},
}


def problems(inputs: Mapping[str, Any]) -> list[str]:
    found = problems_of(inputs, model=ModelProxySpec, is_unknown=is_unknown)
    return [str(problem) for problem in found]


def proxy(**fields: Any) -> dict[str, Any]:
    """Return a proxy with a route to a service, and ``fields``; routes given replace it."""
    if "proxy_config" in fields:
        return merged(SHORTHAND, fields)
    return {**PROXY, **fields}


def route(*targets: Any, **fields: Any) -> dict[str, Any]:
    """Return a route; a target that is a text is a service's name."""
    declared = [{"service": each} if isinstance(each, str) else each for each in targets]
    return {"targets": declared, **fields}


def reference(name: str, **fields: Any) -> dict[str, Any]:
    """Return a service as a program passes it."""
    return {"service": {"id": name, **fields}}


_TARGETS: list[dict[str, Any]] = [
    {"service": "chat"},
    {"service": "other/chat", "weight": 3},
    {"service": "chat", "model_name": "tiny", "weight": 0},
    {"base_url": "https://api.example.com/v1/", "model_name": "m", "credential_name": "s/k"},
    {"base_url": "http://10.0.0.1", "model_name": "m", "weight": "2"},
    reference("models/chat", context_size=8192, model_type="llm", model_names=["w/chat", "x"]),
    reference("big", context_size=32768.0, cluster="default", base_url="http://big.models.svc/v1"),
    reference("rank", model_type="rerank"),
    reference("other/ext", base_url="https://b.example.com", credential_name="ext-external"),
]
_POLICIES: list[dict[str, Any]] = [
    {},
    {"cache": True, "cache_ttl_seconds": 60},
    {"num_retries": 0, "request_timeout": 5.0},
    {"concurrency_limit": 10, "token_rate_limiter": {"tpm": 1000, "tpd": "5"}},
    {"fallbacks": []},
    {"fallbacks": [{"model_name": "a"}, {"model_service_name": "backup"}]},
    {"fallbacks": [{"model_service_name": {"id": "o/ext", "base_url": "https://b.example.com"}}]},
    {"ai_guardrail_config": {"check_request": True, "blocked_patterns": ["a+", "("]}},
]
_NAMES = ["a", "b", "team/a", "gateway", "org/model:1"]
_KEYS: list[dict[str, Any]] = [
    {"generate": {}},
    {"key": SECRET, "models": {"allow": ["a"], "deny": ["team/*"]}},
    {"key": SECRET + "2", "limits": {"rpm": 5, "tps": 7}, "expires_at": "2027-01-31T12:00:00Z"},
    {"key": "hush hush", "limits": {"token_quota": 9}},
]

_routes = st.dictionaries(
    st.sampled_from(_NAMES),
    st.builds(
        lambda targets, fallbacks, policies: route(
            *targets, policies=policies, **({"fallbacks": fallbacks} if fallbacks else {})
        ),
        st.lists(st.sampled_from(_TARGETS), min_size=1, max_size=3),
        st.lists(st.sampled_from(_NAMES), max_size=2, unique=True),
        st.sampled_from(_POLICIES),
    ),
    min_size=1,
    max_size=4,
)
_endpoints = st.lists(
    st.sampled_from(
        [
            {"model_service_name": "chat", "weight": 4},
            {"model_service_name": {"id": "chat", "model_names": ["a", "chat"]}},
            {"base_url": "https://api.example.com/v1", "model_names": ["m", "gateway"]},
            {"base_url": "https://b.example.com/v1", "model_names": ["n"], "weight": 0},
        ]
    ),
    min_size=1,
    max_size=3,
)
_others = st.fixed_dictionaries(
    {},
    optional={
        "workspace_id": st.sampled_from(["team", "w"]),
        "model_type": st.sampled_from(["llm", "rerank"]),
        "policies": st.sampled_from(_POLICIES),
        "replicas": st.sampled_from([0, 1, 3, 2.0]),
        "redis": st.sampled_from([{"managed": True}, {"host": "r.example.com", "tls": True}, {}]),
        "limit_scope": st.sampled_from(["proxy", "replica"]),
        "cpu": st.sampled_from([0.5, 1, 4, 16]),
        "memory": st.sampled_from([512, 4096]),
        "api_keys": st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from(_KEYS)),
        "litellm_version": st.sampled_from(["1.108.10", "1.82.7", "1.110.1"]),
    },
)
proxies = st.builds(
    lambda form, others: {"model_proxy_name": "gateway", "namespace": "models", **form, **others},
    st.builds(lambda routes: {"routes": routes}, _routes)
    | st.builds(
        lambda endpoints, policies: {
            "proxy_config": {"endpoints": endpoints, "policies": policies}
        },
        _endpoints,
        st.sampled_from(_POLICIES),
    ),
    _others,
)
"""Proxies of which each value alone is well-formed; together they often have problems."""


@st.composite
def valid_proxies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a proxy without a problem: fallbacks lead to later names only."""
    names = draw(st.lists(st.sampled_from([*_NAMES[:3], "org/m"]), min_size=1, unique=True))
    policies = st.sampled_from(_POLICIES[:5])
    targets = st.lists(st.sampled_from([_TARGETS[0], *_TARGETS[3:6]]), min_size=1, unique_by=str)
    declared = {
        name: route(
            *draw(targets),
            policies=draw(policies),
            **draw(
                st.sampled_from([{}, {"fallbacks": names[at + 1 :]}, {"fallbacks": names[-1:]}])
                if at + 1 < len(names)
                else st.just({})
            ),
        )
        for at, name in enumerate(names)
    }
    for each in declared.values():
        if each.get("fallbacks"):
            each["policies"] = {k: v for k, v in each["policies"].items() if k != "fallbacks"}
    backups = [{"model_service_name": each} for each in ("backup", {"id": "other/backup"})]
    shared = draw(st.sampled_from([{}, *({"fallbacks": [each]} for each in backups)]))
    mode: dict[str, Any] = draw(st.sampled_from([{"routes": declared}, {"proxy_config": _SINGLE}]))
    others = {"workspace_id": draw(st.sampled_from([None, "w"])), "policies": shared}
    return {"model_proxy_name": "gateway", "namespace": "models", **mode, **others}


_SINGLE = {
    "endpoints": [{"model_service_name": {"id": "chat", "model_names": ["a", "w/chat"]}}],
    "policies": {"cache": True},
}

__all__ = [
    "UNKNOWN",
    "is_unknown",
    "problems",
    "proxies",
    "proxy",
    "reference",
    "route",
    "valid_proxies",
]
