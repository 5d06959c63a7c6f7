"""``modelfleet import``: prints the program, or the import document, of what runs. Translates only.

Exit codes: 0 printed, 1 failed, 2 wrong usage, 3 printed, but it cannot be taken over as it is.
"""

from __future__ import annotations

import asyncio
import enum
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from modelfleet.adapters.cli.fleet import Context, Kubeconfig, closing
from modelfleet.adapters.cli.pulumi_state import Stack
from modelfleet.cluster.client import Client
from modelfleet.cluster.records import Record, record_of
from modelfleet.desired import KIND
from modelfleet.dynamic_entry import model_service_provider
from modelfleet.errors import ConfigError, NotFoundError
from modelfleet.fleet import Candidate, Fleet
from modelfleet.importing import (
    Imported,
    foreign_declaration,
    program_of,
    recorded_declaration,
)
from modelfleet.render import RENDERER_VERSION

CANNOT_BE_TAKEN_OVER = 3


class Output(enum.StrEnum):
    """What is printed."""

    PROGRAM = "program"
    DOCUMENT = "document"


def import_(
    name: Annotated[str, typer.Argument(help="The service, or namespace/name of it.")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Unset = whichever has it.")
    ] = None,
    output: Annotated[
        Output,
        typer.Option(
            "--output", "-o", help="A Python program, or what pulumi import --file reads."
        ),
    ] = Output.PROGRAM,
    stack: Annotated[
        str | None, typer.Option(help="Stack that is to have it; unset = the one that has it.")
    ] = None,
    cwd: Annotated[Path, typer.Option(help="Folder of the stack's Pulumi project.")] = Path(),
    owner: Annotated[str | None, typer.Option(help="Owner to be, instead of a stack.")] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Print what declares a service that runs, of any stack, or a Deployment of any maker.

    The program declares it; with the document, pulumi import --file puts it into a state, and the
    next preview shows what of it changes. Secrets are in neither.
    """
    space, _, short = name.rpartition("/")
    candidate = _the_one(
        short, space or namespace, _found(short, space or namespace, kubeconfig, context)
    )
    to_be = Stack(stack, cwd).owner() if stack and owner is None else owner
    record = _record(candidate)
    if record is None:
        imported = foreign_declaration(candidate.primary, service=candidate.beside)
    else:
        imported = recorded_declaration(candidate.primary, record, owner=to_be)
    if output is Output.PROGRAM:
        typer.echo(program_of(imported), nl=False)
    else:
        version = record.renderer_version if record else RENDERER_VERSION
        typer.echo(json.dumps(_document(imported, candidate, renderer_version=version), indent=2))
    _tell(imported)


def _found(
    name: str, namespace: str | None, kubeconfig: str | None, context: str | None
) -> Sequence[Candidate]:
    fleet = Fleet(Client.connect(kubeconfig=kubeconfig, context=context))

    async def found() -> Sequence[Candidate]:
        return await fleet.find(name, namespace=namespace)

    return asyncio.run(closing(fleet, found))


def _the_one(name: str, namespace: str | None, found: Sequence[Candidate]) -> Candidate:
    """Return the one thing that is meant.

    Raises:
        NotFoundError: there is none.
        ConfigError: there are several.
    """
    if not found:
        where = f"namespace {namespace}" if namespace else "any namespace"
        raise NotFoundError(
            f"ModelService {name}",
            f"no service and no Deployment is called so in {where}",
            hint="modelfleet ls lists the services there are, kubectl get deployments -A the rest.",
        )
    if len(found) > 1:
        spaces = ", ".join(sorted({each.service.namespace for each in found}))
        raise ConfigError(
            f"{name} is there several times, in {spaces}.",
            hint="Say which one is meant, with --namespace.",
        )
    return found[0]


def _record(candidate: Candidate) -> Record | None:
    record = record_of(candidate.primary)
    if record is not None and record.kind != KIND:
        raise ConfigError(
            f"{record} is not a {KIND}.", hint="Only ModelServices can be imported so far."
        )
    return record


def _document(imported: Imported, candidate: Candidate, *, renderer_version: int) -> dict[str, Any]:
    if imported.obstacles:
        raise ConfigError(
            f"Deployment {candidate.service.id} cannot be taken over: "
            f"{'; '.join(imported.obstacles)}.",
            hint="--output program prints a declaration of the same under another name.",
        )
    provider: Any = model_service_provider()
    entry = provider.imported(
        imported.declaration, service=candidate.service, renderer_version=renderer_version
    )
    return {"resources": [entry]}


def _tell(imported: Imported) -> None:
    for note in imported.notes:
        typer.echo(f"note: {note}.", err=True)
    for obstacle in imported.obstacles:
        typer.echo(f"cannot be taken over: {obstacle}.", err=True)
    if imported.obstacles:
        raise typer.Exit(CANNOT_BE_TAKEN_OVER)
