"""Options and arguments that several commands share, and what their exit codes mean."""

from __future__ import annotations

import enum
from typing import Annotated, Final

import typer

Kubeconfig = Annotated[str | None, typer.Option(help="Kubeconfig to use; unset = the ambient one.")]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace to look in; unset = all.")
]
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the service or proxy, or namespace/name. Where both are called so: "
        "service/NAME or proxy/NAME.",
    ),
]


class Output(enum.StrEnum):
    """How a command prints its answer."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the answer.")]

FAILED: Final = 1
QUALIFIED: Final = 3
"""Done as asked, and yet not all is well; what that means is for each command to say."""

EXIT_CODES: Final = "Exit codes: 0 fine, 1 failed or not found, 2 wrong usage."


def exit_codes(*, also: str) -> str:
    """Return the exit codes of a command that may end with ``QUALIFIED``, for its help."""
    return f"{EXIT_CODES.removesuffix('.')}, {QUALIFIED} {also}."
