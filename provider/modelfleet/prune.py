"""What an owner has in a cluster that its state does not know: left behind by a crash.

Compares; deleting is the fleet's. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from modelfleet import labels
from modelfleet.cluster.mirror import Key, key_of
from modelfleet.cluster.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    Kind,
    Object,
    Ref,
    ref_of,
)
from modelfleet.cluster.ownership import incarnation_of
from modelfleet.cluster.records import recorded_spec
from modelfleet.spec.proxy import ModelProxySpec

OWNED_KINDS: Final = (
    SECRET,
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    NETWORK_POLICY,
    SERVICE,
    POD_DISRUPTION_BUDGET,
    STATEFUL_SET,
    DEPLOYMENT,
)
"""What a resource may own, in the order of an apply."""


@dataclass(frozen=True)
class Orphan:
    """Objects of one creation of one resource, in the order of an apply.

    ``incarnation`` is ``""`` for objects that have lost theirs.
    """

    kind: str
    namespace: str
    name: str
    incarnation: str
    refs: tuple[Ref, ...]

    def __str__(self) -> str:
        objects = ", ".join(str(ref) for ref in self.refs)
        return f"{self.kind} {self.namespace}/{self.name} ({objects})"


def orphans_of(objects: Iterable[Object], *, known: Mapping[Key, Collection[str]]) -> list[Orphan]:
    """Return what ``objects`` of one owner are left over, by namespace and name.

    ``known`` is what the state has: incarnations by resource. What it does not have
    is left over whole. Of one it has, an object is that belongs neither to an incarnation of the
    state nor, where none of those is live, to the one that is, which the next ``up`` takes over;
    nor is in use by the live one, as half of it is after an interrupted replacement.
    """
    found = []
    for key, same in groupby(sorted(objects, key=key_of), key=key_of):
        group = sorted(same, key=lambda obj: OWNED_KINDS.index(ref_of(obj).kind))
        incarnations = known.get(key)
        left = group if incarnations is None else _left_over(group, incarnations)
        for incarnation in dict.fromkeys(map(_incarnation, left)):
            refs = tuple(ref_of(obj) for obj in left if _incarnation(obj) == incarnation)
            found.append(Orphan(key.kind, key.namespace, key.name, incarnation, refs))
    return found


def _left_over(group: Sequence[Object], known: Collection[str]) -> list[Object]:
    primaries = [
        obj for obj in group if labels.RECORD in (obj["metadata"].get("annotations") or {})
    ]
    live = [obj for obj in primaries if _incarnation(obj) in known] or primaries
    alive = {*known, *map(_incarnation, live)}
    used = {ref for obj in live for ref in _used_by(obj, group)}
    return [obj for obj in group if _incarnation(obj) not in alive and ref_of(obj) not in used]


def _used_by(primary: Object, group: Sequence[Object]) -> list[Ref]:
    """Return the objects of ``group`` that the pods of a Deployment need."""
    if ref_of(primary).kind != DEPLOYMENT:
        return []
    if (primary["metadata"].get("labels") or {}).get(labels.KIND) == ModelProxySpec.kind:
        return _used_by_gateways(primary, group)
    spec = recorded_spec(primary)
    declared = (spec or {}).get("deployment") or {}
    used = {DEPLOYMENT, SERVICE, NETWORK_POLICY}
    if spec is None or declared.get("disruption") is not None:
        used.add(POD_DISRUPTION_BUDGET)
    names = _claims_of(primary)
    if spec is None or declared.get("secret_env"):
        names.add((SECRET, labels.env_secret_name(primary["metadata"]["name"])))
    refs = (ref_of(obj) for obj in group)
    return [ref for ref in refs if ref.kind in used or (ref.kind, ref.name) in names]


def _used_by_gateways(primary: Object, group: Sequence[Object]) -> list[Ref]:
    """Return all of ``group`` but configurations of before, and what is declared no more."""
    spec = recorded_spec(primary)
    unused: set[tuple[Kind, str]] = set()
    name = (primary["metadata"].get("labels") or {}).get(labels.NAME, "")
    if spec is not None and not (spec.get("redis") or {}).get("managed"):
        redis = labels.redis_name(name)
        unused |= {(kind, redis) for kind in (SECRET, NETWORK_POLICY, SERVICE, STATEFUL_SET)}
    if spec is not None and int(spec.get("replicas", 1)) <= 1:
        unused.add((POD_DISRUPTION_BUDGET, labels.proxy_object_name(name)))
    pod = primary.get("spec", {}).get("template", {}).get("spec", {})
    mounted = {(each.get("configMap") or {}).get("name") for each in pod.get("volumes") or ()}
    refs = (ref_of(obj) for obj in group)
    return [
        ref
        for ref in refs
        if (ref.kind, ref.name) not in unused and (ref.kind != CONFIG_MAP or ref.name in mounted)
    ]


def _claims_of(deployment: Object) -> set[tuple[Kind, str]]:
    """Return the claims that the pods of ``deployment`` mount."""
    pod = deployment.get("spec", {}).get("template", {}).get("spec", {})
    claims = (each.get("persistentVolumeClaim") for each in pod.get("volumes") or ())
    return {(PERSISTENT_VOLUME_CLAIM, claim["claimName"]) for claim in claims if claim}


def _incarnation(obj: Object) -> str:
    return incarnation_of(obj) or ""
