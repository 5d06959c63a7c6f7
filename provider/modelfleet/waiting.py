"""Waiting for a hosted service, and saying what keeps it from being ready.

Joins the live copies, readiness and diagnosis for the fleet, which decides what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from modelfleet.cluster.client import Client
from modelfleet.cluster.diagnosis import diagnose
from modelfleet.cluster.live import LiveServices
from modelfleet.cluster.objects import Object
from modelfleet.cluster.readiness import Ready, Waiting, readiness
from modelfleet.cluster.reasons import sentences
from modelfleet.desired import Desired
from modelfleet.errors import NotReadyError, ProviderBugError
from modelfleet.field_names import field_names_of
from modelfleet.resource_types import ResourceSpec

SECONDS_BEYOND_STARTUP: Final = 120
"""What ``wait.timeout_seconds`` adds to ``startup_seconds`` when unset: scheduling and pulling."""


class Progress(Protocol):
    """Is told what a service waits for, whenever that changes, and when the waiting is over."""

    def __call__(self, text: str) -> None:
        """Take note of a new reason."""
        ...

    def tell(self, text: str) -> None:
        """Take note of what the user should know, whatever comes of it."""
        ...

    def end(self) -> None:
        """Take note that nothing is waited for any more."""
        ...


async def wait_until_ready(
    client: Client,
    services: LiveServices,
    desired: Desired,
    primary: Object,
    *,
    timeout_seconds: float | None,
    progress: Progress | None,
) -> tuple[Object, Ready]:
    """Return the Deployment with its status once it is as ready as its spec asks, and how ready.

    ``primary`` is what its write returned. ``timeout_seconds`` overrides the spec's.

    Raises:
        NotReadyError: with a diagnosis; it failed, or its time is up.
    """
    spec = desired.spec
    if not spec.hosted:
        raise ProviderBugError(f"{desired.subject} is external: there is nothing to wait for.")
    seconds = timeout_seconds or seconds_to_wait(spec)
    try:
        outcome = await services.until(
            primary,
            partial(readiness, until=spec.wait.until, fields=field_names_of(spec)),
            timeout_seconds=seconds,
            on_progress=told_to(progress),
        )
    finally:
        if progress is not None:
            progress.end()
    live = {**primary, "status": services.status(primary)}
    if isinstance(outcome, Ready):
        return live, outcome
    reasons = await diagnose(
        client,
        services.pods(primary),
        outcome.reasons,
        fields=field_names_of(spec),
        secrets=spec.secret_values,
    )
    told = f"is not ready after {seconds:g} s." if isinstance(outcome, Waiting) else "failed."
    raise NotReadyError(desired.subject, (told, *sentences(reasons)), live=live)


def seconds_to_wait(spec: ResourceSpec) -> float:
    """Return how long an apply of ``spec`` waits until it is ready."""
    return spec.wait.timeout_seconds or spec.startup_seconds + SECONDS_BEYOND_STARTUP


def told_to(progress: Progress | None, *, what: str = "") -> Callable[[Waiting], None] | None:
    """Return what tells ``progress`` of the first reason, ``what`` being waited for before it."""
    if progress is None:
        return None
    return lambda waiting: progress(f"waiting: {what}{waiting.reasons[0].text}")
