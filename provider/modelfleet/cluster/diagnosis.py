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
from modelfleet.cluster.container_state import Container, short
from modelfleet.cluster.events import by_time
from modelfleet.cluster.masking import masked, without_values
from modelfleet.cluster.objects import EVENT, Object, ref_of
from modelfleet.cluster.pod_state import containers
from modelfleet.cluster.reasons import Code, Reason
from modelfleet.errors import ModelFleetError

LOG_LINES: Final = 8
TIME_LIMIT_SECONDS: Final = 10.0

_REASONS_LOOKED_INTO: Final = 3
_EVENTS_TOLD: Final = 2
_LINE_LIMIT: Final = 160
_LOG_LIMIT: Final = 800

_LOGGED: Final = frozenset({Code.CRASH_LOOP, Code.OOM_KILLED, Code.PROBE_FAILING})
"""Where a program has run and may have said why it did not go on."""

_REPEATS: Final = frozenset({"BackOff", "FailedScheduling"})
"""Reasons of events that say no more than the status of the pod does."""

_TELLING: Final = frozenset({"NotTriggerScaleUp", "TriggeredScaleUp"})
"""Reasons of events that are no warnings, and yet what a person would look for."""

_WAITING_REASONS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff"})
"""Whole messages of events that only name the state of a container, which is known."""

_PREAMBLE: Final = re.compile(r'^(Error: )?(Failed to pull image "[^"]*": )?')
_TELLS_APART: Final = 100
"""Of messages that are the same so far, one was cut short elsewhere."""

_TERMINAL_CODES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


async def diagnose(
    client: Client,
    pods: Sequence[Object],
    reasons: Sequence[Reason],
    *,
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
        *(_looked_into(client, by_name[reason.pod], reason, secrets, events) for reason in concrete)
    )
    better = dict(zip(concrete, looked_into, strict=True))
    return tuple(_masked(better.get(reason, reason), secrets) for reason in reasons)


async def _looked_into(
    client: Client,
    pod: Object,
    reason: Reason,
    secrets: Collection[str],
    events: Sequence[Object] | None,
) -> Reason:
    added: list[str] = []
    try:
        async with asyncio.timeout(TIME_LIMIT_SECONDS):
            added += await _events(client, pod, reason, events)
            if reason.code in _LOGGED and reason.container:
                added.append(await _last_words(client, pod, reason, secrets))
    except TimeoutError:
        added.append("The cluster did not tell more in time")
    return replace(reason, text=". ".join([reason.text.rstrip("."), *added]))


async def _events(
    client: Client, pod: Object, reason: Reason, events: Sequence[Object] | None
) -> list[str]:
    """Return the newest events of the pod that add to what is known, newest first."""
    try:
        mine = await _events_of(client, pod, events)
    except ModelFleetError as error:
        return [f"Its events cannot be read: {short(str(error))}".rstrip(".")]
    told: dict[str, None] = {}
    for event in sorted(mine, key=by_time, reverse=True):
        why, message = event.get("reason", ""), short(str(event.get("message", ""))).rstrip(".")
        warned = event.get("type") == "Warning" and why not in _REPEATS
        core = _PREAMBLE.sub("", message)
        known = core[:_TELLS_APART] in reason.text or core in _WAITING_REASONS
        if (warned or why in _TELLING) and message and not known:
            told[f"{why}: {message}"] = None
    return list(told)[:_EVENTS_TOLD]


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


async def _last_words(client: Client, pod: Object, reason: Reason, secrets: Collection[str]) -> str:
    """Return a sentence with the end of the log of the run that ended, or why there is none."""
    container = next(each for each in containers(pod) if each.name == reason.container)
    try:
        log = await _read_log(client, pod, container)
    except ModelFleetError as error:
        return f"Its log cannot be read: {short(str(error))}".rstrip(".")
    # With the policy FallbackToLogsOnError the kubelet keeps the end of the log in the status.
    log = log or str(container.end.get("message") or "")
    lines = [
        line if len(line) <= _LINE_LIMIT else line[: _LINE_LIMIT - 1] + "…"
        for raw in masked(_TERMINAL_CODES.sub("", log), secrets).splitlines()
        if (line := " ".join(raw.split()))
    ][-LOG_LINES:]
    while lines and sum(len(line) + 3 for line in lines) > _LOG_LIMIT:
        del lines[0]
    if not lines:
        return "It left no log"
    return f"Last log lines: {' | '.join(lines).rstrip('.')}"


async def _read_log(client: Client, pod: Object, container: Container) -> str:
    """Read the log of the run that ended; that of the present one where there is none."""
    if container.restarts:
        former = await client.read_pod_log(
            ref_of(pod), container=container.name, tail_lines=LOG_LINES, previous=True
        )
        if former.strip():
            return former
    return await client.read_pod_log(ref_of(pod), container=container.name, tail_lines=LOG_LINES)


def _masked(reason: Reason, secrets: Collection[str]) -> Reason:
    # Whatever others wrote in it has been through ``short`` or ``masked``.
    return replace(reason, text=without_values(reason.text, secrets))
