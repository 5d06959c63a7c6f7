"""``modelfleet status``: one service or proxy in full, for people and programs. Translates only.

Exit codes: 0 it serves, or is stopped, as declared; 1 failed or not found; 2 wrong usage; 3 it
exists, but does not, or not yet, serve as declared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import typer
from rich.console import RenderableType

from modelfleet.adapters.cli.connection import ask_fleet
from modelfleet.adapters.cli.naming import address_of
from modelfleet.adapters.cli.options import (
    QUALIFIED,
    Context,
    Kubeconfig,
    Name,
    Namespace,
    Output,
    OutputOption,
)
from modelfleet.adapters.cli.tables import age_of, print_for_people, table_of
from modelfleet.cluster.events import Event
from modelfleet.errors import NotFoundError
from modelfleet.fleet import Fleet, Report
from modelfleet.report import PodReport
from modelfleet.routing_report import ProxyReport
from modelfleet.spec.proxy import ModelProxySpec

MEANS: Final = "it exists, but does not, or not yet, serve as declared"

_PODS: Final = ("POD", "NODE", "PHASE", "READY", "RESTARTS", "AGE", "LACKS")
_ROUTES: Final = ("ROUTE", "WEIGHT", "UPSTREAM", "MODEL", "FALLBACKS")
_EVENTS: Final = ("AGE", "TIMES", "ABOUT", "REASON", "MESSAGE")


def status(
    name: Name,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one service or proxy: rollout, pods, what they lack and what to change, recent events.

    Of a proxy also its routes, and who answers.
    """
    address = address_of(name, namespace)

    async def asked(fleet: Fleet) -> Report:
        service = await fleet.find(address)
        report = await fleet.status(service.namespace, service.name, kind=service.kind)
        if report is None:
            raise NotFoundError(f"{service.kind} {service.id}", "was deleted just now")
        return report

    report = ask_fleet(asked, kubeconfig=kubeconfig, context=context)
    if output is Output.JSON:
        typer.echo(json.dumps(document_of(report), indent=2))
    else:
        print_for_people(lambda _: list(laid_out(report, now=datetime.now(UTC))))
    raise typer.Exit(0 if report.serves_as_declared else QUALIFIED)


def document_of(report: Report) -> dict[str, Any]:
    """Return the report for programs; ``service`` is what ``ls`` says of it."""
    rollout = report.rollout
    return {
        "service": asdict(report.service),
        "base_url": report.base_url,
        **({"proxy": asdict(report.proxy)} if report.proxy else {}),
        "rollout": rollout
        and {
            "replicas": rollout.replicas,
            "updated": rollout.updated,
            "ready": report.service.ready_replicas,
            "available": rollout.available,
            "former": rollout.old,
            "told": rollout.told,
        },
        "pods": [asdict(pod) for pod in report.pods],
        "diagnosis": [{**asdict(each), "sentence": each.sentence} for each in report.diagnosis],
        "events": [asdict(event) for event in report.events],
    }


def laid_out(report: Report, *, now: datetime) -> Iterator[RenderableType]:
    """Yield the report for people, part by part."""
    service = report.service
    yield f"{service.kind} {service.id}: {service.status}\n"
    facts = _facts(report, now=now)
    yield table_of(("fact", "value"), facts, may_break=("value",), has_header=False)
    if report.proxy:
        yield ""
        yield table_of(_ROUTES, routes_told(report.proxy), may_break=("UPSTREAM", "FALLBACKS"))
    if report.pods:
        yield ""
        rows = [_pod(pod, now=now) for pod in report.pods]
        yield table_of(_PODS, rows, may_break=("POD", "NODE"))
    # Told here as long as nobody has looked into it: such as that its controller is yet to come.
    sentences = [each.sentence for each in report.diagnosis] or [service.status_reason]
    if any(sentences):
        yield "\nWhy:"
        for sentence in sentences:
            yield f"- {sentence}"
    if report.events:
        yield ""
        happened = [_event(event, now=now) for event in report.events]
        yield table_of(_EVENTS, happened, may_break=("ABOUT", "MESSAGE"))


def _facts(report: Report, *, now: datetime) -> Iterator[tuple[str, str]]:
    service, rollout = report.service, report.rollout
    if service.kind != ModelProxySpec.kind:
        yield "model", service.model
        yield "access name", service.access_name
    yield "base_url", report.base_url
    if report.proxy:
        yield "keys", str(report.proxy.keys or "none: whoever can connect may call")
    if report.proxy and report.proxy.redis:
        yield "Redis", report.proxy.redis
    yield "owner", service.owner
    changed = age_of(service.last_updated_at, now=now)
    yield "age", f"{age_of(service.created_at, now=now)}, last changed {changed} ago"
    if rollout is not None:
        counts = f"{rollout.updated} updated, {service.ready_replicas} ready"
        yield "replicas", f"{rollout.replicas} declared, {counts}, {rollout.available} available"
        yield "rollout", rollout.told
    if service.gpus:
        yield "GPUs", str(service.gpus)


def routes_told(proxy: ProxyReport) -> Iterator[Sequence[str]]:
    """Yield a row per upstream; name and fallbacks of a route stand in its first one."""
    for route in proxy.routes:
        name, fallbacks = route.access_name, ", ".join(route.fallbacks) or "-"
        for upstream in route.upstreams:
            who = upstream.service or upstream.base_url
            yield name, str(upstream.weight), who, upstream.model, fallbacks
            name = fallbacks = ""


def _pod(pod: PodReport, *, now: datetime) -> Sequence[str]:
    return (
        pod.name,
        pod.node or "-",
        pod.phase,
        "yes" if pod.is_ready else "no",
        str(pod.restarts),
        age_of(pod.created_at, now=now),
        pod.lacks or ("-" if not pod.is_former else "(former version)"),
    )


def _event(event: Event, *, now: datetime) -> Sequence[str]:
    return (
        age_of(event.last_at, now=now),
        str(event.count),
        event.about,
        event.reason,
        event.message,
    )
