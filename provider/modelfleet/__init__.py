"""Fleets of LLM inference services, declared in a Pulumi program and converged on Kubernetes.

The names a program uses. What stands on Pulumi is imported when first used, so that the command
line and the SDK start without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from modelfleet.errors import (
    AlreadyExistsError,
    ClusterError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    ImmutableFieldError,
    ModelFleetError,
    NotFoundError,
    NotReadyError,
    Problem,
    ProviderBugError,
    SpecError,
    UnavailableError,
)

if TYPE_CHECKING:
    from modelfleet.inputs import (
        ApiKeyArgs,
        DeploymentArgs,
        DisruptionArgs,
        EndpointArgs,
        FallbackArgs,
        GeneratedKeyArgs,
        GpuArgs,
        GuardrailConfigArgs,
        KeyLimitsArgs,
        KeyModelsArgs,
        ModelFeaturesArgs,
        ModelInfoConfigArgs,
        ModelParameterRuleArgs,
        ModelPropertiesArgs,
        ModelProxyArgs,
        ModelServiceArgs,
        ModelSourceArgs,
        NetworkConfigurationArgs,
        ParallelismArgs,
        PeerArgs,
        PoliciesArgs,
        ProbePathsArgs,
        ProviderSettingsArgs,
        ProxyConfigArgs,
        RedisArgs,
        RouteArgs,
        RuntimeArgs,
        SecretRefArgs,
        ServiceReferenceArgs,
        StorageArgs,
        StrategyArgs,
        TargetArgs,
        TokenRateLimiterArgs,
        TolerationArgs,
        WaitArgs,
    )
    from modelfleet.resources import ModelProxy, ModelService

__all__ = [
    "AlreadyExistsError",
    "ApiKeyArgs",
    "ClusterError",
    "ConfigError",
    "ConflictError",
    "DeploymentArgs",
    "DisruptionArgs",
    "EndpointArgs",
    "FallbackArgs",
    "ForbiddenError",
    "GeneratedKeyArgs",
    "GpuArgs",
    "GuardrailConfigArgs",
    "ImmutableFieldError",
    "KeyLimitsArgs",
    "KeyModelsArgs",
    "ModelFeaturesArgs",
    "ModelFleetError",
    "ModelInfoConfigArgs",
    "ModelParameterRuleArgs",
    "ModelPropertiesArgs",
    "ModelProxy",
    "ModelProxyArgs",
    "ModelService",
    "ModelServiceArgs",
    "ModelSourceArgs",
    "NetworkConfigurationArgs",
    "NotFoundError",
    "NotReadyError",
    "ParallelismArgs",
    "PeerArgs",
    "PoliciesArgs",
    "ProbePathsArgs",
    "Problem",
    "ProviderBugError",
    "ProviderSettingsArgs",
    "ProxyConfigArgs",
    "RedisArgs",
    "RouteArgs",
    "RuntimeArgs",
    "SecretRefArgs",
    "ServiceReferenceArgs",
    "SpecError",
    "StorageArgs",
    "StrategyArgs",
    "TargetArgs",
    "TokenRateLimiterArgs",
    "TolerationArgs",
    "UnavailableError",
    "WaitArgs",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "inputs" if name.endswith("Args") else "resources"
    return getattr(import_module(f"{__name__}.{home}"), name)
