"""AgentRun's inputs and the parts they are made of, each field by its own name and default.

Python says snake_case and the wire camelCase; both are read, either is written. A name that is none
of these fields is an error, never dropped. What a value may be is for ``spec/``, which knows why;
here is only what AgentRun calls it. Fields that it does not have (``deployment``, ``routes``, …)
stand last and are those of the spec, in the spec's own form. What a call takes is ``fields.py``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from modelfleet.agentrun.names import ModelType, NetworkMode, ProxyMode, Status
from modelfleet.spec.refused import snake_case

_SECRETS: Final = frozenset({"api_key", "secret_env", "key"})
"""What holds secrets in fields that are in the spec's form."""


def _shown(value: Any) -> Any:
    """Return ``value`` as ``repr`` shows it: without the secrets in its maps, with their names."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: _hidden(item) if snake_case(str(name)) in _SECRETS else _shown(item)
        for name, item in value.items()
    }


def _hidden(value: Any) -> Any:
    return dict.fromkeys(value, "***") if isinstance(value, Mapping) else "***"


class Shape(BaseModel):
    """Base of all of them: unknown names are errors, secrets do not show."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_enum_values=True,
        validate_assignment=True,
        extra="forbid",
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    @model_validator(mode="wrap")
    @classmethod
    def _say_what_was_meant(cls, value: Any, make: ModelWrapValidatorHandler[Self]) -> Self:
        """Say which field an unknown one is like; its value may be a secret, and is not shown."""
        try:
            return make(value)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            lines = [_line(each, known=cls.model_fields) for each in details]
            raise ValidationError.from_exception_data(error.title, lines, hide_input=True) from None

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what is shown of each field: of secrets in the spec's form, their names only."""
        for name, value in super().__repr_args__():
            yield name, _shown(value)


def _line(detail: ErrorDetails, *, known: Iterable[str]) -> InitErrorDetails:
    kind, told, at = detail["type"], detail["msg"], detail["loc"]
    if kind == "extra_forbidden" and len(at) == 1:
        kind, told = "unknown_field", "unknown field"
        if near := difflib.get_close_matches(str(at[0]), known, n=1):
            told += f"; did you mean {near[0]}?"
    return InitErrorDetails(type=PydanticCustomError(kind, told), loc=at, input=None)


class ProviderSettings(Shape):
    """Where an external model is reached, and the names it answers to."""

    api_key: str | None = Field(default=None, repr=False)
    base_url: str | None = None
    model_names: list[str] | None = None


class ModelFeatures(Shape):
    """What a model can do beyond plain text."""

    agent_thought: bool | None = None
    multi_tool_call: bool | None = None
    stream_tool_call: bool | None = None
    tool_call: bool | None = None
    vision: bool | None = None


class ModelProperties(Shape):
    """Measures of a model."""

    context_size: int | None = None


class ModelParameterRule(Shape):
    """One request parameter a model takes, and its bounds."""

    default: Any = None
    max: float | None = None
    min: float | None = None
    name: str | None = None
    required: bool | None = None
    type: str | None = None


class ModelInfoConfig(Shape):
    """What callers may know of one model."""

    model_name: str | None = None
    model_features: ModelFeatures | None = None
    model_properties: ModelProperties | None = None
    model_parameter_rules: list[ModelParameterRule] | None = None


class NetworkConfig(Shape):
    """Who may reach a resource. The default is PRIVATE, where AgentRun's is PUBLIC."""

    network_mode: NetworkMode = NetworkMode.PRIVATE
    security_group_id: str | None = None
    vpc_id: str | None = None
    vswitch_ids: list[str] | None = None
    allow_from: list[dict[str, Any]] | None = None


class ProxyConfigEndpoint(Shape):
    """One upstream of a proxy."""

    base_url: str | None = None
    model_names: list[str] | None = None
    model_service_name: str | None = None
    weight: int | None = None
    credential_name: str | None = None


class ProxyConfigFallback(Shape):
    """Who answers where the one that was asked fails."""

    model_name: str | None = None
    model_service_name: str | None = None


class ProxyConfigTokenRateLimiter(Shape):
    """Tokens that may pass in each window."""

    tps: int | None = None
    tpm: int | None = None
    tph: int | None = None
    tpd: int | None = None


class ProxyConfigAIGuardrailConfig(Shape):
    """What may not pass. The fields after the first two are the wire's, and the spec's own."""

    check_request: bool | None = None
    check_response: bool | None = None
    block_on_content_moderation: bool | None = None
    block_on_malicious_url: bool | None = None
    block_on_model_hallucination: bool | None = None
    block_on_prompt_attack: bool | None = None
    block_on_sensitive_data: bool | None = None
    level: str | None = None
    max_text_length: int | None = None
    blocked_words: list[str] | None = None
    blocked_patterns: list[str] | None = None


class ProxyConfigPolicies(Shape):
    """What is done with every request."""

    cache: bool | None = None
    concurrency_limit: int | None = None
    fallbacks: list[ProxyConfigFallback] | None = None
    num_retries: int | None = None
    request_timeout: int | None = None
    ai_guardrail_config: ProxyConfigAIGuardrailConfig | None = None
    token_rate_limiter: ProxyConfigTokenRateLimiter | None = None
    cache_ttl_seconds: int | None = None


class ProxyConfig(Shape):
    """The upstreams of a proxy, and what is done with requests."""

    endpoints: list[ProxyConfigEndpoint] | None = None
    policies: ProxyConfigPolicies | None = None


class MutableProps(Shape):
    """What an update of either resource may change."""

    credential_name: str | None = None
    description: str | None = None
    network_configuration: NetworkConfig | None = None
    tags: dict[str, str] | None = None
    deletion_protection: bool | None = None


class ModelServiceMutableProps(MutableProps):
    """What an update of a service may change."""

    provider_settings: ProviderSettings | None = None
    deployment: dict[str, Any] | None = None


class ModelServiceUpdateInput(ModelServiceMutableProps):
    """What to change of a service; what is not said stays. AgentRun lacks the last four."""

    model_type: ModelType | None = None
    provider: str | None = None
    workspace_id: str | None = None
    model_info_configs: list[ModelInfoConfig] | None = None


class ModelServiceCreateInput(ModelServiceMutableProps):
    """A service to create: external with ``provider_settings``, hosted with ``deployment``."""

    model_type: ModelType | None = None
    workspace_id: str | None = None
    model_info_configs: list[ModelInfoConfig] | None = None
    model_service_name: str | None = None
    provider: str | None = None
    adopt: bool | None = None


class ModelProxyMutableProps(MutableProps):
    """What an update of a proxy may change."""

    cpu: float | None = 2
    litellm_version: str | None = None
    memory: int | None = 4096
    model_proxy_name: str | None = None
    proxy_mode: ProxyMode | None = None
    service_region_id: str | None = None
    proxy_config: ProxyConfig | None = None
    execution_role_arn: str | None = None
    routes: dict[str, Any] | None = None
    policies: dict[str, Any] | None = None
    api_keys: dict[str, Any] | None = None
    limit_scope: str | None = None
    redis: dict[str, Any] | None = None
    replicas: int | None = None
    image: str | None = None


class ModelProxyUpdateInput(ModelProxyMutableProps):
    """What to change of a proxy; what is not said stays, ``cpu`` and ``memory`` too.

    AgentRun lacks the last two.
    """

    model_type: ModelType | None = None
    workspace_id: str | None = None


class ModelProxyCreateInput(ModelProxyMutableProps):
    """A proxy to create."""

    model_type: ModelType | None = None
    workspace_id: str | None = None
    adopt: bool | None = None


class PageableInput(Shape):
    """Which page, counted from 1, and of what size."""

    page_number: int | None = None
    page_size: int | None = None


class ModelServiceListInput(PageableInput):
    """Which services to list."""

    model_type: ModelType | None = None
    provider: str | None = None
    workspace_id: str | None = None


class ModelProxyListInput(PageableInput):
    """Which proxies to list."""

    proxy_mode: str | None = None
    status: Status | None = None
    workspace_id: str | None = None
