"""One question to one cluster: connect, ask, end the connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from modelfleet.cluster.client import Client
from modelfleet.clusters import Clusters
from modelfleet.fleet import Fleet

T = TypeVar("T")


def ask_fleet(
    question: Callable[[Fleet], Awaitable[T]], *, kubeconfig: str | None, context: str | None
) -> T:
    """Return the answer to ``question`` by the fleet of the cluster that the options name.

    Raises:
        ConfigError: no cluster can be reached that way.
    """
    fleet = Fleet(Client.connect(kubeconfig=kubeconfig, context=context))
    return asyncio.run(_closing(fleet, lambda: question(fleet)))


def ask_clusters(question: Callable[[Clusters], Awaitable[T]], clusters: Clusters) -> T:
    """Return the answer to ``question`` by several clusters."""
    return asyncio.run(_closing(clusters, lambda: question(clusters)))


async def _closing(opened: Fleet | Clusters, verb: Callable[[], Awaitable[T]]) -> T:
    try:
        return await verb()
    finally:
        await opened.aclose()
