"""What stands beside a service and is never made by us, and what makes it in a Pulumi program.

Words for hints: whoever reads one should know which resource to add or to change. Pure data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RESOURCES: Final[Mapping[str, str]] = {
    "ConfigMap": "kubernetes.core.v1.ConfigMap",
    "LimitRange": "kubernetes.core.v1.LimitRange",
    "Namespace": "kubernetes.core.v1.Namespace",
    "PersistentVolumeClaim": "kubernetes.core.v1.PersistentVolumeClaim",
    "PriorityClass": "kubernetes.scheduling.v1.PriorityClass",
    "ResourceQuota": "kubernetes.core.v1.ResourceQuota",
    "RuntimeClass": "kubernetes.node.v1.RuntimeClass",
    "Secret": "kubernetes.core.v1.Secret",
    "ServiceAccount": "kubernetes.core.v1.ServiceAccount",
    "StorageClass": "kubernetes.storage.v1.StorageClass",
}
"""Resource of pulumi-kubernetes by kind."""


def called(kind: str, name: str = "") -> str:
    """Return an object in words: its kind, its name, and its resource in a Pulumi program."""
    return f"{kind} {name}".strip() + f" ({RESOURCES[kind]} in a Pulumi program)"
