"""The SDK: AgentRun's ModelClient, ModelService, ModelProxy, Config, on the fleet of a cluster.

A program written for ``agentrun.model`` and ``agentrun.utils`` imports the same names from here.
"""

from __future__ import annotations

from modelfleet.agentrun.names import (
    BackendType,
    ModelType,
    NetworkMode,
    Provider,
    ProxyMode,
    Status,
)
from modelfleet.agentrun.shapes import (
    ModelFeatures,
    ModelInfoConfig,
    ModelParameterRule,
    ModelProperties,
    ModelProxyCreateInput,
    ModelProxyListInput,
    ModelProxyUpdateInput,
    ModelServiceCreateInput,
    ModelServiceListInput,
    ModelServiceUpdateInput,
    NetworkConfig,
    PageableInput,
    ProviderSettings,
    ProxyConfig,
    ProxyConfigAIGuardrailConfig,
    ProxyConfigEndpoint,
    ProxyConfigFallback,
    ProxyConfigPolicies,
    ProxyConfigTokenRateLimiter,
)
from modelfleet.client.base_info import BaseInfo
from modelfleet.client.config import Config
from modelfleet.client.errors import (
    AgentRunError,
    ClientError,
    DeleteResourceError,
    HTTPError,
    ResourceAlreadyExistError,
    ResourceNotExistError,
    ServerError,
)
from modelfleet.client.model_client import ModelClient
from modelfleet.client.model_proxy import ModelProxy
from modelfleet.client.model_service import ModelService
from modelfleet.client.usage import Price, Usage
from modelfleet.errors import ConfigError, ModelFleetError, NotReadyError

__all__ = [
    "AgentRunError",
    "BackendType",
    "BaseInfo",
    "ClientError",
    "Config",
    "ConfigError",
    "DeleteResourceError",
    "HTTPError",
    "ModelClient",
    "ModelFeatures",
    "ModelFleetError",
    "ModelInfoConfig",
    "ModelParameterRule",
    "ModelProperties",
    "ModelProxy",
    "ModelProxyCreateInput",
    "ModelProxyListInput",
    "ModelProxyUpdateInput",
    "ModelService",
    "ModelServiceCreateInput",
    "ModelServiceListInput",
    "ModelServiceUpdateInput",
    "ModelType",
    "NetworkConfig",
    "NetworkMode",
    "NotReadyError",
    "PageableInput",
    "Price",
    "Provider",
    "ProviderSettings",
    "ProxyConfig",
    "ProxyConfigAIGuardrailConfig",
    "ProxyConfigEndpoint",
    "ProxyConfigFallback",
    "ProxyConfigPolicies",
    "ProxyConfigTokenRateLimiter",
    "ProxyMode",
    "ResourceAlreadyExistError",
    "ResourceNotExistError",
    "ServerError",
    "Status",
    "Usage",
]
