"""``modelfleet delete``: takes a service or proxy away, once its name was typed again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from modelfleet.adapters.cli.connection import ask_fleet
from modelfleet.adapters.cli.naming import address_of
from modelfleet.adapters.cli.options import (
    Context,
    Kubeconfig,
    Name,
    Namespace,
    Output,
    OutputOption,
)
from modelfleet.cluster.objects import STATEFUL_SET
from modelfleet.errors import ConfigError, NotFoundError, NotReadyError
from modelfleet.fleet import Deletion, Fleet
from modelfleet.spec.proxy import ModelProxySpec

SECONDS_FOR_THE_REST: Final = 30
"""How long what holds no pods may take to go: the garbage collector is asynchronous."""


def delete(
    name: Name,
    namespace: Namespace = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, for scripts.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete what no program declares any more, after asking for its name again.

    Waits until it is gone. What is protected is refused, and a service that a proxy still uses.
    """
    address = address_of(name, namespace)

    async def asked(fleet: Fleet) -> Deletion:
        service = await fleet.find(address)
        deletion = await fleet.deletion(service.namespace, service.name, kind=service.kind)
        if deletion is None:
            raise NotFoundError(f"{service.kind} {service.id}", "was deleted just now")
        await fleet.refuse_deletion(deletion.desired)
        return deletion

    deletion = ask_fleet(asked, kubeconfig=kubeconfig, context=context)
    for line in consequences_of(deletion):
        typer.echo(line, err=output is Output.JSON)
    if not yes:
        _confirm(deletion)
    drain_seconds = deletion.desired.spec.drain_seconds
    if deletion.pods and drain_seconds:
        typer.echo(f"Deleting. Its pods have {drain_seconds:g} s to end.", err=True)

    async def deleted(fleet: Fleet) -> None:
        await fleet.delete(deletion.desired)
        left = await fleet.until_gone(deletion, timeout_seconds=SECONDS_FOR_THE_REST)
        if left:
            raise NotReadyError(
                deletion.desired.subject,
                (
                    f"is deleted, but for {', '.join(map(str, left))}, which does not go.",
                    "Look at the finalizers (kubectl describe).",
                ),
            )

    ask_fleet(deleted, kubeconfig=kubeconfig, context=context)
    if output is Output.JSON:
        typer.echo(json.dumps(_document(deletion), indent=2))
    else:
        typer.echo(f"Deleted {deletion.desired.subject}.")


def consequences_of(deletion: Deletion) -> Iterator[str]:
    """Yield what a deletion takes away, and what brings it back, line by line."""
    service = deletion.service
    yield f"{deletion.desired.subject} of {service.owner} is going to be deleted:"
    for ref in deletion.objects:
        yield f"  {ref}"
    if deletion.pods:
        pods = "1 pod ends" if deletion.pods == 1 else f"{deletion.pods} pods end"
        gpus = "1 GPU becomes free" if service.gpus == 1 else f"{service.gpus} GPUs become free"
        yield f"{pods}, {gpus}." if service.gpus else f"{pods}."
    yield from _of_a_proxy(deletion)
    yield (
        f"A Pulumi program of {service.owner} that still declares it makes it anew with its next "
        "refresh and up: take it out of the program, too."
    )


def _of_a_proxy(deletion: Deletion) -> Iterator[str]:
    spec = deletion.desired.spec
    if not isinstance(spec, ModelProxySpec):
        return
    if any(ref.kind == STATEFUL_SET for ref in deletion.objects):
        yield "Its Redis goes with its disk: what was counted for limits, and cached answers."
    made = sorted(name for name, key in spec.api_keys.items() if key.generate is not None)
    if made:
        keys = f"{'The key' if len(made) == 1 else 'The keys'} {', '.join(made)}"
        yield f"{keys}, which modelfleet made, can never be used again."


def _confirm(deletion: Deletion) -> None:
    """Ask for the name. Raises ConfigError where it is not typed."""
    name = deletion.service.name
    # On stderr: what a program reads from us is the answer, not the question.
    typer.echo("Type its name to delete it: ", err=True, nl=False)
    typed = sys.stdin.readline()
    if not sys.stdin.isatty():
        typer.echo(err=True)  # nobody's Enter has ended the line of the question
    if typed.strip() != name:
        raise ConfigError(
            "Nothing was deleted: the name was not typed.",
            hint=f"Type {name}, or say --yes where nobody can be asked.",
        )


def _document(deletion: Deletion) -> dict[str, object]:
    return {
        "kind": deletion.service.kind,
        "namespace": deletion.service.namespace,
        "name": deletion.service.name,
        "owner": deletion.service.owner,
        "objects": [str(ref) for ref in deletion.objects],
        "gpus": deletion.service.gpus,
        "deleted": True,
    }
