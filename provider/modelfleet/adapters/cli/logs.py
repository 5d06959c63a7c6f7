"""``modelfleet logs``: what the engines of a service, or the gateways of a proxy, say."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import Annotated

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
from modelfleet.adapters.cli.tables import seconds_in
from modelfleet.fleet import Fleet, LogLine, Wanted


def logs(
    name: Name,
    namespace: Namespace = None,
    pod: Annotated[str | None, typer.Option(help="Only this pod; unset = all of them.")] = None,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="Of the run before the last restart.")
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(min=0, metavar="LINES", help="Only so many last lines of each pod."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only what is not older, such as 10m.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on, also with new pods, until Ctrl-C.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the engines' logs, with the pod in front of each line where there are several.

    A proxy's gateways say one object of JSON per request: who used what, and how it went. Secrets
    of the declaration, and what looks like one, are masked.

    --output json prints one object a line.
    """
    if previous and follow:
        raise typer.BadParameter("--previous is over, there is nothing to --follow.")
    address = address_of(name, namespace)
    wanted = Wanted(
        previous=previous,
        tail_lines=tail,
        since_seconds=None if since is None else seconds_in(since),
    )

    async def printed(fleet: Fleet) -> None:
        service = await fleet.find(address)
        printer = _Printer(output, has_several_pods=service.replicas > 1 and pod is None)
        lines = fleet.logs(
            service.namespace,
            service.name,
            kind=service.kind,
            wanted=wanted,
            pod=pod,
            follow=follow,
            on_notice=lambda text: typer.echo(f"note: {text}", err=True),
        )
        async with contextlib.aclosing(lines):
            async for line in lines:
                printer.print_line(line)

    with contextlib.suppress(*([KeyboardInterrupt] if follow else [])):
        ask_fleet(printed, kubeconfig=kubeconfig, context=context)


class _Printer:
    """Prints lines, with their pod in front as soon as there are several that speak."""

    def __init__(self, output: Output, *, has_several_pods: bool) -> None:
        self._output = output
        self._has_several_pods = has_several_pods
        self._first = ""

    def print_line(self, line: LogLine) -> None:
        self._first = self._first or line.pod
        self._has_several_pods = self._has_several_pods or line.pod != self._first
        if self._output is Output.JSON:
            typer.echo(json.dumps(asdict(line)))
        else:
            typer.echo(f"[{line.pod}] {line.text}" if self._has_several_pods else line.text)
