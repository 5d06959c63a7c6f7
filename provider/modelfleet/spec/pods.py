"""How the pods of a hosted ModelService are replaced, evicted and placed, and what they cache."""

from __future__ import annotations

from typing import Annotated, Literal

from modelfleet.spec.fields import (
    ChangeClass,
    Int,
    LabelValue,
    Number,
    ObjectName,
    QualifiedName,
    SpecModel,
    declared,
    text,
)

IN_PLACE = ChangeClass.IN_PLACE
ROLLING = ChangeClass.ROLLING

HostPath = Annotated[
    str,
    text(
        r"^/[^\s:]*[^\s:/]$",
        says="must be an absolute path of the node, such as /var/lib/models",
        max_length=1024,
    ),
]


class Strategy(SpecModel):
    """How pods are replaced when the service changes."""

    type: Literal["rolling", "recreate"] = declared(
        "rolling",
        change=IN_PLACE,
        doc="rolling: step by step. recreate: all at once, with downtime.",
    )
    max_surge: Int | None = declared(
        None,
        change=IN_PLACE,
        doc="Extra pods (and GPUs) during a rollout; unset = 1 for one replica, else 0.",
        ge=0,
    )
    max_unavailable: Int | None = declared(
        None,
        change=IN_PLACE,
        doc="Replicas that may be missing during a rollout; unset = 0 for one replica, else 1.",
        ge=0,
    )


class Storage(SpecModel):
    """Where downloaded models and compiled kernels are kept between starts of a pod."""

    kind: Literal["empty_dir", "pvc", "host_path"] = declared(
        "empty_dir",
        change=ROLLING,
        doc="empty_dir: gone with the pod. pvc: a claim. host_path: a folder of the node.",
    )
    size_gib: Number | None = declared(
        None,
        change=IN_PLACE,
        doc="Size in GiB: required for a claim of the service's own, a limit for an empty_dir.",
        gt=0,
        le=1_048_576,
    )
    class_name: ObjectName | None = declared(
        None, change=ROLLING, doc="StorageClass of the claim; unset = the cluster's default."
    )
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] = declared(
        "ReadWriteOnce",
        change=ROLLING,
        doc="How many nodes may mount the claim; several replicas share it as ReadWriteMany.",
    )
    claim: ObjectName | None = declared(
        None,
        change=ROLLING,
        doc="An existing claim to use instead of one of the service's own, which is deleted with "
        "the service.",
    )
    path: HostPath | None = declared(
        None,
        change=ROLLING,
        doc="Folder of the node, for host_path. The pods' user must be able to write it.",
    )


class Disruption(SpecModel):
    """What evictions (a node's drain) must leave standing: a PodDisruptionBudget."""

    min_available: Int | None = declared(
        None, change=IN_PLACE, doc="Replicas that must stay.", ge=0
    )
    max_unavailable: Int | None = declared(
        None,
        change=IN_PLACE,
        doc="Replicas that may be missing; unset with min_available unset = 1.",
        ge=0,
    )


class Toleration(SpecModel):
    """A taint that the pods accept."""

    key: QualifiedName | None = declared(
        None, change=ROLLING, doc="Taint key; unset = every taint."
    )
    operator: Literal["Exists", "Equal"] = declared("Exists", change=ROLLING, doc="How to compare.")
    value: LabelValue | None = declared(None, change=ROLLING, doc="Taint value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = declared(
        None, change=ROLLING, doc="Taint effect; unset = all."
    )
