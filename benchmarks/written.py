"""What a fleet writes for a service, caught before it reaches a cluster.

So that the baseline of an apply sends the very same objects.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Applied, Client
from modelfleet.cluster.objects import Object, Ref
from modelfleet.fleet import Desired, Fleet


class _Catcher(Client):
    """An empty cluster that takes everything and keeps nothing."""

    def __init__(self) -> None:
        super().__init__(Access(server="https://nowhere.invalid", source="benchmarks"))
        self.caught: list[Object] = []

    async def get(self, ref: Ref) -> Object | None:  # noqa: ARG002 - there is nothing to get
        return None

    async def apply(self, obj: Object, *, field_manager: str, force: bool = False) -> Applied:  # noqa: ARG002
        self.caught.append(obj)
        return Applied(obj, created=True)

    async def cluster_uid(self) -> str:
        return "00000000-0000-0000-0000-000000000000"


async def objects_written(services: Sequence[Desired]) -> tuple[list[Object], float]:
    """Return the objects of ``services`` in the order of their apply, and the seconds it took.

    The seconds are what the core itself needs, without any request.
    """
    catcher = _Catcher()
    fleet = Fleet(catcher)
    started = time.monotonic()
    for service in services:
        await fleet.apply(service)
    seconds = time.monotonic() - started
    await fleet.aclose()
    return catcher.caught, seconds
