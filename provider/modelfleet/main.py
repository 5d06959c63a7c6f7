"""The console script ``modelfleet``: the command line, and other adapters' commands beside it.

Adapters never import one another, so whatever has a command of its own is mounted here.
"""

from __future__ import annotations

from modelfleet.adapters.cli import main as cli
from modelfleet.adapters.cli.options import EXIT_CODES
from modelfleet.adapters.query_api.serve import serve

app = cli.app
app.command(epilog=EXIT_CODES)(serve)


def main() -> None:
    """Run the command line."""
    cli.main()
