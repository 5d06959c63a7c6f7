"""Waits, on the one watch that all of a process share; on the background loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from modelfleet.agentrun.names import Status
from modelfleet.agentrun.registry import Resource
from modelfleet.client.config import Config
from modelfleet.client.connections import Connection, connected
from modelfleet.client.errors import DeleteResourceError, raised_as_agentruns
from modelfleet.cluster.reasons import sentences
from modelfleet.errors import NotFoundError, NotReadyError

OnLook = Callable[[Resource], None]

_LEAST_INTERVAL_SECONDS: Final = 0.05
"""Callbacks come at most this often where nothing changes; AgentRun takes 0."""


async def until_settled(
    name: str,
    kind: str,
    on_look: OnLook,
    *,
    config: Config,
    interval_seconds: float,
    timeout_seconds: float,
    all_replicas: bool = False,
    raises: bool = False,
) -> None:
    """Wait until nothing of a resource is under way, on the watch that all waits share.

    ``on_look`` is told of it at least once. ``all_replicas`` says that some are not
    enough, ``raises`` that a failure is an error.

    Raises:
        TimeoutError: something still is; says what, and why.
        NotReadyError: it neither serves nor is stopped; with the diagnosis.
    """
    with raised_as_agentruns(name):
        async with connected(config) as connection:
            resource = await connection.registry.wait(
                name,
                kind=kind,
                scope=config.get_scope(),
                is_over=partial(_is_settled, all_replicas=all_replicas),
                on_look=on_look,
                interval_seconds=max(interval_seconds, _LEAST_INTERVAL_SECONDS),
                timeout_seconds=timeout_seconds,
            )
            if raises and not resource.entry.service.is_settled:
                raise await _failure(connection, resource)


async def until_gone(
    name: str,
    kind: str,
    on_look: OnLook,
    *,
    config: Config,
    incarnation: str,
    interval_seconds: float,
    timeout_seconds: float,
) -> None:
    """Wait until a resource that was told to go is gone; a namesake made since does not count.

    Raises:
        TimeoutError: it is still going.
        DeleteResourceError: it is not going any more.
    """

    def is_namesake(resource: Resource) -> bool:
        return bool(incarnation) and resource.entry.service.incarnation != incarnation

    def look(resource: Resource) -> None:
        if not is_namesake(resource):
            on_look(resource)

    with raised_as_agentruns(name):
        async with connected(config) as connection:
            try:
                last = await connection.registry.wait(
                    name,
                    kind=kind,
                    scope=config.get_scope(),
                    is_over=lambda each: each.status != Status.DELETING,
                    on_look=look,
                    interval_seconds=max(interval_seconds, _LEAST_INTERVAL_SECONDS),
                    timeout_seconds=timeout_seconds,
                )
            except NotFoundError:
                return
    if not is_namesake(last):
        raise DeleteResourceError(_told(last))


def _is_settled(resource: Resource, *, all_replicas: bool) -> bool:
    if resource.status == Status.DEGRADED:
        # None declared, and some still going: it is about to be STOPPED.
        return not all_replicas and resource.entry.service.replicas > 0
    return Status(resource.status).is_final()


async def _failure(connection: Connection, resource: Resource) -> NotReadyError:
    """Return what keeps a resource from serving, looked into as far as it can be."""
    service = resource.entry.service
    report = await connection.fleet.status(service.namespace, service.name, kind=resource.kind)
    reasons = sentences(report.diagnosis) if report is not None else ()
    return NotReadyError(
        f"{resource.kind} {service.id}",
        (f"is {resource.fields['status']}.", *(reasons or (service.status_reason,))),
        live=resource.entry.primary,
    )


def _told(resource: Resource) -> str:
    reason = resource.entry.service.status_reason
    return f"Resource status is {resource.status}" + (f": {reason}" if reason else "")
