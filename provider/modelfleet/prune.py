"""What an owner has in a cluster that its state does not know: left behind by a crash.

Compares; deleting is the fleet's. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from modelfleet import labels
from modelfleet.cluster.mirror import key_of
from modelfleet.cluster.objects import Object, Ref, ref_of
from modelfleet.cluster.ownership import incarnation_of

_APPLY_ORDER = ("Secret", "NetworkPolicy", "Service", "Deployment")


@dataclass(frozen=True)
class Orphan:
    """Objects of one creation of one service, in the order of an apply."""

    namespace: str
    name: str
    incarnation: str | None
    refs: tuple[Ref, ...]

    def __str__(self) -> str:
        kinds = ", ".join(str(ref) for ref in self.refs)
        return f"ModelService {self.namespace}/{self.name} ({kinds})"


def orphans_of(objects: Iterable[Object], *, known: Mapping[str, str]) -> list[Orphan]:
    """Return what ``objects`` of one owner are left over.

    ``known`` is what the state has: incarnation by ``namespace/name``. A service it does not have
    is left over whole. Of one it has, only objects are that belong neither to the state's
    incarnation nor to that of the live primary object: the next ``up`` converges the rest.
    """
    found = []
    for (namespace, _, name), same in groupby(sorted(objects, key=key_of), key=key_of):
        group = sorted(same, key=lambda obj: _APPLY_ORDER.index(obj["kind"]))
        alive = _alive(group, state=known.get(f"{namespace}/{name}"))
        left = [obj for obj in group if alive is None or incarnation_of(obj) not in alive]
        for incarnation in dict.fromkeys(incarnation_of(obj) for obj in left):
            refs = tuple(ref_of(obj) for obj in left if incarnation_of(obj) == incarnation)
            found.append(Orphan(namespace, name, incarnation, refs))
    return found


def _alive(group: list[Object], *, state: str | None) -> set[str | None] | None:
    """Return the incarnations that are accounted for, None where the service is not known."""
    if state is None:
        return None
    primaries = (
        incarnation_of(obj)
        for obj in group
        if labels.RECORD in (obj["metadata"].get("annotations") or {})
    )
    return {state, *primaries}
