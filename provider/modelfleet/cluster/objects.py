"""What Kubernetes objects are called and where they are found: kinds, references, paths.

Objects themselves stay plain dicts, as on the wire, so that no field a server knows and we do
not is ever lost. Pure: nothing here talks to a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from modelfleet.errors import ProviderBugError

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of object, with the plural under which the API serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, *, namespace: str | None = None, name: str | None = None) -> str:
        """Return the URL path of one object, or of the collection where ``name`` is None.

        A namespaced kind without ``namespace`` means all namespaces, which only a collection has.
        """
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        return "/".join(parts)


NAMESPACE: Final = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE: Final = Kind("v1", "Node", "nodes", namespaced=False)
POD: Final = Kind("v1", "Pod", "pods")
EVENT: Final = Kind("v1", "Event", "events")
SERVICE: Final = Kind("v1", "Service", "services")
SECRET: Final = Kind("v1", "Secret", "secrets")
CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
PERSISTENT_VOLUME_CLAIM: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")
STATEFUL_SET: Final = Kind("apps/v1", "StatefulSet", "statefulsets")
REPLICA_SET: Final = Kind("apps/v1", "ReplicaSet", "replicasets")
NETWORK_POLICY: Final = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
INGRESS: Final = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
POD_DISRUPTION_BUDGET: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")

KINDS: Final[dict[tuple[str, str], Kind]] = {
    (kind.api_version, kind.kind): kind
    for kind in (
        NAMESPACE,
        NODE,
        POD,
        EVENT,
        SERVICE,
        SECRET,
        CONFIG_MAP,
        PERSISTENT_VOLUME_CLAIM,
        DEPLOYMENT,
        STATEFUL_SET,
        REPLICA_SET,
        NETWORK_POLICY,
        INGRESS,
        POD_DISRUPTION_BUDGET,
    )
}
"""Every kind this package can address, by (apiVersion, kind)."""


@dataclass(frozen=True)
class Ref:
    """The address of one object. ``str(ref)`` is the subject of messages about it."""

    kind: Kind
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """The URL path of this object."""
        return self.kind.path(namespace=self.namespace, name=self.name)

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.kind.namespaced else ""
        return f"{self.kind.kind} {place}{self.name}"


def kind_of(obj: Object) -> Kind:
    """Return the kind of ``obj``; a kind missing from the table is our bug, not the user's."""
    key = (str(obj.get("apiVersion", "")), str(obj.get("kind", "")))
    if key not in KINDS:
        raise ProviderBugError(f"cluster/objects.py knows no kind {key[1]!r} of {key[0]!r}")
    return KINDS[key]


def ref_of(obj: Object) -> Ref:
    """Return the address of ``obj``."""
    metadata = obj["metadata"]
    return Ref(kind_of(obj), metadata.get("namespace", ""), metadata["name"])
