"""The console script ``modelfleet``: mounts one sub-command per file of this package."""

from __future__ import annotations

import sys

import typer

from modelfleet.adapters.cli import import_command, local, status
from modelfleet.adapters.cli.chat import chat
from modelfleet.adapters.cli.delete import delete
from modelfleet.adapters.cli.logs import logs
from modelfleet.adapters.cli.ls import ls
from modelfleet.adapters.cli.options import EXIT_CODES, exit_codes
from modelfleet.adapters.cli.prune import prune
from modelfleet.errors import ModelFleetError, ProviderBugError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Fleets of LLM inference services on Kubernetes GPUs.",
    epilog=exit_codes(also="where a command says what it means"),
)
app.add_typer(local.app, name="local")
app.command(epilog=EXIT_CODES)(ls)
app.command(epilog=EXIT_CODES)(chat)
app.command(epilog=exit_codes(also=status.MEANS))(status.status)
app.command(epilog=EXIT_CODES)(logs)
app.command(epilog=EXIT_CODES)(delete)
app.command(epilog=EXIT_CODES)(prune)
app.command("import", epilog=exit_codes(also="printed, but it cannot be taken over as it is"))(
    import_command.import_
)


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
