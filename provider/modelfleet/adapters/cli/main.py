"""The console script ``modelfleet``: mounts one sub-command per file of this package."""

from __future__ import annotations

import sys

import typer

from modelfleet.adapters.cli import fleet, import_command, local
from modelfleet.errors import ModelFleetError, ProviderBugError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Fleets of LLM inference services on Kubernetes GPUs.",
)
app.add_typer(local.app, name="local")
app.command()(fleet.ls)
app.command()(fleet.prune)
app.command("import")(import_command.import_)


@app.callback()
def _root() -> None:
    pass


def main() -> None:
    """Run the command line. Errors a user can act on are one paragraph and exit status 1."""
    try:
        app()
    except ProviderBugError:
        raise
    except ModelFleetError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
