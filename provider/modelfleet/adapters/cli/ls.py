"""``modelfleet ls``: a cluster's fleet, for people. Translates only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.console import RenderableType

from modelfleet.adapters.cli.connection import ask_fleet
from modelfleet.adapters.cli.options import Context, Kubeconfig, Namespace, Output, OutputOption
from modelfleet.adapters.cli.tables import age_of, print_for_people, table_of, width_of
from modelfleet.service import Service

_COLUMNS: Final = ("KIND", "NAMESPACE", "NAME", "STATUS", "READY", "GPUS", "AGE", "MODEL", "OWNER")

_SAID_ONCE: Final = ("KIND", "OWNER")
"""Columns that make way, where a terminal is too narrow for all, if every row says the same."""


def ls(
    namespace: Namespace = None,
    owner: Annotated[str | None, typer.Option(help="Only those of this owner.")] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the ModelServices and ModelProxies of a cluster."""
    services = ask_fleet(
        lambda fleet: fleet.list(owner=owner, namespace=namespace),
        kubeconfig=kubeconfig,
        context=context,
    )
    if output is Output.JSON:
        typer.echo(json.dumps([asdict(each) for each in services], indent=2))
    elif services:
        print_for_people(lambda width: fleet_table(services, now=datetime.now(UTC), width=width))
    else:
        typer.echo("No ModelServices and no ModelProxies.")


def fleet_table(services: Sequence[Service], *, now: datetime, width: int) -> list[RenderableType]:
    """Return a row for each, and a line with what holds for all where ``width`` asks for it."""
    columns, rows = list(_COLUMNS), _rows(services, now=now)
    line = ""
    if width_of(columns, rows) > width:
        same = {column: values for column, *values in zip(columns, *rows, strict=True)}
        same = {column: same[column][0] for column in _SAID_ONCE if len(set(same[column])) == 1}
        kept = [index for index, column in enumerate(columns) if column not in same]
        columns = [columns[index] for index in kept]
        rows = [[row[index] for index in kept] for row in rows]
        line = ", ".join(f"{column.lower()} {value}" for column, value in same.items())
    table = table_of(columns, rows, may_break=("MODEL", "OWNER"))
    return [table, f"\nAll of {line}"] if line else [table]


def _rows(services: Sequence[Service], *, now: datetime) -> list[list[str]]:
    return [
        [
            each.kind,
            each.namespace,
            each.name,
            each.status,
            f"{each.ready_replicas}/{each.replicas}" if each.replicas else "-",
            str(each.gpus) if each.gpus else "-",
            age_of(each.created_at, now=now),
            each.model,
            each.owner,
        ]
        for each in services
    ]
