"""What only the cluster can add to a reason: the last words of a container, and its pod's events.

Asked for once, when a service has failed or its time is up, never while waiting. A log that cannot
be read is said to be so and spoils nothing: a diagnosis never raises what the cluster answered.
Everything that others wrote is masked before it is passed on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from modelfleet.cluster.client import Client
from modelfleet.cluster.container_state import Container, volume_hint
from modelfleet.cluster.events import by_time
from modelfleet.cluster.last_words import explained, lines_of, quoted
from modelfleet.cluster.masking import masked, without_values
from modelfleet.cluster.objects import EVENT, Object, ref_of
from modelfleet.cluster.others_words import missing_config, short, telling
from modelfleet.cluster.pod_state import containers
from modelfleet.cluster.reasons import Code, FieldNames, Reason
from modelfleet.cluster.subresources import read_pod_log
from modelfleet.errors import ModelFleetError

TIME_LIMIT_SECONDS: Final = 30.0

_REASONS_LOOKED_INTO: Final = 3
_EVENTS_TOLD: Final = 2
_LINES_READ: Final = 60
"""What ends a program is often said before the last words: on its way out it goes on to talk."""

_LOGGED: Final = frozenset({Code.CRASH_LOOP, Code.OOM_KILLED, Code.PROBE_FAILING})
"""Where a program has run and may have said why it did not go on."""

_REPEATS: Final = frozenset({"BackOff", "FailedScheduling"})
"""Reasons of events that say no more than the status of the pod does."""

_BEFORE_START: Final = frozenset(
    {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}
)
"""Reasons of events that explain a container that is not there, and nothing once it is."""

_PROBED: Final = "Unhealthy"

_TELLING: Final = frozenset({"NotTriggerScaleUp", "TriggeredScaleUp"})
"""Reasons of events that are no warnings, and yet what a person would look for."""

_BARE: Final = re.compile(r"(Error: )?\w+")
"""Such as "Error: ErrImagePull", which the status says in full."""

_TERMINAL_CODES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


async def diagnose(
    client: Client,
    pods: Sequence[Object],
    reasons: Sequence[Reason],
    *,
    fields: FieldNames | None = None,
    secrets: Collection[str] = (),
    events: Sequence[Object] | None = None,
) -> tuple[Reason, ...]:
    """Return ``reasons`` with what logs and events add to the first few that name a pod.

    ``secrets`` are values that must not be repeated, whoever prints them. ``events`` are those of
    the namespace, None where they are still to be asked for. Takes at most ``TIME_LIMIT_SECONDS``;
    what is not known by then stays as it was.
    """
    by_name = {pod["metadata"]["name"]: pod for pod in pods}
    concrete = [reason for reason in reasons if reason.pod in by_name][:_REASONS_LOOKED_INTO]
    looked_into = await asyncio.gather(
        *(
            _looked_into(
                client, by_name[reason.pod], reason, fields or FieldNames(), secrets, events
            )
            for reason in concrete
        )
    )
    better = dict(zip(concrete, looked_into, strict=True))
    return tuple(_masked(better.get(reason, reason), secrets) for reason in reasons)


async def _looked_into(
    client: Client,
    pod: Object,
    reason: Reason,
    fields: FieldNames,
    secrets: Collection[str],
    events: Sequence[Object] | None,
) -> Reason:
    container = next((each for each in containers(pod) if each.name == reason.container), None)
    has_run = container is not None and container.has_run
    told: list[str] = []
    try:
        async with asyncio.timeout(TIME_LIMIT_SECONDS):
            try:
                found = await _events_of(client, pod, events)
                is_made = container is not None and container.has_been_made
                warnings = _warnings(found, is_made=is_made)
            except ModelFleetError as error:
                warnings = []
                told.append(f"Its events cannot be read: {short(str(error))}".rstrip("."))
            reason = _held_up(reason, warnings, fields)
            told += _news(reason, warnings)
            if container is not None and has_run and reason.code in _LOGGED:
                probes = [message for why, message in warnings if why == _PROBED]
                try:
                    lines = lines_of(masked(await _read_log(client, pod, container), secrets))
                except ModelFleetError as error:
                    told.append(f"Its log cannot be read: {short(str(error))}".rstrip("."))
                    lines = []
                else:
                    is_killed = reason.code == Code.OOM_KILLED  # in the middle of a sentence
                    told.append(quoted(lines[-1:] if is_killed else lines))
                if better := explained(reason, lines, probes, fields=fields):
                    return better
    except TimeoutError:
        told.append("The cluster did not tell more in time")
    return replace(reason, text=". ".join([reason.text.rstrip("."), *told]))


def _warnings(events: Sequence[Object], *, is_made: bool) -> list[tuple[str, str]]:
    """Return reason and message of what the cluster has to say of a pod, newest first."""
    found: dict[tuple[str, str], None] = {}
    for event in sorted(events, key=by_time, reverse=True):
        why, message = event.get("reason", ""), telling(str(event.get("message", ""))).rstrip(".")
        warned = event.get("type") == "Warning" and why not in _REPEATS
        outdated = is_made and why in _BEFORE_START
        if (warned or why in _TELLING) and not outdated and not _BARE.fullmatch(message):
            found[why, message] = None
    return list(found)


def _news(reason: Reason, warnings: Sequence[tuple[str, str]]) -> list[str]:
    """Return the newest warnings that add to what is known."""
    # A program that ends by itself fails its probes, too; why it did not start, its status says.
    silent = (_PROBED, "Failed") if reason.code in (Code.CRASH_LOOP, Code.OOM_KILLED) else ()
    news = (
        f"{why}: {message}"
        for why, message in warnings
        if message and why not in silent and message not in reason.text
    )
    return list(news)[:_EVENTS_TOLD]


def _held_up(reason: Reason, warnings: Sequence[tuple[str, str]], fields: FieldNames) -> Reason:
    """Return ``reason`` with field and hint where a pod cannot even begin, as events say."""
    if reason.code != Code.STARTING:
        return reason
    for why, message in warnings:
        if why in _BEFORE_START and (missing := missing_config(message)):
            field = fields.of_secret.get(missing.name, fields.pod_overrides)
            return replace(reason, field=field, hint=f"Create {missing.told}, or change {field}.")
        if why in _BEFORE_START and "olume" in why + message:
            return replace(reason, field=fields.storage, hint=volume_hint(fields))
    return reason


async def _events_of(
    client: Client, pod: Object, events: Sequence[Object] | None
) -> Sequence[Object]:
    metadata = pod["metadata"]
    if events is not None:
        uid = metadata["uid"]
        return [each for each in events if (each.get("involvedObject") or {}).get("uid") == uid]
    selector = f"involvedObject.uid={metadata['uid']}"
    listing = await client.list(EVENT, namespace=metadata["namespace"], field_selector=selector)
    return listing.items


async def _read_log(client: Client, pod: Object, container: Container) -> str:
    """Read the log of the run that ended, or of the present one where that is the first.

    A container that has just ended has that run as the present one, and the one before may be gone
    already; with the policy FallbackToLogsOnError the end of a log is in the status, too.
    """
    has_just_ended = not container.running and not container.waiting
    for previous in (True, False) if container.restarts and not has_just_ended else (False, True):
        log = await read_pod_log(
            client, ref_of(pod), container=container.name, tail_lines=_LINES_READ, previous=previous
        )
        log = _TERMINAL_CODES.sub("", log)
        if log.strip():
            return log
    return _TERMINAL_CODES.sub("", str(container.end.get("message") or ""))


def _masked(reason: Reason, secrets: Collection[str]) -> Reason:
    # Whatever others wrote in it has been through ``short`` or ``masked``.
    return replace(reason, text=without_values(reason.text, secrets))
