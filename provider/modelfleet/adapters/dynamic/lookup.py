"""What a program gets that refers to a service by its id, of whatever owner.

It is read, never changed and never deleted, so what is kept of it in a state has no incarnation:
that would say what the state may delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import ReadResult

from modelfleet.adapters.dynamic import state
from modelfleet.background import run
from modelfleet.errors import NotFoundError
from modelfleet.resource_types import ResourceType

if TYPE_CHECKING:
    from modelfleet.desired import Desired
    from modelfleet.fleet import Fleet
    from modelfleet.service import Service


def looked_up(
    id_: str, props: Mapping[str, Any], *, of: ResourceType, fleet: Fleet, cluster: str
) -> ReadResult:
    """Return the resource ``id_`` of ``fleet``, the one of ``cluster``.

    ``props`` are those of the request. Where they come from an earlier look-up this is a refresh,
    and a service that is gone has an empty id.

    Raises:
        NotFoundError: there is no such service, and a program asks for it.
        ConflictError: what it was declared as cannot be read.
    """
    namespace, _, name = id_.partition("/")
    recorded = run(fleet.recorded(namespace, name, kind=of.kind))
    if recorded is not None:
        return ReadResult(id_, _outputs(*recorded, of=of, cluster=cluster))
    if "status" in props:
        return ReadResult("", {})
    raise NotFoundError(
        f"{of.kind} {id_}",
        f"does not exist in cluster {cluster!r}",
        hint="An id is namespace/name, and modelfleet ls lists what there is. What is yet to be "
        "made is declared, not looked up; what was made by other means is declared with "
        "adopt=True.",
    )


def _outputs(
    service: Service, declared: Desired, *, of: ResourceType, cluster: str
) -> dict[str, Any]:
    where = {
        of.name_field: service.name,
        "namespace": service.namespace,
        "cluster": cluster,
    }
    planned = of.planned_of(declared.spec, renderer_version=declared.renderer_version)
    outputs = state.outputs_of(service, renderer_version=declared.renderer_version)
    del outputs["incarnation"]
    return {**where, **planned, **outputs}
