"""The console script ``modelfleet``: the command line, and other adapters' commands beside it.

Adapters never import one another, so whatever has a command of its own is mounted here.
"""

from __future__ import annotations

from modelfleet.adapters.cli import main as cli

app = cli.app


def main() -> None:
    """Run the command line."""
    cli.main()
