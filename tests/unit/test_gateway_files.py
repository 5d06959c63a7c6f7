"""The files of a gateway: what follows from a declaration, in LiteLLM's words and in our own."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import yaml

from modelfleet.gateway.configuration import configuration_of
from modelfleet.gateway.keys_file import KeyEntry, keys_file_of, sha256_of
from modelfleet.gateway.litellm_config import litellm_config_of
from modelfleet.gateway.sources import sources
from modelfleet.gateway.workers import processes_of, workers_of
from modelfleet.spec.merge import merged
from modelfleet.spec.proxy import ModelProxySpec

CHAT: dict[str, Any] = {"targets": [{"service": "qwen"}]}


def proxy(**fields: Any) -> ModelProxySpec:
    base: dict[str, Any] = {"model_proxy_name": "gate", "namespace": "models"}
    if "proxy_config" not in fields:
        base["routes"] = {"chat": CHAT}
    return ModelProxySpec.model_validate(merged(base, fields))


def targets(*declared: dict[str, Any], **route: Any) -> ModelProxySpec:
    return proxy(routes={"chat": {"targets": list(declared), **route}})


def litellm(spec: ModelProxySpec) -> Any:
    return yaml.safe_load(litellm_config_of(spec))


def gateway(spec: ModelProxySpec) -> Any:
    return json.loads(configuration_of(spec))


def models(spec: ModelProxySpec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = litellm(spec)["model_list"]
    return found


def ids(spec: ModelProxySpec) -> list[str]:
    return [model["model_info"]["id"] for model in models(spec)]


def test_both_files_know_the_same_upstreams_by_the_same_ids() -> None:
    spec = proxy(routes={"other": {"targets": [{"service": "aa"}, {"service": "bb"}]}})
    assert sorted(ids(spec)) == sorted(gateway(spec)["upstreams"])
    assert len(set(ids(spec))) == 3


def test_the_id_of_an_upstream_does_not_depend_on_its_place_or_its_weight() -> None:
    a, b = {"service": "aa"}, {"service": "bb"}
    assert ids(targets(a, b)) == ids(targets({**b, "weight": 9}, a))[::-1]


@pytest.mark.parametrize(
    "other",
    [
        {"service": "bb"},
        {"service": "aa", "model_name": "another"},
        {"service": "aa", "credential_name": "secret"},
        {"service": "elsewhere/aa"},
        {"base_url": "http://aa.models.svc/v1", "model_name": "aa"},
    ],
)
def test_another_upstream_has_another_id(other: dict[str, Any]) -> None:
    assert ids(targets({"service": "aa"})) != ids(targets(other))


def test_an_upstream_has_another_id_under_each_name() -> None:
    assert len(set(ids(proxy(routes={"other": CHAT})))) == 2


def test_a_target_of_weight_zero_is_unknown_to_the_gateway() -> None:
    spec = targets({"service": "aa", "weight": 3}, {"service": "bb", "weight": 0})
    assert [model["litellm_params"]["weight"] for model in models(spec)] == [3]
    assert [each["name"] for each in gateway(spec)["upstreams"].values()] == ["models/aa"]
    assert "models/bb" not in litellm_config_of(spec) + configuration_of(spec)


def test_each_route_has_its_own_retries_and_time() -> None:
    spec = proxy(
        policies={"num_retries": 4, "request_timeout": 7},
        routes={
            "never": {**CHAT, "policies": {"num_retries": 0}},
            "long": {**CHAT, "policies": {"request_timeout": 900}},
        },
    )
    found = {
        model["model_name"]: [
            model["litellm_params"][name] for name in ("num_retries", "timeout", "stream_timeout")
        ]
        for model in models(spec)
    }
    assert found == {"chat": [4, 7, 7], "never": [0, 7, 7], "long": [4, 900, 900]}
    assert litellm(spec)["router_settings"]["num_retries"] == 0
    assert {model["litellm_params"]["max_retries"] for model in models(spec)} == {0}


def test_what_is_not_declared_is_two_retries_and_ten_minutes() -> None:
    (model,) = models(proxy())
    assert model["litellm_params"]["num_retries"] == 2
    assert model["litellm_params"]["timeout"] == 600
    assert gateway(proxy())["routes"]["chat"]["num_retries"] == 2
    assert gateway(proxy())["routes"]["chat"]["request_timeout"] == 600


def test_all_fallbacks_are_tried_however_many_there_are() -> None:
    names = [f"spare-{number}" for number in range(8)]
    spec = proxy(routes={"chat": {"fallbacks": names}, **dict.fromkeys(names, CHAT)})
    settings = litellm(spec)["router_settings"]
    assert settings["fallbacks"] == [{"chat": names}]
    assert settings["max_fallbacks"] == 8


def test_names_are_those_that_callers_send() -> None:
    spec = proxy(workspace_id="acme", routes={"chat": {"fallbacks": ["small"]}, "small": CHAT})
    assert [model["model_name"] for model in models(spec)] == ["acme/chat", "acme/small"]
    assert litellm(spec)["router_settings"]["fallbacks"] == [{"acme/chat": ["acme/small"]}]
    assert gateway(spec)["routes"]["acme/chat"]["fallbacks"] == ["acme/small"]


@pytest.mark.parametrize(
    ("model_type", "model", "mode"),
    [
        ("llm", "openai/qwen", None),
        ("text-embedding", "openai/qwen", "embedding"),
        ("rerank", "hosted_vllm/qwen", "rerank"),
        ("speech2text", "openai/qwen", "audio_transcription"),
        ("tts", "openai/qwen", "audio_speech"),
        ("moderation", "openai/qwen", "moderation"),
    ],
)
def test_what_a_model_does_decides_how_it_is_spoken_to(
    model_type: str, model: str, mode: str | None
) -> None:
    (found,) = models(proxy(routes={"chat": {"model_type": model_type}}))
    assert found["litellm_params"]["model"] == model
    assert found["model_info"].get("mode") == mode


def test_credentials_are_numbers_and_names_of_variables() -> None:
    spec = targets(
        {"service": "aa", "credential_name": "z"},
        {"service": "bb", "credential_name": "y/key"},
        {"service": "cc", "credential_name": "z"},
        {"service": "dd"},
        {"service": "ee", "credential_name": "unused", "weight": 0},
    )
    keys = [model["litellm_params"]["api_key"] for model in models(spec)]
    numbers = [each["credential"] for each in gateway(spec)["upstreams"].values()]
    variable = "os.environ/MODELFLEET_CREDENTIAL_"
    assert keys == [f"{variable}1", f"{variable}0", f"{variable}1", "none"]
    assert numbers == [1, 0, 1, None]


def test_no_secret_is_in_either_file() -> None:
    spec = proxy(api_keys={"team": {"key": "sk-planted-0123456789"}})
    text = litellm_config_of(spec) + configuration_of(spec)
    assert "sk-planted" not in text
    assert sha256_of("sk-planted-0123456789") not in text
    assert gateway(spec)["requires_key"] is True


@pytest.mark.parametrize(
    ("fields", "required"),
    [
        ({}, False),
        ({"credential_name": "inbound"}, True),
        ({"api_keys": {"team": {"generate": {}}}}, True),
    ],
)
def test_a_key_is_required_where_one_is_declared(fields: dict[str, Any], required: bool) -> None:
    assert gateway(proxy(**fields))["requires_key"] is required


def test_limits_of_the_proxy_and_of_a_route_are_counted_apart() -> None:
    found = gateway(
        proxy(
            policies={"token_rate_limiter": {"tpd": 9}, "concurrency_limit": 4},
            routes={"chat": {"policies": {"token_rate_limiter": {"tps": 5}}}, "other": CHAT},
        )
    )
    assert found["policies"] == {"concurrency_limit": 4, "limits": {"tpd": 9}}
    chat, other = found["routes"]["chat"], found["routes"]["other"]
    assert (chat["limits"], chat["concurrency_limit"]) == ({"tps": 5}, None)
    assert other["limits"] == {}


def test_a_guardrail_that_checks_nothing_is_none() -> None:
    words = {"blocked_words": ["x"]}
    idle = gateway(proxy(policies={"ai_guardrail_config": words}))
    active = gateway(proxy(policies={"ai_guardrail_config": {**words, "check_request": True}}))
    assert idle["routes"]["chat"]["guardrail"] is None
    assert active["routes"]["chat"]["guardrail"] == {
        "check_request": True,
        "check_response": False,
        "blocked_words": ["x"],
        "blocked_patterns": [],
        "block_on_sensitive_data": False,
        "max_text_length": None,
    }


CACHED: dict[str, Any] = {"policies": {"cache": True}}


def test_answers_are_kept_only_where_a_route_wants_it() -> None:
    assert "cache" not in litellm(proxy())["litellm_settings"]
    settings = litellm(proxy(**CACHED))["litellm_settings"]
    assert settings["cache_params"] == {"type": "local", "mode": "default_off"}


def test_answers_are_kept_in_the_redis_that_there_is() -> None:
    managed = litellm(proxy(**CACHED, redis={"managed": True}))["litellm_settings"]
    assert managed["cache_params"] == {
        "type": "redis",
        "host": "gate-redis.models.svc",
        "port": 6379,
        "password": "os.environ/MODELFLEET_REDIS_PASSWORD",
        "socket_timeout": 1,
        "socket_connect_timeout": 1,
        "mode": "default_off",
    }
    redis = {"host": "redis.example.org", "port": 6380, "tls": True}
    others = litellm(proxy(**CACHED, redis=redis))["litellm_settings"]
    assert others["cache_params"] == {
        "type": "redis",
        "host": "redis.example.org",
        "port": 6380,
        "ssl": True,
        "socket_timeout": 1,
        "socket_connect_timeout": 1,
        "mode": "default_off",
    }


def test_equal_declarations_are_equal_bytes_whatever_their_order() -> None:
    routes = {"a": CHAT, "b": {**CHAT, "fallbacks": ["a"]}}
    first, second = (
        proxy(routes=dict(items)) for items in (routes.items(), [*routes.items()][::-1])
    )
    assert litellm_config_of(first) == litellm_config_of(second)
    assert configuration_of(first) == configuration_of(second)


# -- processes

REDIS: dict[str, Any] = {"redis": {"managed": True}}
BY_REPLICA: dict[str, Any] = {"limit_scope": "replica"}
LIMIT: dict[str, Any] = {"policies": {"token_rate_limiter": {"tpm": 1}}}
KEY_LIMIT: dict[str, Any] = {"api_keys": {"team": {"generate": {}, "limits": {"rpm": 1}}}}


@pytest.mark.parametrize(
    ("fields", "workers"),
    [
        ({}, 1),
        (REDIS, 3),
        ({**REDIS, **LIMIT}, 3),
        (BY_REPLICA, 3),
        ({**BY_REPLICA, **LIMIT}, 1),
        ({**BY_REPLICA, **KEY_LIMIT}, 1),
        ({**BY_REPLICA, **REDIS, **KEY_LIMIT}, 1),
        ({**REDIS, "cpu": 0.5}, 1),
    ],
)
def test_a_pod_has_several_processes_only_where_they_count_together_or_nothing(
    fields: dict[str, Any], workers: int
) -> None:
    assert workers_of(proxy(**{"cpu": 3.9, **fields})) == workers


def test_requests_at_a_time_are_divided_by_all_processes() -> None:
    limited = {"policies": {"concurrency_limit": 9}, "replicas": 4, **REDIS}
    assert processes_of(proxy(**limited)) == 8
    assert gateway(proxy(**limited))["processes"] == 8
    assert processes_of(proxy(**{**limited, "replicas": 0})) == 2


def test_without_such_a_limit_scaling_changes_nothing_in_the_configuration() -> None:
    assert configuration_of(proxy(replicas=1)) == configuration_of(proxy(replicas=9))


# -- keys


def keys(spec: ModelProxySpec, *entries: KeyEntry) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(keys_file_of(spec, keys=entries))["keys"]
    return found


def test_a_declared_key_is_there_by_its_hash_alone() -> None:
    spec = proxy(api_keys={"team": {"key": "sk-0123456789abcdef", "limits": {"rpm": 3}}})
    digest = hashlib.sha256(b"sk-0123456789abcdef").hexdigest()
    assert keys(spec) == {
        digest: {
            "name": "team",
            "expires_at": None,
            "models": {"allow": [], "deny": []},
            "limits": {"rpm": 3},
        }
    }
    assert "sk-0123" not in keys_file_of(spec, keys=[])


def test_a_key_that_the_record_has_emptied_lets_nobody_in() -> None:
    assert keys(proxy(api_keys={"team": {"key": ""}})) == {}


def test_a_former_key_may_do_what_is_declared_now_until_it_ends() -> None:
    models_ = {"allow": ["chat"], "deny": []}
    spec = proxy(api_keys={"team": {"generate": {}, "models": models_}})
    found = keys(
        spec,
        KeyEntry("team", sha256_of("new")),
        KeyEntry("team", sha256_of("old"), expires_at="2026-12-01T00:00:00Z"),
        KeyEntry("gone", sha256_of("of a name that is no longer declared")),
    )
    assert {key: (each["name"], each["expires_at"]) for key, each in found.items()} == {
        sha256_of("new"): ("team", None),
        sha256_of("old"): ("team", "2026-12-01T00:00:00Z"),
    }
    assert all(each["models"] == models_ for each in found.values())


@pytest.mark.parametrize(
    ("declared", "former", "ends"),
    [
        ("2027-01-01T02:00:00+02:00", None, "2027-01-01T00:00:00Z"),
        ("2027-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-06-01T00:00:00+00:00", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_key_ends_at_the_first_of_its_ends(declared: str, former: str | None, ends: str) -> None:
    spec = proxy(api_keys={"team": {"generate": {}, "expires_at": declared}})
    (found,) = keys(spec, KeyEntry("team", sha256_of("x"), expires_at=former)).values()
    assert found["expires_at"] == ends


def test_a_key_in_force_that_was_a_former_one_does_not_end() -> None:
    former = KeyEntry("team", sha256_of("sk-0123456789abcdef"), expires_at="2026-01-01T00:00:00Z")
    spec = proxy(api_keys={"team": {"key": "sk-0123456789abcdef"}})
    (found,) = keys(spec, former).values()
    assert found["expires_at"] is None


# -- sources


def test_the_application_travels_whole_and_without_its_tests() -> None:
    assert {"__init__.py", "__main__.py", "application.py"} <= sources().keys()
    assert all(name.endswith(".py") and "test" not in name for name in sources())
    assert list(sources()) == sorted(sources())
    assert all(text.strip() for text in sources().values())


def test_the_application_imports_nothing_else_of_modelfleet() -> None:
    for name, text in sources().items():
        compile(text, name, "exec")
        assert "import modelfleet" not in text, name
        assert "from modelfleet" not in text, name
