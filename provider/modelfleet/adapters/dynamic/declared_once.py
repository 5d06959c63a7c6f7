"""One service, one resource: two resources of a program must not mean the same one.

A cluster cannot tell: both have the same owner, so the second would change what the first has made,
and taking either out of the program would delete it under the other. The engine has every resource
of a program checked in one process; what was checked there is remembered, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelfleet.errors import Problem

_urns: dict[tuple[str, str, str], str] = {}


def declared_twice(
    name_field: str, *, cluster: object, resource_id: object, urn: str
) -> Iterator[Problem]:
    """Yield the problem that another resource than ``urn`` declares the same one of its kind.

    ``name_field`` is what its name is declared by, and stands for the kind. What is not known yet,
    and so no text, is not compared; a resource may be checked again.
    """
    if not (isinstance(cluster, str) and isinstance(resource_id, str)):
        return
    first = _urns.setdefault((name_field, cluster, resource_id), urn)
    if first != urn:
        yield Problem(
            name_field,
            f"{resource_id} is what resource {first.rpartition('::')[2]!r} declares; give one of "
            "them another name or namespace",
        )
