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
        DeploymentArgs,
        DisruptionArgs,
        GpuArgs,
        ModelFeaturesArgs,
        ModelInfoConfigArgs,
        ModelParameterRuleArgs,
        ModelPropertiesArgs,
        ModelServiceArgs,
        ModelSourceArgs,
        NetworkConfigurationArgs,
        ParallelismArgs,
        PeerArgs,
        ProbePathsArgs,
        ProviderSettingsArgs,
        RuntimeArgs,
        SecretRefArgs,
        StorageArgs,
        StrategyArgs,
        TolerationArgs,
        WaitArgs,
    )
    from modelfleet.resources import ModelService

__all__ = [
    "AlreadyExistsError",
    "ClusterError",
    "ConfigError",
    "ConflictError",
    "DeploymentArgs",
    "DisruptionArgs",
    "ForbiddenError",
    "GpuArgs",
    "ImmutableFieldError",
    "ModelFeaturesArgs",
    "ModelFleetError",
    "ModelInfoConfigArgs",
    "ModelParameterRuleArgs",
    "ModelPropertiesArgs",
    "ModelService",
    "ModelServiceArgs",
    "ModelSourceArgs",
    "NetworkConfigurationArgs",
    "NotFoundError",
    "NotReadyError",
    "ParallelismArgs",
    "PeerArgs",
    "ProbePathsArgs",
    "Problem",
    "ProviderBugError",
    "ProviderSettingsArgs",
    "RuntimeArgs",
    "SecretRefArgs",
    "SpecError",
    "StorageArgs",
    "StrategyArgs",
    "TolerationArgs",
    "UnavailableError",
    "WaitArgs",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "inputs" if name.endswith("Args") else "resources"
    return getattr(import_module(f"{__name__}.{home}"), name)
