"""Names that a ModelProxy has in the systems unified here, and what says the same in this one.

Whoever comes from AgentRun, d.run or LiteLLM writes what they know: each name that is no field here
is refused with what to do instead. Names are in snake_case; look-up is in ``refused``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from modelfleet.spec.api_keys import ApiKey, KeyLimits
from modelfleet.spec.policies import Fallback, GuardrailConfig, Policies
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.resource import NetworkConfiguration
from modelfleet.spec.routing import Endpoint, ProxyConfig, Route, Target

AGENTRUN: Final = "AgentRun"
DRUN: Final = "d.run"
LITELLM: Final = "LiteLLM"

_OUTPUT: Final = "is an output, not an input"
_NOWHERE: Final = "has no meaning on Kubernetes"
_OWN_CHECKS: Final = (
    "the gateway asks no service about a text; it has blocked_words, blocked_patterns and "
    "block_on_sensitive_data"
)
_SERVICE: Final = "write `service`: a ModelService of the program, or `namespace/name`"

PROXY_REFUSED: Final[Mapping[type[BaseModel], Mapping[str, str]]] = {
    ModelProxySpec: {
        "service_region_id": f"{_NOWHERE}: a region is a cluster; set `cluster`",
        "execution_role_arn": f"{_NOWHERE}: the gateway needs no rights; keys come from Secrets, "
        "named by credential_name",
        "log_configuration": f"{_NOWHERE}: each request is one line in the pods' log; collect it "
        "with the cluster's own means",
        "arms_configuration": f"{_NOWHERE}: pods offer Prometheus metrics at port 4001; let your "
        "monitoring in with network_configuration.allow_from",
        "function_name": f"{_NOWHERE}: there is no function behind a proxy; it has pods",
        "status": _OUTPUT,
        "status_reason": _OUTPUT,
        "model_proxy_id": _OUTPUT,
        "endpoint": _OUTPUT,
        "base_url": _OUTPUT,
        "access_names": _OUTPUT,
        "generated_keys": f"{_OUTPUT}; set api_keys.<name>.generate to have a key made",
        "created_at": _OUTPUT,
        "last_updated_at": _OUTPUT,
    },
    NetworkConfiguration: {
        "vpc_id": f"{_NOWHERE}: the cluster is the network; choose it with `cluster`, and say who "
        "may connect with network_configuration.allow_from",
        "vswitch_ids": f"{_NOWHERE}: pods run on any node of the cluster; choose it with `cluster`",
        "security_group_id": f"{_NOWHERE}: say who may connect with "
        "network_configuration.allow_from",
    },
    GuardrailConfig: {
        "block_on_content_moderation": f"is not available: {_OWN_CHECKS}",
        "block_on_malicious_url": f"is not available: {_OWN_CHECKS}; name the hosts there",
        "block_on_model_hallucination": "is not available: nobody can tell that from the reply "
        "alone",
        "block_on_prompt_attack": f"is not available: {_OWN_CHECKS}",
        "level": "is not available: a text is blocked by what is declared, whatever the level",
    },
    Target: {
        "model_service_name": _SERVICE,
        "model_names": "write `model_name`, the one that is asked for; each public name is a route",
        "backend": f"is a word of {DRUN}: {_SERVICE}",
        "namespace": "is part of `service`: write namespace/name",
        "provider": "is not needed: every upstream is spoken to in OpenAI's protocol",
        "api_key": "would stand in plain text; put it into a Secret and set credential_name",
        "headers": "is not available: an upstream gets the key of credential_name, as OpenAI does",
    },
    Endpoint: {
        "service": "write `model_service_name` here",
        "model_name": "write `model_names`, a list",
        "provider": "is not needed: every upstream is spoken to in OpenAI's protocol",
        "api_key": "would stand in plain text; put it into a Secret and set credential_name",
        "headers": "is not available: an upstream gets the key of credential_name, as OpenAI does",
    },
    Fallback: {
        "service": "write `model_service_name` here",
        "base_url": "is not available here: declare a route for it, and name that as model_name",
    },
    Route: {
        "endpoints": "write `targets`",
        "model_names": "a route has one public name, its key in `routes`; declare one for each",
        "fallback": "write `fallbacks`, a list of public names; how often a request is tried again "
        "is policies.num_retries",
    },
    Policies: {
        "rpm": "is a limit of keys: set api_keys.<name>.limits.rpm",
        "token_quota": "is a limit of keys: set api_keys.<name>.limits.token_quota",
        "max_retries": "write `num_retries`",
    },
    ApiKey: {
        "name": "is the key in `api_keys`, a map by name",
        "user": "is the key in `api_keys`, a map by name",
        "secret_ref": "is not available: pass the key as a secret of the program, as `key`; one "
        "that is in a Secret of the cluster is the proxy's credential_name",
    },
}
"""By the model in which it is written, and by name: the reason and what to do."""

_LIMITS: Final = "set api_keys.<name>.limits, or policies.token_rate_limiter for everybody"
_ROUTES: Final = "set routes.<public name>.targets"
_NOT_PASSED: Final = "is not available: what callers send passes as it is"
_NOT_REMEMBERED: Final = "failures are forgotten; a retry goes to another upstream if it can"
_NO_DATABASE: Final = "the gateway has no database; usage is in its log, one line per request"

PROXY_ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    # d.run: its gateway's routes and backends, and its console's aliases
    "backend": (DRUN, _ROUTES),
    "backends": (DRUN, _ROUTES),
    "filters": (DRUN, "set policies"),
    "load_balance_policy": (DRUN, "requests are shared by targets[].weight"),
    "balancing": (DRUN, "requests are shared by targets[].weight"),
    "fallback": (DRUN, "set fallbacks, by public name, and policies.num_retries"),
    "pre_delay": (DRUN, "the next one is tried at once; set policies.request_timeout"),
    "post_delay": (DRUN, "the next one is tried at once; set policies.request_timeout"),
    "max_retries": (DRUN, "set policies.num_retries"),
    "rate_limit": (DRUN, _LIMITS),
    "rate_limit_policy": (DRUN, _LIMITS),
    "rate_limits": (DRUN, _LIMITS),
    "rules": (DRUN, _LIMITS),
    "based_on": (DRUN, "a limit is of a key, a route or the proxy, by where it stands"),
    "match": (DRUN, "a limit is of a key, a route or the proxy, by where it stands"),
    "limit": (DRUN, _LIMITS),
    "duration": (DRUN, "is in the name of a limit: rpm, tps, tpm, tph, tpd"),
    "upstream": (DRUN, _ROUTES),
    "upstreams": (DRUN, _ROUTES),
    "upstream_model_id": (DRUN, "set targets[].model_name"),
    "entry_cluster": (DRUN, "set cluster"),
    "headers_from": (DRUN, "set targets[].credential_name for the key of an upstream"),
    "default_params": (DRUN, _NOT_PASSED),
    "override_params": (DRUN, _NOT_PASSED),
    "remove_param_keys": (DRUN, _NOT_PASSED),
    "timeout": (DRUN, "set policies.request_timeout, in seconds"),
    "security_policy": (DRUN, "set policies.ai_guardrail_config"),
    "alias": (DRUN, "is a public name: a key in `routes`"),
    "model_alias": (DRUN, "is a public name: a key in `routes`"),
    # LiteLLM: its configuration file
    "model_list": (LITELLM, "set routes, by public name"),
    "litellm_params": (LITELLM, _ROUTES),
    "litellm_settings": (LITELLM, "set policies"),
    "router_settings": (LITELLM, "set policies"),
    "general_settings": (LITELLM, "set api_keys and policies"),
    "environment_variables": (LITELLM, "set targets[].credential_name for the key of an upstream"),
    "guardrails": (LITELLM, "set policies.ai_guardrail_config"),
    "model_info": (LITELLM, "set model_type"),
    "api_base": (LITELLM, "set base_url, of a target or an endpoint"),
    "master_key": (LITELLM, "nobody has one here; set api_keys"),
    "virtual_keys": (LITELLM, "set api_keys"),
    "keys": (LITELLM, "set api_keys, a map by name"),
    "routing_strategy": (LITELLM, "requests are shared by targets[].weight"),
    "default_fallbacks": (LITELLM, "set policies.fallbacks of the proxy"),
    "context_window_fallbacks": (LITELLM, "set fallbacks; one has at least the same context"),
    "content_policy_fallbacks": (LITELLM, "set fallbacks"),
    "model_group_alias": (LITELLM, "declare a route for each public name"),
    "allowed_fails": (LITELLM, _NOT_REMEMBERED),
    "cooldown_time": (LITELLM, _NOT_REMEMBERED),
    "stream_timeout": (LITELLM, "set policies.request_timeout"),
    "max_parallel_requests": (LITELLM, "set policies.concurrency_limit"),
    "max_in_flight_requests_per_worker": (LITELLM, "set policies.concurrency_limit"),
    "cache_params": (LITELLM, "set policies.cache and policies.cache_ttl_seconds"),
    "num_workers": (LITELLM, "is one for every whole core, where they count together; set cpu"),
    "redis_host": (LITELLM, "set redis.host"),
    "redis_port": (LITELLM, "set redis.port"),
    "redis_password": (LITELLM, "put it into a Secret and set redis.credential_name"),
    "callbacks": (LITELLM, "pods offer Prometheus metrics, and log one line per request"),
    "success_callback": (LITELLM, "pods offer Prometheus metrics, and log one line per request"),
    "database_url": (LITELLM, _NO_DATABASE),
    "max_budget": (LITELLM, f"{_NO_DATABASE}; set api_keys.<name>.limits.token_quota"),
    "budget_duration": (LITELLM, f"{_NO_DATABASE}; set api_keys.<name>.limits.tpd"),
    # what others call the same
    "engine_version": ("other gateways", "set litellm_version"),
    "version": ("other gateways", "set litellm_version"),
    "memory_gib": ("a ModelService", "set memory, in MiB as AgentRun has it"),
    "model_service_name": ("a ModelService", "set model_proxy_name"),
    "name": ("other systems", "set model_proxy_name"),
    "instance_count": (DRUN, "set replicas"),
    "instances": (DRUN, "set replicas"),
    "region": (DRUN, "a region is a cluster; set cluster"),
    "targets": ("a route", _ROUTES),
    "models": ("other systems", "set routes, by public name"),
    "page_number": (AGENTRUN, "belongs to a listing, not to a proxy"),
    "page_size": (AGENTRUN, "belongs to a listing, not to a proxy"),
}
"""By name: the system it comes from, and what to do. For what is written in the models below."""

OWNERS_OF_ELSEWHERE: Final = (
    ModelProxySpec,
    ProxyConfig,
    Route,
    Target,
    Endpoint,
    Policies,
    Fallback,
    GuardrailConfig,
    ApiKey,
    KeyLimits,
)
