"""``modelfleet ls`` and ``modelfleet prune``: a cluster's fleet, for people. Translates only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from modelfleet.adapters.cli.pulumi_state import KnownService, Stack
from modelfleet.cluster.client import Client
from modelfleet.clusters import DEFAULT, Clusters
from modelfleet.fleet import Fleet
from modelfleet.prune import Orphan
from modelfleet.service import Service

T = TypeVar("T")

Kubeconfig = Annotated[str | None, typer.Option(help="Kubeconfig to use; unset = the ambient one.")]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
Output = Annotated[str, typer.Option("--output", "-o", help="table or json.")]


def ls(
    namespace: Annotated[str | None, typer.Option("--namespace", "-n")] = None,
    owner: Annotated[str | None, typer.Option(help="Only services of this owner.")] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Output = "table",
) -> None:
    """List the ModelServices of a cluster."""

    async def listed(fleet: Fleet) -> list[Service]:
        return await fleet.list(owner=owner, namespace=namespace)

    client = Client.connect(kubeconfig=kubeconfig, context=context)
    services = asyncio.run(_with(Fleet(client), listed))
    if output == "json":
        typer.echo(json.dumps([asdict(each) for each in services], indent=2))
    elif services:
        Console().print(_table(services))
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
    """List objects of a stack that its state does not have, left by a crash; --yes deletes them."""
    known_stack = Stack(stack, cwd)
    services = known_stack.services()
    whose = owner or known_stack.owner()
    clusters = Clusters.configured(known_stack.clusters())
    ambient = kubeconfig is not None or context is not None
    used = {*clusters.names, *(each.cluster for each in services)}
    names = [DEFAULT] if ambient else sorted(used or {DEFAULT})

    async def pruned() -> list[Orphan]:
        found: list[Orphan] = []
        for name in names:
            fleet = (
                Fleet(Client.connect(kubeconfig=kubeconfig, context=context))
                if ambient
                else clusters.fleet(name)
            )
            found += await _with(fleet, _pruning(services, whose, delete=yes))
        return found

    orphans = asyncio.run(pruned())
    for orphan in orphans:
        typer.echo(f"{'deleted' if yes else 'orphan'}: {orphan}")
    if not orphans:
        typer.echo(f"Nothing in the cluster belongs to {whose} that the state does not have.")
    elif not yes:
        typer.echo(f"{len(orphans)} left over. Delete with: modelfleet prune --stack {stack} --yes")


def _pruning(
    services: list[KnownService], owner: str, *, delete: bool
) -> Callable[[Fleet], Awaitable[list[Orphan]]]:
    async def orphans(fleet: Fleet) -> list[Orphan]:
        # By what the cluster is, not by its name: two names may stand for one cluster, and what is
        # known under the one would look left over under the other.
        uid = await fleet.client.cluster_uid()
        known = {each.id: each.incarnation for each in services if each.cluster_uid in (uid, "")}
        found = list(await fleet.orphans(owner, known=known))
        for orphan in found if delete else ():
            await fleet.prune(orphan, owner=owner)
        return found

    return orphans


async def _with(fleet: Fleet, verb: Callable[[Fleet], Awaitable[T]]) -> T:
    try:
        return await verb(fleet)
    finally:
        await fleet.aclose()


def _table(services: list[Service]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("NAMESPACE", "NAME", "STATUS", "READY", "GPUS", "MODEL", "OWNER"):
        table.add_column(column, overflow="fold")
    for each in services:
        ready = f"{each.ready_replicas}/{each.replicas}" if each.replicas else "-"
        gpus = str(each.gpus) if each.gpus else "-"
        table.add_row(each.namespace, each.name, each.status, ready, gpus, each.model, each.owner)
    return table
