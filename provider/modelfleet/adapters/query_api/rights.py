"""What a server asks of a cluster, and not one verb more; a test compares it with what is sent.

Roles reach all namespaces: one list and one watch per kind serve all of them, and RBAC cannot grant
those of some. Reading Secrets of services is reading the labels and annotations of external ones;
watches hand over whole objects all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Rule = Mapping[str, Any]


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str], **others: Any) -> Rule:
    return {
        "apiGroups": [group],
        "resources": list(resources),
        **{key: list(names) for key, names in others.items()},
        "verbs": list(verbs),
    }


READING: Final[Sequence[Rule]] = (
    _rule("apps", ["deployments", "replicasets"], ["list", "watch"]),
    _rule("", ["secrets", "pods"], ["list", "watch"]),
    # Which cluster is this? The UID of kube-system says so, and nothing else of it is read.
    _rule("", ["namespaces"], ["get"], resourceNames=["kube-system"]),
)

_WRITTEN: Final = ["get", "create", "patch", "delete"]

WRITING: Final[Sequence[Rule]] = (
    # Server-side apply is a patch; where there is no object yet, `create` is asked for as well.
    _rule("apps", ["deployments", "statefulsets"], _WRITTEN),
    _rule("", ["secrets", "services"], _WRITTEN),
    _rule("", ["configmaps", "persistentvolumeclaims"], [*_WRITTEN, "list"]),
    _rule("networking.k8s.io", ["networkpolicies"], _WRITTEN),
    _rule("policy", ["poddisruptionbudgets"], _WRITTEN),
    # New keys of a proxy: the kubelets of its pods are told at once.
    _rule("", ["pods"], ["patch"]),
)


def rules(*, read_only: bool) -> list[dict[str, Any]]:
    """Return the rules of the ClusterRole."""
    return [dict(rule) for rule in (READING if read_only else (*READING, *WRITING))]
