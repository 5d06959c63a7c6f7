"""``modelfleet import``: prints the program, or the import document, of what runs. Translates only.

Exit codes: 0 printed, 1 failed, 2 wrong usage, 3 printed, but it cannot be taken over as it is.
"""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from modelfleet.adapters.cli.connection import ask_fleet
from modelfleet.adapters.cli.naming import address_of
from modelfleet.adapters.cli.options import (
    QUALIFIED,
    Context,
    Kubeconfig,
    Name,
    Namespace,
)
from modelfleet.adapters.cli.pulumi_state import Stack
from modelfleet.cluster.records import record_of
from modelfleet.dynamic_entry import model_proxy_provider, model_service_provider
from modelfleet.errors import ConfigError
from modelfleet.fleet import Candidate
from modelfleet.importing import (
    Imported,
    foreign_declaration,
    program_of,
    recorded_declaration,
)
from modelfleet.render import RENDERER_VERSION
from modelfleet.resource_types import MODEL_PROXY

CANNOT_BE_TAKEN_OVER = QUALIFIED


class Output(enum.StrEnum):
    """What is printed."""

    PROGRAM = "program"
    DOCUMENT = "document"


def import_(
    name: Name,
    namespace: Namespace = None,
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
    """Print what declares a service or proxy, of any stack, or a Deployment of any maker.

    The program declares it; with the document, pulumi import --file puts it into a state, and the
    next preview shows what of it changes. Secrets are in neither.
    """
    address = address_of(name, namespace)
    candidate = ask_fleet(
        lambda fleet: fleet.candidate(address), kubeconfig=kubeconfig, context=context
    )
    to_be = Stack(stack, cwd).owner() if stack and owner is None else owner
    record = record_of(candidate.primary)
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


def _document(imported: Imported, candidate: Candidate, *, renderer_version: int) -> dict[str, Any]:
    if imported.obstacles:
        raise ConfigError(
            f"Deployment {candidate.service.id} cannot be taken over: "
            f"{'; '.join(imported.obstacles)}.",
            hint="--output program prints a declaration of the same under another name.",
        )
    is_proxy = imported.of is MODEL_PROXY
    provider: Any = model_proxy_provider() if is_proxy else model_service_provider()
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
