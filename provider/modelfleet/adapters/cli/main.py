"""The console script ``modelfleet``: mounts one sub-command per file of this package."""

from __future__ import annotations

import typer

from modelfleet.adapters.cli import local

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Fleets of LLM inference services on Kubernetes GPUs.",
)
app.add_typer(local.app, name="local")


@app.callback()
def _root() -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()
