"""Rules on the pods of a service: their storage, disruption budget and architecture. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.rule import Problems, Rule, rule
from modelfleet.spec.tree import dotted

_STORAGE: Final = "deployment.storage"
_OTHER_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "empty_dir": ("class_name", "claim", "path"),
    "pvc": ("path",),
    "host_path": ("size_gib", "class_name", "claim"),
}
"""The fields that mean nothing for a kind of storage."""


@rule(
    f"{_STORAGE}.kind",
    f"{_STORAGE}.size_gib",
    f"{_STORAGE}.class_name",
    f"{_STORAGE}.access_mode",
    f"{_STORAGE}.claim",
    f"{_STORAGE}.path",
)
def _storage_has_the_fields_of_its_kind(
    kind: str | None,
    size_gib: float | None,
    class_name: str | None,
    access_mode: str | None,
    claim: str | None,
    path: str | None,
) -> Problems:
    given = {"size_gib": size_gib, "class_name": class_name, "claim": claim, "path": path}
    for name in _OTHER_KINDS.get(kind or "", ()):
        if given[name] is not None:
            yield Problem(f"{_STORAGE}.{name}", f"has no meaning with kind {kind}")
    if kind not in (None, "pvc") and access_mode not in (None, "ReadWriteOnce"):
        yield Problem(f"{_STORAGE}.access_mode", f"has no meaning with kind {kind}")
    if kind == "host_path" and path is None:
        yield Problem(f"{_STORAGE}.path", "is required with kind host_path")
    if kind == "pvc" and claim is None and size_gib is None:
        yield Problem(
            f"{_STORAGE}.size_gib",
            "is required for a claim of the service's own; or name an existing one with claim",
        )
    if kind == "pvc" and claim is not None:
        for name in ("size_gib", "class_name"):
            if given[name] is not None:
                yield Problem(f"{_STORAGE}.{name}", "is of the existing claim; leave it out")
        if access_mode not in (None, "ReadWriteOnce"):
            yield Problem(f"{_STORAGE}.access_mode", "is of the existing claim; leave it out")


@rule(
    f"{_STORAGE}.kind",
    f"{_STORAGE}.access_mode",
    f"{_STORAGE}.claim",
    "deployment.replicas",
    "deployment.strategy.type",
    "deployment.strategy.max_surge",
    "deployment.strategy.max_unavailable",
)
def _one_node_s_claim_has_one_pod(
    kind: str | None,
    access_mode: str | None,
    claim: str | None,
    replicas: float | None,
    strategy: str | None,
    surge: float | None,
    unavailable: float | None,
) -> Problems:
    if kind != "pvc" or claim is not None or access_mode == "ReadWriteMany" or replicas is None:
        return
    if replicas > 1:
        yield Problem(
            f"{_STORAGE}.access_mode",
            f"{access_mode} lets the pods of one node mount the claim, and deployment.replicas is "
            f"{replicas:g}; set ReadWriteMany, or another storage.kind",
        )
    elif strategy == "rolling" and (surge or (surge is None and unavailable in (None, 0))):
        yield Problem(
            "deployment.strategy",
            f"a new pod could not mount the {access_mode} claim before the old one has gone; set "
            "strategy.max_surge to 0 and max_unavailable to 1 (downtime while the pod is "
            "replaced), type recreate, or storage.access_mode ReadWriteMany",
        )


@rule(
    "deployment.disruption.min_available",
    "deployment.disruption.max_unavailable",
    "deployment.replicas",
)
def _evictions_can_go_on(
    min_available: float | None, max_unavailable: float | None, replicas: float | None
) -> Problems:
    if min_available is not None and max_unavailable is not None:
        yield Problem(
            "deployment.disruption.max_unavailable", "excludes min_available; keep one of them"
        )
    elif max_unavailable == 0:
        yield Problem(
            "deployment.disruption.max_unavailable",
            "0 would keep every node with a pod from being drained for ever; set at least 1",
        )
    elif min_available is not None and replicas is not None and 0 < replicas <= min_available:
        yield Problem(
            "deployment.disruption.min_available",
            f"{min_available:g} of {replicas:g} replicas would keep every node with a pod from "
            "being drained for ever; lower it or raise deployment.replicas",
        )


@rule("deployment.images", "deployment.cpu_architecture", names_only=True)
def _images_by_architecture_need_one(
    images: Mapping[str, Any] | None, architecture: str | None
) -> Problems:
    for key in images or {}:
        of = key.rpartition("/")[2]
        if of in ("amd64", "arm64") and architecture is None:
            yield Problem(
                dotted(("deployment", "images", key)),
                f"would never be used: set deployment.cpu_architecture to {of}, or use the key "
                f"{key.rpartition('/')[0] or 'default'} for an image of several architectures",
            )


ARCHITECTURE_LABEL: Final = "kubernetes.io/arch"


@rule("deployment.cpu_architecture", "deployment.node_selector")
def _architecture_is_said_once(
    architecture: str | None, node_selector: Mapping[str, Any] | None
) -> Problems:
    selected = (node_selector or {}).get(ARCHITECTURE_LABEL)
    if selected is not None and architecture is not None and selected != architecture:
        yield Problem(
            dotted(("deployment", "node_selector", ARCHITECTURE_LABEL)),
            f"contradicts deployment.cpu_architecture, which is {architecture}; remove one",
        )


POD_RULES: Final[tuple[Rule, ...]] = (
    _storage_has_the_fields_of_its_kind,
    _one_node_s_claim_has_one_pod,
    _evictions_can_go_on,
    _images_by_architecture_need_one,
    _architecture_is_said_once,
)
