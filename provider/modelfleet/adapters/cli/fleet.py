"""``modelfleet ls`` and ``modelfleet prune``: a cluster's fleet, for people. Translates only."""

from __future__ import annotations

import asyncio
import enum
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from modelfleet.adapters.cli.pulumi_state import KnownService, Stack
from modelfleet.cluster.client import Client
from modelfleet.clusters import DEFAULT, ClusterConfig, Clusters
from modelfleet.fleet import Fleet
from modelfleet.prune import Orphan
from modelfleet.service import Service

T = TypeVar("T")

Kubeconfig = Annotated[str | None, typer.Option(help="Kubeconfig to use; unset = the ambient one.")]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]


class Output(enum.StrEnum):
    """How a command prints its answer."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the answer.")]

WIDTH_OF_A_FILE = 200
"""Columns of a table that nobody's terminal limits: in a pipe or a file a line is one service."""


def ls(
    namespace: Annotated[str | None, typer.Option("--namespace", "-n")] = None,
    owner: Annotated[str | None, typer.Option(help="Only services of this owner.")] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the ModelServices of a cluster."""
    fleet = Fleet(Client.connect(kubeconfig=kubeconfig, context=context))

    async def listed() -> list[Service]:
        return await fleet.list(owner=owner, namespace=namespace)

    services = asyncio.run(closing(fleet, listed))
    if output is Output.JSON:
        typer.echo(json.dumps([asdict(each) for each in services], indent=2))
    elif services:
        terminal = Console()
        (terminal if terminal.is_terminal else Console(width=WIDTH_OF_A_FILE)).print(
            _table(services)
        )
    else:
        typer.echo("No ModelServices.")


def prune(
    stack: Annotated[str, typer.Option(help="Stack whose state is compared with the cluster.")],
    cwd: Annotated[Path, typer.Option(help="Folder of the Pulumi project.")] = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete what is listed.")] = False,
    owner: Annotated[
        str | None, typer.Option(help="Owner to look for; unset = the stack's.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List objects of a stack that its state does not have, left by a crash; --yes deletes them.

    Not while an up of that stack is running: what that creates is not in the state yet.
    """
    known_stack = Stack(stack, cwd)
    services = known_stack.services()
    whose = owner or known_stack.owner()
    clusters = Clusters.configured(known_stack.clusters())
    if kubeconfig is not None or context is not None:
        clusters = Clusters({DEFAULT: ClusterConfig(kubeconfig=kubeconfig, context=context)})
        names = [DEFAULT]
    else:
        used = {*clusters.names, *(each.cluster for each in services)}
        names = sorted(used or {DEFAULT})

    async def pruned() -> list[Orphan]:
        found: dict[str, list[Orphan]] = {}
        for name in names:
            fleet = clusters.fleet(name)
            uid = await fleet.client.cluster_uid()
            # By what the cluster is, not by its name: two names may stand for one cluster, and what
            # is known under the one would look left over under the other.
            if uid not in found:
                known = _known(each for each in services if each.cluster_uid in (uid, ""))
                found[uid] = list(await fleet.orphans(whose, known=known))
                for orphan in found[uid] if yes else ():
                    await fleet.prune(orphan, owner=whose)
        return [orphan for orphans in found.values() for orphan in orphans]

    orphans = asyncio.run(closing(clusters, pruned))
    for orphan in orphans:
        typer.echo(f"{'deleted' if yes else 'orphan'}: {orphan}")
    if not orphans:
        typer.echo(f"Nothing in the cluster belongs to {whose} that the state does not have.")
    elif not yes:
        typer.echo(f"{len(orphans)} left over. Delete with: modelfleet prune --stack {stack} --yes")


def _known(services: Iterable[KnownService]) -> dict[str, set[str]]:
    """Return the incarnations by id; a service that is to be replaced has two in a state."""
    known: dict[str, set[str]] = defaultdict(set)
    for each in services:
        known[each.id].add(each.incarnation)
    return known


async def closing(opened: Fleet | Clusters, verb: Callable[[], Awaitable[T]]) -> T:
    """Return what ``verb`` returns, with connections ended."""
    try:
        return await verb()
    finally:
        await opened.aclose()


def _table(services: list[Service]) -> Table:
    """Return a row per service; whose they are only where they are not all of one owner."""
    columns = ["NAMESPACE", "NAME", "STATUS", "READY", "GPUS", "MODEL"]
    several_owners = len({each.owner for each in services}) > 1
    table = Table(box=None, pad_edge=False)
    for column in [*columns, *(["OWNER"] if several_owners else [])]:
        table.add_column(column, overflow="fold")
    for each in services:
        ready = f"{each.ready_replicas}/{each.replicas}" if each.replicas else "-"
        gpus = str(each.gpus) if each.gpus else "-"
        row = [each.namespace, each.name, each.status, ready, gpus, each.model]
        table.add_row(*row, *([each.owner] if several_owners else []))
    return table
