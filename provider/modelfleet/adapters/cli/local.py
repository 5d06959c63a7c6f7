"""``modelfleet local``: translates between a terminal and :class:`modelfleet.local.Plane`.

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 not running.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from modelfleet.errors import ModelFleetError
from modelfleet.local import DEFAULT_GPUS, NotRunningError, Plane, Progress, Status, install_tools
from modelfleet.local.environment import shell_exports
from modelfleet.local.folders import STATE_VARIABLE
from modelfleet.local.images import litellm_packages
from modelfleet.local.nodes import FLEET_POOL
from modelfleet.local.pods.materials import prepare
from modelfleet.local.pods.requirements import lacking
from modelfleet.local.pods.requirements import packages as required_packages
from modelfleet.local.settings import DEFAULT_POD_GPUS

FAILED = 1
NOT_RUNNING = 3

app = typer.Typer(
    no_args_is_help=True,
    help="A real Pulumi engine and a real Kubernetes control plane on this machine, with fake"
    " GPU nodes, and as root with real ones. Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 not"
    " running.",
)

_console = Console()
_messages = Console(stderr=True)


class Output(enum.StrEnum):
    """How a command prints its answer."""

    TEXT = "text"
    JSON = "json"


StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        envvar=STATE_VARIABLE,
        help="The plane's folder.  [default: .modelfleet in the project's root]",
        show_default=False,
    ),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the answer.")]


@app.command()
def install() -> None:
    """Find or build every tool, once per version, into the user's cache folder.

    With them what real nodes are made of, where this machine can have some, and LiteLLM, with which
    a gateway's application runs in tests.
    """
    reason = lacking()
    with _errors_told():
        tools = install_tools(progress=Progress(_messages), pods=not reason)
        litellm_packages(progress=Progress(_messages))
        if not reason:
            prepare(progress=Progress(_messages))
    if reason:
        _messages.print(f"Nodes will be fake: {reason}", highlight=False, soft_wrap=True)
    own = tools.own
    for name, path in sorted(tools.programs.items()):
        origin = "yours" if name in own else "built"
        _console.print(f"{name:<30} {origin:<6} {path}", highlight=False, soft_wrap=True)


@app.command()
def requirements(
    packages: Annotated[
        bool, typer.Option("--packages", help="Print the Debian packages to install instead.")
    ] = False,
) -> None:
    """Say whether this machine can run real pods, and what is missing; exit code 1 when it cannot.

    The packages are for an administrator to install: nothing else here installs any.
    """
    if packages:
        typer.echo(" ".join(required_packages()))
        return
    reason = lacking()
    typer.echo(reason or "This machine can run real pods: modelfleet local up --pods")
    raise typer.Exit(FAILED if reason else 0)


@app.command()
def up(
    state: StateOption = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            help="GPU nodes as model:GPUs-per-node x nodes, such as h100-80gb:8x12,l4-24gb:4x6."
            f"  [default: as before, at first {DEFAULT_GPUS}]",
            show_default=False,
        ),
    ] = None,
    chaos: Annotated[
        bool | None,
        typer.Option(
            "--chaos/--no-chaos",
            help="Nodes on which pods misbehave, for tests of failures.  [default: as before]",
            show_default=False,
        ),
    ] = None,
    stages: Annotated[
        list[Path] | None,
        typer.Option(
            "--stages",
            help="More KWOK Stage files.  [default: as before]",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    pods: Annotated[
        bool | None,
        typer.Option(
            "--pods/--no-pods",
            help="Two real nodes, on which pods run; Linux, root, and what `modelfleet local"
            " requirements` names.  [default: as before, at first none]",
            show_default=False,
        ),
    ] = None,
    pod_gpus: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=64,
            help="How many nvidia.com/gpu each real node offers, of the product Local-CPU."
            f"  [default: as before, at first {DEFAULT_POD_GPUS}]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start the control plane, or make a running one as asked for."""
    with _errors_told():
        plane = Plane(state, progress=Progress(_messages))
        status = plane.up(
            gpus=gpus, chaos=chaos, stage_files=stages or None, pods=pods, pod_gpus=pod_gpus
        )
    _print_status(status)
    _console.print(f'\nIn a shell: eval "$({_program()} local env)"', highlight=False)


@app.command()
def down(
    state: StateOption = None,
    purge: Annotated[
        bool,
        typer.Option(
            help="Also remove the cluster's data and the Pulumi state kept in the plane's folder."
        ),
    ] = False,
) -> None:
    """End the control plane; its data stays for the next `up` unless purged."""
    with _errors_told():
        plane = Plane(state, progress=Progress(_messages))
        ended = plane.down(purge=purge)
    what = f"Ended {', '.join(ended)}." if ended else "Nothing was running."
    _console.print(f"{what} ({plane.state_folder})", highlight=False, soft_wrap=True)


@app.command()
def status(state: StateOption = None, output: OutputOption = Output.TEXT) -> None:
    """Show what runs, where, with which nodes; exit code 3 when nothing does, 1 when broken."""
    with _errors_told():
        found = Plane(state).status()
    if output is Output.JSON:
        document = {**dataclasses.asdict(found), "folder": str(found.folder)}
        typer.echo(json.dumps(document, indent=2))
    else:
        _print_status(found)
    raise typer.Exit({"running": 0, "broken": FAILED, "stopped": NOT_RUNNING}[found.state])


@app.command()
def env(state: StateOption = None, output: OutputOption = Output.TEXT) -> None:
    """Print what a shell needs so that `pulumi` and `kubectl` work by hand."""
    with _errors_told():
        variables = Plane(state).environment()
    if output is Output.JSON:
        typer.echo(json.dumps(variables, indent=2))
    else:
        typer.echo(shell_exports(variables))


def _print_status(found: Status) -> None:
    _console.print(f"{found.state}: {found.folder}", highlight=False, soft_wrap=True)
    if found.trouble:
        _console.print(f"trouble: {found.trouble}", highlight=False, soft_wrap=True)
    if found.server:
        _console.print(f"API server {found.server}", highlight=False)
    if found.state != "stopped":
        pids = ", ".join(f"{name} {pid or '-'}" for name, pid in found.components.items())
        _console.print(f"processes  {pids}", highlight=False, soft_wrap=True)
    if found.node_groups:
        table = Table("nodes", "count", "ready", "GPUs", "in use", box=None, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for group in found.node_groups:
            numbers = (group.nodes, group.ready, group.gpus, group.gpus_in_use)
            pool = "" if group.pool == FLEET_POOL else f"{group.pool}: "
            table.add_row(f"{pool}{group.name}", *map(str, numbers))
        _console.print(table)


@contextlib.contextmanager
def _errors_told() -> Iterator[None]:
    """Turn an error of ours into its sentence on stderr and an exit code."""
    try:
        yield
    except ModelFleetError as error:
        _messages.print(f"modelfleet local: {error}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(NOT_RUNNING if isinstance(error, NotRunningError) else FAILED) from None


def _program() -> str:
    """Return how this program is called from where the user stands."""
    program = Path(sys.argv[0])
    if shutil.which(program.name) == str(program):
        return program.name
    return os.path.relpath(program) if program.is_relative_to(Path.cwd()) else str(program)
