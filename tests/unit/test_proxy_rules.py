"""Rules between the fields of a proxy: what each finds, where, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from declarations import UNKNOWN
from proxy_declarations import PROXY, problems, proxy, reference, route

from modelfleet.spec.proxy import DEFAULT_LITELLM_VERSION, ModelProxySpec
from modelfleet.spec.proxy_rules import PROXY_RULES
from modelfleet.spec.proxy_sizing import WORKER_MEMORY_MIB
from modelfleet.spec.tree import model_at

URL = {"base_url": "https://a.example.com/v1", "model_name": "m"}
KEY = "0123456789abcdef"
GUARD: dict[str, Any] = {"check_request": True, "blocked_words": ["x"]}


def guarded(**fields: Any) -> dict[str, Any]:
    return proxy(policies={"ai_guardrail_config": fields})


def keyed(**keys: Any) -> dict[str, Any]:
    return proxy(api_keys=keys)


def limited(**fields: Any) -> dict[str, Any]:
    return proxy(policies={"token_rate_limiter": {"tpm": 1000}}, **fields)


def split(*targets: Any, **fields: Any) -> dict[str, Any]:
    return proxy(routes={"a": route(*targets)}, **fields)


def spare(*services: Any, **fields: Any) -> dict[str, Any]:
    """Return a proxy whose routes fall back to services, each as a program passes it or by name."""
    fallbacks = [{"model_service_name": each} for each in services]
    return proxy(policies={"fallbacks": fallbacks}, **fields)


def falling(**names: Any) -> dict[str, Any]:
    """Return a proxy whose routes fall back to the names given, each with a service of its own."""
    return {name: route(f"service-{name}", fallbacks=others) for name, others in names.items()}


WRONG: list[Any] = [
    # forms
    ({**PROXY, "routes": {}}, ": leads nowhere: declare `routes`, by public name, or"),
    ({**PROXY, "routes": {}, "proxy_config": {"endpoints": []}}, ": leads nowhere"),
    (
        {**PROXY, "proxy_config": {"endpoints": [{"model_service_name": "chat"}]}},
        "proxy_config.endpoints: excludes `routes`",
    ),
    (
        {**PROXY, "proxy_config": {"endpoints": [UNKNOWN]}},
        "proxy_config.endpoints: excludes `routes`",
    ),
    (
        proxy(
            proxy_config={"policies": {"num_retries": 1, "cache": True}},
            policies={"num_retries": 2, "request_timeout": 3},
        ),
        "proxy_config.policies.num_retries: stands in policies.num_retries too",
    ),
    (proxy(proxy_mode="multi"), "proxy_mode: is of proxy_config.endpoints, and there are none"),
    (
        proxy(
            proxy_mode="single",
            proxy_config={
                "endpoints": [{"model_service_name": "one"}, {"model_service_name": "two"}]
            },
        ),
        "proxy_mode: is single, and there are 2 endpoints",
    ),
    (
        proxy(
            proxy_mode="multi",
            proxy_config={"endpoints": [{"base_url": URL["base_url"], "model_names": ["m", "n"]}]},
        ),
        "proxy_config.endpoints[0].model_names: only the first would be used",
    ),
    # targets
    (split({"weight": 2}), "routes.a.targets[0]: declare either service, a ModelService, or base"),
    (
        split({**URL, "service": "chat"}),
        "routes.a.targets[0].base_url: excludes service, which has its own URL",
    ),
    (
        split({"base_url": URL["base_url"]}),
        "routes.a.targets[0].model_name: is required with base_url",
    ),
    (
        proxy(proxy_config={"endpoints": [{}]}),
        "proxy_config.endpoints[0]: declare either model_service_name",
    ),
    (
        proxy(proxy_config={"endpoints": [{"base_url": URL["base_url"]}]}),
        "proxy_config.endpoints[0].model_names: is required with base_url",
    ),
    (
        split({"service": "one", "weight": 0}, {"service": "two", "weight": 0}),
        "routes.a.targets: all weights are 0",
    ),
    (
        proxy(proxy_config={"endpoints": [{"model_service_name": "chat", "weight": 0}]}),
        "proxy_config.endpoints: all weights are 0",
    ),
    (
        split("chat", "bb", "chat"),
        "routes.a.targets[2]: is the same upstream and model as routes.a",
    ),
    (split("chat", "models/chat"), "routes.a.targets[1]: is the same upstream and model"),
    (split("chat", reference("chat")), "routes.a.targets[1]: is the same upstream and model"),
    (
        split("chat", {"base_url": "http://chat.models.svc/v1/", "model_name": "chat"}),
        "routes.a.targets[1]: is the same upstream and model",
    ),
    (split(URL, {**URL, "weight": 5}), "routes.a.targets[1]: is the same upstream and model"),
    (
        split(reference("chat", cluster="west")),
        "routes.a.targets[0].service: runs on cluster west, and its address there",
    ),
    (
        split(reference("other/ext", base_url=URL["base_url"], credential_name="ext-external")),
        "routes.a.targets[0].credential_name: is required: the key of other/ext is in a Secret of "
        "namespace other",
    ),
    (
        split(reference("ext", base_url=URL["base_url"], credential_name="ext-x", cluster="west")),
        "routes.a.targets[0].credential_name: is required: the key of ext is in a Secret of "
        "cluster west",
    ),
    # names and fallbacks
    (
        proxy(workspace_id="team", routes={"a": route("chat"), "team/a": route("bb")}),
        'routes["team/a"]: callers send team/a for it, as they do for a',
    ),
    (proxy(routes=falling(a=["b"])), "routes.a.fallbacks[0]: b is no public name of this proxy"),
    (
        proxy(policies={"fallbacks": [{"model_name": "x"}]}),
        "policies.fallbacks[0].model_name: x is no public name of this proxy; it has chat",
    ),
    (proxy(routes=falling(a=["a"])), "routes.a.fallbacks[0]: is the route itself"),
    (
        proxy(routes=falling(a=["b"], b=["a"])),
        "routes.b.fallbacks[0]: leads in a circle: a → b → a; leave one of these out",
    ),
    (
        proxy(routes=falling(c=["a"], a=["b"], b=["c"])),
        "routes.c.fallbacks[0]: leads in a circle: a → b → c → a",
    ),
    (
        proxy(
            routes={
                "a": route("bb", fallbacks=["c"], policies={"fallbacks": [{"model_name": "c"}]}),
                "c": route("cc"),
            }
        ),
        "routes.a.policies.fallbacks: stands beside the route's own fallbacks",
    ),
    (proxy(policies={"fallbacks": [{}]}), "policies.fallbacks[0]: names nobody"),
    (
        proxy(policies={"fallbacks": [{"model_service_name": "chat"}]}),
        "policies.fallbacks[0].model_service_name: is a public name too; write model_name: chat",
    ),
    (
        proxy(
            policies={
                "fallbacks": [
                    {"model_service_name": "bb", "model_name": "m"},
                    {"model_service_name": "bb", "model_name": "n"},
                ]
            }
        ),
        "policies.fallbacks[1].model_name: is another model of bb",
    ),
    (
        spare({"id": "models/chat", "base_url": URL["base_url"]}),
        "policies.fallbacks[0].model_service_name: is a public name too; write model_name: chat",
    ),
    (
        spare("ext", {"id": "other/ext"}),
        "policies.fallbacks[1].model_service_name: is not the ext that is named before",
    ),
    (
        spare(
            {"id": "ext", "base_url": URL["base_url"]}, {"id": "ext", "base_url": UNKNOWN}, "ext"
        ),
        "policies.fallbacks[2].model_service_name: is not the ext that is named before",
    ),
    (
        spare({"id": "ext", "cluster": "west"}),
        "policies.fallbacks[0].model_service_name: runs on cluster west, and its address there",
    ),
    (
        spare({"id": "o/ext", "base_url": URL["base_url"], "credential_name": "ext-external"}),
        "policies.fallbacks[0].model_service_name: the key of o/ext is in a Secret of namespace o",
    ),
    (
        spare({"id": "ext", "base_url": "nowhere"}),
        "policies.fallbacks[0].model_service_name.base_url: must be an http:// or https:// URL",
    ),
    (spare("No Name"), "policies.fallbacks[0].model_service_name: must be the name of a Model"),
    (
        split(reference("one", model_type="llm"), reference("two", model_type="rerank")),
        "routes.a.targets[1].service: is a model of type rerank, but routes.a.targets[0] is llm",
    ),
    (
        split(reference("one", model_type="rerank"), model_type="llm"),
        "routes.a.targets[0].service: is a model of type rerank, but model_type is llm",
    ),
    (
        proxy(
            routes={
                "a": route(reference("one", model_type="llm"), fallbacks=["b"]),
                "b": route(reference("two", model_type="rerank")),
            }
        ),
        "routes.a.fallbacks[0]: b is a model of type rerank, and a one of type llm",
    ),
    (
        spare(
            {"id": "models/ext", "model_type": "rerank"},
            routes={"a": route(reference("one", model_type="llm"))},
        ),
        "policies.fallbacks[0].model_service_name: ext is a model of type rerank, and a one of",
    ),
    (
        proxy(
            routes={
                "a": route(
                    reference("one", context_size=8192),
                    policies={
                        "fallbacks": [{"model_service_name": {"id": "ext", "context_size": 4096}}]
                    },
                )
            }
        ),
        "routes.a.policies.fallbacks[0].model_service_name: ext has a context of 4096 tokens, and",
    ),
    (
        proxy(
            routes={
                "a": route(reference("one", context_size=8192), fallbacks=["b"]),
                "b": route(reference("two", context_size=4096)),
            }
        ),
        "routes.a.fallbacks[0]: b has a context of 4096 tokens, and a one of 8192",
    ),
    # limits
    (limited(replicas=3), "policies.token_rate_limiter.tpm: would be 3 times larger: 3 replicas"),
    (
        proxy(
            replicas=2,
            routes={"a": route("bb", policies={"token_rate_limiter": {"tps": 1}}), "c": UNKNOWN},
        ),
        "routes.a.policies.token_rate_limiter.tps: would be 2 times larger",
    ),
    (
        proxy(replicas=2, api_keys={"x": {"key": UNKNOWN, "limits": {"rpm": 5}}}),
        "api_keys.x.limits.rpm: would be 2 times larger",
    ),
    (
        proxy(replicas=5, policies={"concurrency_limit": 4}),
        "policies.concurrency_limit: is 4, and would be 5",
    ),
    (
        proxy(cpu=3, redis={"managed": True}, policies={"concurrency_limit": 2}),
        "policies.concurrency_limit: is 2, and would be 3",
    ),
    (
        keyed(x={"generate": {}, "limits": {"token_quota": 5}}),
        "api_keys.x.limits.token_quota: needs redis",
    ),
    (
        proxy(
            redis={"managed": True},
            limit_scope="replica",
            api_keys={"x": {"generate": {}, "limits": {"token_quota": 5}}},
        ),
        "api_keys.x.limits.token_quota: is for the life of the key, and with limit_scope replica",
    ),
    (proxy(redis={}), "redis: declare either managed: true, which runs one, or host"),
    (proxy(redis={"managed": True, "host": "r"}), "redis.host: is of a Redis that is there"),
    (proxy(redis={"managed": True, "tls": True}), "redis.tls: is of a Redis that is there"),
    (proxy(redis={"managed": True, "port": 7}), "redis.port: is 6379 of the managed one"),
    (
        proxy(redis={"managed": True, "credential_name": "s"}),
        "redis.credential_name: is of a Redis that is there",
    ),
    (proxy(redis={"host": "r", "storage_gib": 5}), "redis.storage_gib: is of the managed one"),
    (proxy(redis={"host": "r", "image": "r:8"}), "redis.image: is of the managed one"),
    (
        proxy(memory=512),
        f"memory: is 512 MiB, and with cpu 2 its 1 process needs {WORKER_MEMORY_MIB}",
    ),
    (
        proxy(cpu=16, redis={"managed": True}),
        f"memory: is 4096 MiB, and with cpu 16 its 16 processes, one for every whole core, need "
        f"{16 * WORKER_MEMORY_MIB}",
    ),
    (proxy(cpu=16, limit_scope="replica"), "memory: is 4096 MiB"),
    # keys
    (keyed(x={}), "api_keys.x: declare either key, or generate: {}"),
    (keyed(x={"key": KEY, "generate": {}}), "api_keys.x.generate: excludes key"),
    (keyed(x={"key": "short"}), "api_keys.x.key: must have at least 16 characters"),
    (keyed(x={"key": f"{KEY} {KEY}"}), "api_keys.x.key: must be letters, digits and other visible"),
    (keyed(x={"key": f"{KEY}ä"}), "api_keys.x.key: must be letters, digits and other visible"),
    (
        keyed(b={"key": KEY}, a={"key": KEY}),
        "api_keys.b.key: is the same key as that of a; give each caller its own",
    ),
    (
        proxy(credential_name="s", api_keys={"inbound": {"generate": {}}}),
        "api_keys.inbound: is what usage calls the key of credential_name",
    ),
    # guardrails
    (
        guarded(check_request=True),
        "policies.ai_guardrail_config.check_request: checks nothing yet; set one of blocked_words",
    ),
    (
        guarded(check_response=True),
        "policies.ai_guardrail_config.check_response: checks nothing yet",
    ),
    (
        guarded(max_text_length=5),
        "policies.ai_guardrail_config.max_text_length: is checked nowhere",
    ),
    (
        guarded(check_request=True, blocked_patterns=["ok", "(a"]),
        "policies.ai_guardrail_config.blocked_patterns[1]: is no regular expression: missing )",
    ),
    (
        guarded(check_request=UNKNOWN, blocked_patterns=[UNKNOWN, "[a"]),
        "policies.ai_guardrail_config.blocked_patterns[1]: is no regular expression: unterminated",
    ),
    # releases
    (proxy(litellm_version="1.82.7"), "litellm_version: 1.82.7 is not run: its packages carried"),
    (proxy(litellm_version="1.82.8"), "litellm_version: 1.82.8 is not run: its packages carried"),
    (proxy(litellm_version="1.83.14"), "litellm_version: 1.83.14 is not run: callers can get past"),
    (proxy(litellm_version="1.104.6"), "litellm_version: 1.104.6 is not run: it does not start"),
    (proxy(litellm_version="1.105.0"), "litellm_version: 1.105.0 is not run: it does not start"),
    (proxy(litellm_version="1.106.3"), "litellm_version: 1.106.3 is not run: it does not start"),
]


@pytest.mark.parametrize(("inputs", "expected"), WRONG, ids=[each[1][:60] for each in WRONG])
def test_one_mistake_is_one_problem(inputs: dict[str, Any], expected: str) -> None:
    found = problems(inputs)
    assert len(found) == 1, found
    assert found[0].startswith(expected.removeprefix(": "))


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param(split(URL, {**URL, "credential_name": "k2"}), id="two keys of one provider"),
        pytest.param(split(URL, {**URL, "model_name": "n"}), id="two models of one upstream"),
        pytest.param(split({"service": "one", "weight": 0}, "two"), id="one weight of 0"),
        pytest.param(
            split({"service": "one", "weight": 0}, {"service": "two", "weight": UNKNOWN}),
            id="maybe another weight",
        ),
        pytest.param(
            split("chat", {"service": "chat", "model_name": UNKNOWN}), id="maybe another model"
        ),
        pytest.param(split("chat", "models/chat", namespace=UNKNOWN), id="maybe another namespace"),
        pytest.param(
            split(reference("ext", base_url=URL["base_url"], cluster="west")),
            id="a provider that another cluster knows",
        ),
        pytest.param(
            split({**reference("o/ext", credential_name="x"), "credential_name": "mine"}),
            id="a Secret of one's own",
        ),
        pytest.param(split(reference("chat", cluster=UNKNOWN)), id="maybe the same cluster"),
        pytest.param(proxy(routes=falling(a=["b", "c"], b=["c"], c=[])), id="fallbacks that meet"),
        pytest.param(
            spare({"id": "ext", "base_url": URL["base_url"]}, {"id": UNKNOWN}, UNKNOWN, "other/x"),
            id="services that are known in part",
        ),
        pytest.param(
            proxy(
                policies={"fallbacks": [{"model_service_name": "ext"}]},
                routes={
                    "a": route(
                        "one", policies={"fallbacks": [{"model_service_name": "models/ext"}]}
                    )
                },
            ),
            id="one service in two places",
        ),
        pytest.param(
            proxy(workspace_id="team", routes=falling(a=["team/b"], b=[])),
            id="a fallback by its access name",
        ),
        pytest.param(
            proxy(workspace_id=UNKNOWN, routes=falling(a=["team/b"], b=[])),
            id="maybe by its access name",
        ),
        pytest.param(
            proxy(
                policies={"fallbacks": [{"model_name": "c"}]},
                proxy_config={"endpoints": [{"model_service_name": UNKNOWN}]},
            ),
            id="maybe a name of the service",
        ),
        pytest.param(
            proxy(
                routes={
                    "a": route(reference("one", context_size=8192), "two", fallbacks=["b"]),
                    "b": route(reference("three", context_size=4096)),
                }
            ),
            id="a context that is not known of every target",
        ),
        pytest.param(
            proxy(
                routes={
                    "a": route(reference("one", context_size=4096), fallbacks=["b"]),
                    "b": route(reference("two", context_size=4096.0)),
                }
            ),
            id="as much context",
        ),
        pytest.param(limited(replicas=3, redis={"managed": True}), id="limits in Redis"),
        pytest.param(limited(replicas=3, limit_scope="replica"), id="limits of each replica"),
        pytest.param(limited(replicas=3, redis=UNKNOWN), id="maybe in Redis"),
        pytest.param(limited(replicas=UNKNOWN), id="maybe one replica"),
        pytest.param(limited(replicas=1), id="limits of one replica"),
        pytest.param(proxy(replicas=3, policies={"concurrency_limit": 3}), id="one for each"),
        pytest.param(
            proxy(
                redis={"managed": True},
                api_keys={"x": {"generate": {}, "limits": {"token_quota": 5}}},
            ),
            id="a quota in Redis",
        ),
        pytest.param(proxy(redis={"host": "r.example.com", "tls": True, "port": 7}), id="theirs"),
        pytest.param(proxy(redis={"managed": UNKNOWN, "host": "r"}), id="maybe theirs"),
        pytest.param(proxy(cpu=16), id="one process, whatever the cores"),
        pytest.param(proxy(cpu=16, memory=12288, redis={"managed": True}), id="memory for all"),
        pytest.param(
            proxy(cpu=16, limit_scope="replica", routes={"a": UNKNOWN}),
            id="maybe limits, so one process",
        ),
        pytest.param(keyed(x={"key": UNKNOWN}, y={"key": UNKNOWN}), id="maybe two keys"),
        pytest.param(keyed(x={"key": KEY, "expires_at": "2020-01-01T00:00:00Z"}), id="expired"),
        pytest.param(guarded(**GUARD), id="words in requests"),
        pytest.param(guarded(blocked_words=[UNKNOWN]), id="maybe words"),
        pytest.param(
            guarded(check_request=True, blocked_patterns=[r"\p{Han}{3}"]), id="a gateway's pattern"
        ),
        pytest.param(proxy(litellm_version=DEFAULT_LITELLM_VERSION), id="the tested release"),
        pytest.param(proxy(litellm_version="1.110.1"), id="another release"),
        pytest.param(proxy(litellm_version="1.106.4"), id="a mended release"),
        pytest.param(proxy(replicas=0), id="stopped"),
    ],
)
def test_what_is_sound_or_may_be_has_no_problem(inputs: dict[str, Any]) -> None:
    assert problems(inputs) == []


def test_every_mistake_is_told_at_once_also_beside_what_is_not_known() -> None:
    inputs = proxy(
        replicas=2,
        litellm_version="1.82.8",
        routes={
            "a": route({"service": UNKNOWN, "weight": 0}, {"base_url": UNKNOWN, "weight": 0}),
            "b": UNKNOWN,
            "c": route("one", {"serviceName": "two"}, fallbacks=["d", "a"]),
        },
        api_keys={"x": {"key": UNKNOWN, "limits": {"tpm": 7}}, "y": {"key": "hush"}},
    )
    assert [each.partition(": ")[0] for each in problems(inputs)] == [
        "api_keys.x.limits.tpm",
        "api_keys.y.key",
        "litellm_version",
        "routes.a.targets",
        "routes.c.fallbacks[0]",
        "routes.c.targets[1]",
        "routes.c.targets[1].serviceName",
    ]


def test_two_mistakes_of_one_key_show_nothing_of_it() -> None:
    found = problems(keyed(x={"key": "hush hush"}, y={"key": "hush hush"}))
    assert len(found) == 5
    assert not any("hush" in each for each in found)


def test_every_rule_looks_at_fields_that_exist() -> None:
    for each in PROXY_RULES:
        assert each.gaps
        for path in each.paths:
            *owner, name = path.split(".")
            model = model_at(ModelProxySpec, tuple(owner))
            assert model is not None, path
            assert name in model.model_fields, path
