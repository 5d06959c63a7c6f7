"""What every resource declares, whatever it is: where it is, who may connect, what an up waits for.

Shapes only; what is a service's own stands in ``service.py``, what is a proxy's in ``proxy.py``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from modelfleet.spec.fields import (
    ChangeClass,
    Int,
    LabelValue,
    NamespaceName,
    QualifiedName,
    ResourceName,
    SpecModel,
    declared,
    text,
)

IN_PLACE = ChangeClass.IN_PLACE
REPLACE = ChangeClass.REPLACE

WorkspaceId = Annotated[
    str,
    text(
        r"^[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?$",
        says="must be letters, digits, dashes, dots and underscores",
        max_length=63,
    ),
]


class Peer(SpecModel):
    """Pods that may reach a service although they live elsewhere (monitoring, an ingress)."""

    namespace_labels: dict[QualifiedName, LabelValue] | None = declared(
        None, change=IN_PLACE, doc="Labels of the namespaces they live in; unset = the service's."
    )
    pod_labels: dict[QualifiedName, LabelValue] | None = declared(
        None, change=IN_PLACE, doc="Labels of the pods; unset = every pod of those namespaces."
    )


class NetworkConfiguration(SpecModel):
    """Who may reach a service."""

    network_mode: Literal["PRIVATE"] = declared(
        "PRIVATE",
        change=IN_PLACE,
        doc="PRIVATE: reachable inside the cluster only. (AgentRun's default is PUBLIC.)",
    )
    allow_from: tuple[Peer, ...] = declared(
        (), change=IN_PLACE, doc="Further pods that may connect, beside proxies and neighbours."
    )


class Wait(SpecModel):
    """How long an ``up`` waits for a service, and for what."""

    until: Literal["accepted", "available", "all"] = declared(
        "available",
        change=IN_PLACE,
        doc="accepted: the API server took it. available: the rollout is over and enough "
        "replicas serve. all: every replica serves.",
    )
    timeout_seconds: Int | None = declared(
        None,
        change=IN_PLACE,
        doc="How long to wait; unset = deployment.startup_seconds + 120.",
        ge=1,
        le=86_400,
    )
    on_failure: Literal["keep", "rollback"] = declared(
        "keep",
        change=IN_PLACE,
        doc="keep: the objects stay, the next up goes on. rollback: what this call made is "
        "taken back.",
    )


class ResourceModel(SpecModel):
    """What both resources have."""

    namespace: NamespaceName = declared(
        "default", change=REPLACE, doc="Kubernetes namespace; it must exist."
    )
    cluster: ResourceName = declared(
        "default",
        change=REPLACE,
        doc="Logical name of the cluster, resolved from modelfleet:clusters in the stack's "
        "configuration; default = the ambient kubeconfig or in-cluster account.",
    )
    description: str | None = declared(None, change=IN_PLACE, doc="For people.", max_length=4096)
    network_configuration: NetworkConfiguration = declared(
        NetworkConfiguration(), change=IN_PLACE, doc="Who may connect."
    )
    tags: dict[str, str] = declared({}, change=IN_PLACE, doc="Free key-value pairs, recorded.")
    deletion_protection: bool = declared(
        False, change=IN_PLACE, doc="Refuse to delete or replace it while true."
    )
    adopt: bool = declared(
        False,
        change=IN_PLACE,
        doc="Take over objects of the same name that somebody else made, instead of refusing.",
    )
    wait: Wait = declared(Wait(), change=IN_PLACE, doc="What an up waits for.")
