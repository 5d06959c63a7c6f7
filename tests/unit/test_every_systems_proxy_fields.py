"""Every field that a gateway has in the systems unified here: accepted, or refused with advice.

The tables are theirs: AgentRun's ModelProxy with its nested types, field by field; the words of
d.run's gateway and of LiteLLM's configuration. Whoever brings one of these gets an answer.
"""

from __future__ import annotations

from typing import Any

import pytest
from proxy_declarations import problems, proxy, reference, route

from modelfleet.spec import ModelProxySpec
from modelfleet.spec.merge import merged
from modelfleet.spec.proxy_refused import PROXY_ELSEWHERE, PROXY_REFUSED
from modelfleet.spec.refused import snake_case

ENDPOINT = {"base_url": "https://a.example.com/v1", "model_names": ["m"]}


def at(path: str, value: Any) -> dict[str, Any]:
    tree: Any = value
    for step in reversed(path.split(".")):
        tree = {step: tree}
    return dict(tree)


ACCEPTED: list[tuple[str, Any]] = [
    ("model_proxy_name", "edge"),
    ("cpu", 2),
    ("cpu", 0.5),
    ("memory", 4096),
    ("litellm_version", "1.108.10"),
    ("proxy_mode", "single"),
    ("proxy_mode", "multi"),
    ("credential_name", "inbound"),
    ("description", "for people"),
    ("workspace_id", "team"),
    *(
        ("model_type", kind)
        for kind in ("llm", "text-embedding", "rerank", "speech2text", "tts", "moderation")
    ),
    ("network_configuration.network_mode", "PRIVATE"),
    ("proxy_config.endpoints", [{"base_url": "https://b.example.com", "model_names": ["m", "n"]}]),
    ("proxy_config.endpoints", [{"model_service_name": "chat", "weight": 3}]),
    ("proxy_config.policies.cache", True),
    ("proxy_config.policies.concurrency_limit", 10),
    ("proxy_config.policies.num_retries", 3),
    ("proxy_config.policies.request_timeout", 60),
    ("proxy_config.policies.fallbacks", [{"model_service_name": "backup"}]),
    ("proxy_config.policies.fallbacks", [{"model_name": "m"}]),
    ("proxy_config.policies.fallbacks", [{"model_service_name": "backup", "model_name": "m"}]),
    *((f"proxy_config.policies.token_rate_limiter.{unit}", 10) for unit in ("tps", "tpm")),
    *((f"proxy_config.policies.token_rate_limiter.{unit}", 10) for unit in ("tph", "tpd")),
    *(
        ("proxy_config.policies.ai_guardrail_config", {name: True, "max_text_length": 9})
        for name in ("check_request", "check_response")
    ),
    (
        "proxy_config.policies.ai_guardrail_config",
        {"check_request": True, "block_on_sensitive_data": True},
    ),
]
"""AgentRun's fields, which have the same names here."""

REFUSED_BY_NAME: list[tuple[str, str]] = [
    ("service_region_id", "set `cluster`"),
    ("serviceRegionId", "set `cluster`"),
    ("execution_role_arn", "credential_name"),
    ("log_configuration", "one line in the pods' log"),
    ("logConfiguration", "one line in the pods' log"),
    ("armsConfiguration", "Prometheus metrics"),
    ("function_name", "it has pods"),
    ("status", "is an output"),
    ("statusReason", "is an output"),
    ("created_at", "is an output"),
    ("last_updated_at", "is an output"),
    ("model_proxy_id", "is an output"),
    ("endpoint", "is an output"),
    ("base_url", "is an output"),
    ("access_names", "is an output"),
    ("generated_keys", "set api_keys.<name>.generate"),
    ("modelProxyName", "write it in snake_case: `model_proxy_name`"),
    ("proxyConfig", "write it in snake_case: `proxy_config`"),
    ("network_configuration.vpc_id", "the cluster is the network"),
    ("network_configuration.vpcId", "the cluster is the network"),
    ("network_configuration.vswitch_ids", "any node of the cluster"),
    ("network_configuration.security_group_id", "network_configuration.allow_from"),
    ("network_mode", "set network_configuration.network_mode"),
    ("vpc_id", "the cluster is the network"),
    ("endpoints", "set proxy_config.endpoints"),
    ("model_names", "set proxy_config.endpoints[].model_names"),
    ("fallbacks", "set policies.fallbacks"),
    ("cache", "set policies.cache"),
    ("concurrency_limit", "set policies.concurrency_limit"),
    ("num_retries", "set policies.num_retries"),
    ("request_timeout", "set policies.request_timeout"),
    ("token_rate_limiter", "set policies.token_rate_limiter"),
    ("tph", "set policies.token_rate_limiter.tph"),
    ("ai_guardrail_config", "set policies.ai_guardrail_config"),
    ("check_request", "set policies.ai_guardrail_config.check_request"),
    *(
        (f"proxy_config.policies.ai_guardrail_config.{name}", "is not available")
        for name in (
            "block_on_content_moderation",
            "blockOnMaliciousUrl",
            "block_on_model_hallucination",
            "block_on_prompt_attack",
            "level",
        )
    ),
    ("proxy_config.cache", "set policies.cache"),
    ("provider", "is a field of a ModelService"),
    ("model_info_configs", "is a field of a ModelService"),
    ("api_key", "set credential_name"),
    ("headers", "is not available"),
    *((name, f"is a field of {PROXY_ELSEWHERE[name][0]}: ") for name in sorted(PROXY_ELSEWHERE)),
]
"""The field as it is spelled there, and what the answer says to do."""


@pytest.mark.parametrize(("path", "value"), ACCEPTED)
def test_a_field_is_accepted_under_the_name_it_has_there(path: str, value: Any) -> None:
    inputs = merged(proxy(proxy_config={"endpoints": [ENDPOINT]}), at(path, value))
    assert problems(inputs) == []


@pytest.mark.parametrize(("path", "answer"), REFUSED_BY_NAME)
def test_a_field_that_is_none_here_is_refused_with_what_to_do_instead(
    path: str, answer: str
) -> None:
    inputs = proxy(proxy_config={"endpoints": [ENDPOINT]})
    (found,) = problems(merged(inputs, at(path, "x")))
    assert found.startswith(f"{path}: ")
    assert answer in found
    assert "unknown field" not in found


PLACES: dict[str, Any] = {
    "Target": lambda name: proxy(routes={"a": route({"service": "chat", name: "x"})}),
    "Route": lambda name: proxy(routes={"a": route("chat", **{name: "x"})}),
    "Endpoint": lambda name: proxy(proxy_config={"endpoints": [{**ENDPOINT, name: "x"}]}),
    "Fallback": lambda name: proxy(
        policies={"fallbacks": [{"model_service_name": "backup", name: "x"}]}
    ),
    "Policies": lambda name: proxy(policies={name: "x"}),
    "GuardrailConfig": lambda name: proxy(policies={"ai_guardrail_config": {name: "x"}}),
    "ApiKey": lambda name: proxy(api_keys={"k": {"generate": {}, name: "x"}}),
    "NetworkConfiguration": lambda name: proxy(network_configuration={name: "x"}),
    "ModelProxySpec": lambda name: proxy(**{name: "x"}),
}


@pytest.mark.parametrize(
    ("owner", "name"),
    [(model.__name__, name) for model, names in PROXY_REFUSED.items() for name in names],
)
def test_each_answer_is_given_where_it_belongs(owner: str, name: str) -> None:
    reasons = {model.__name__: names for model, names in PROXY_REFUSED.items()}
    for spelled in {name, _camel(name)}:
        (found,) = problems(PLACES[owner](spelled))
        assert found.endswith(f"{spelled}: {reasons[owner][name]}")


@pytest.mark.parametrize("owner", ["Target", "Route", "Endpoint", "Policies"])
def test_words_of_other_gateways_are_answered_in_routes_too(owner: str) -> None:
    for name in sorted(PROXY_ELSEWHERE):
        found = problems(PLACES[owner](name))
        assert not any("unknown field" in each for each in found), (owner, name)


def test_no_answer_is_for_a_field_that_there_is() -> None:
    for model, names in PROXY_REFUSED.items():
        assert not names.keys() & model.model_fields.keys()
        assert all(name == snake_case(name) for name in names)
    assert not PROXY_ELSEWHERE.keys() & ModelProxySpec.model_fields.keys()


def test_a_reference_takes_what_a_service_says_of_itself() -> None:
    told = reference(
        "models/chat",
        base_url="http://chat.models.svc/v1",
        model_names=["team/chat", "chat"],
        credential_name="chat-external",
        model_type="llm",
        context_size=8192,
        cluster="default",
    )
    assert problems(proxy(routes={"a": route(told)})) == []


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
