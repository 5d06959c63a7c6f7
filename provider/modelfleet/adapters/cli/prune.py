"""``modelfleet prune``: what a stack has in clusters that its state does not know. Translates."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from modelfleet.adapters.cli.connection import ask_clusters
from modelfleet.adapters.cli.options import Context, Kubeconfig, Output, OutputOption
from modelfleet.adapters.cli.pulumi_state import KnownResource, Stack
from modelfleet.cluster.mirror import Key
from modelfleet.clusters import DEFAULT, ClusterConfig, Clusters
from modelfleet.prune import Orphan


def prune(
    stack: Annotated[str, typer.Option(help="Stack whose state is compared with the cluster.")],
    cwd: Annotated[Path, typer.Option(help="Folder of the Pulumi project.")] = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete what is listed.")] = False,
    owner: Annotated[
        str | None, typer.Option(help="Owner to look for; unset = the stack's.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List objects of a stack that its state does not have, left by a crash; --yes deletes them.

    Not while an up of that stack is running: what that creates is not in the state yet.
    """
    known_stack = Stack(stack, cwd)
    resources = known_stack.resources()
    whose = owner or known_stack.owner()
    configured = Clusters.configured(known_stack.clusters())
    if kubeconfig is not None or context is not None:
        configured = Clusters({DEFAULT: ClusterConfig(kubeconfig=kubeconfig, context=context)})
        names = [DEFAULT]
    else:
        used = {*configured.names, *(each.cluster for each in resources)}
        names = sorted(used or {DEFAULT})

    async def pruned(clusters: Clusters) -> list[Orphan]:
        found: dict[str, list[Orphan]] = {}
        for name in names:
            fleet = clusters.fleet(name)
            uid = await fleet.client.cluster_uid()
            # By what the cluster is, not by its name: two names may stand for one cluster, and what
            # is known under the one would look left over under the other.
            if uid not in found:
                known = _known(each for each in resources if each.cluster_uid in (uid, ""))
                found[uid] = list(await fleet.orphans(whose, known=known))
                for orphan in found[uid] if yes else ():
                    await fleet.prune(orphan, owner=whose)
        return [orphan for orphans in found.values() for orphan in orphans]

    orphans = ask_clusters(pruned, configured)
    if output is Output.JSON:
        typer.echo(json.dumps([_document(each, is_deleted=yes) for each in orphans], indent=2))
        return
    for orphan in orphans:
        typer.echo(f"{'deleted' if yes else 'orphan'}: {orphan}")
    if not orphans:
        typer.echo(f"Nothing in the cluster belongs to {whose} that the state does not have.")
    elif not yes:
        typer.echo(f"{len(orphans)} left over. Delete with: modelfleet prune --stack {stack} --yes")


def _known(resources: Iterable[KnownResource]) -> dict[Key, set[str]]:
    """Return the incarnations by resource; what is to be replaced has two in a state."""
    known: dict[Key, set[str]] = defaultdict(set)
    for each in resources:
        namespace, _, name = each.id.partition("/")
        known[Key(namespace, each.kind, name)].add(each.incarnation)
    return known


def _document(orphan: Orphan, *, is_deleted: bool) -> dict[str, Any]:
    return {
        "kind": orphan.kind,
        "namespace": orphan.namespace,
        "name": orphan.name,
        "incarnation": orphan.incarnation,
        "objects": [str(ref) for ref in orphan.refs],
        "deleted": is_deleted,
    }
