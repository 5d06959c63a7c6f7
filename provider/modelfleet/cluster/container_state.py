"""What is wrong with one container, told in terms of what was declared.

Reads states the way the kubelet writes them: waiting with a reason, terminated, running but not
ready. Pure: one status and its part of the pod's spec in, one finding out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.others_words import missing_config, short, telling
from modelfleet.cluster.reasons import Code, FieldNames, Finding, Reason

CRASHES_UNTIL_FAILED: Final = 3
"""Restarts after which a container that crashes is taken to go on crashing."""

OOM_KILLS_UNTIL_FAILED: Final = 2
"""The first may be bad luck (a neighbour, a first request); the same again is a limit too low."""

_SIGKILL, _SIGTERM = 137, 143

_PULL_TRIES_AGAIN: Final = re.compile(
    r"toomanyrequests|rate limit|\b429\b|\b50[0234]\b|timed? ?out|deadline exceeded|"
    r"connection re|handshake|EOF|unavailable|temporar|try again",
    re.IGNORECASE,
)
_REGISTRY_OUT_OF_REACH: Final = re.compile(
    r"no such host|network is unreachable|no route to host|server misbehaving", re.IGNORECASE
)
_PULL_DENIED: Final = re.compile(
    r"denied|unauthori[sz]ed|authenti|forbidden|\b40[13]\b|basic auth|authorization", re.IGNORECASE
)
_PULL_ABSENT: Final = re.compile(
    r"not ?found|manifest unknown|does not exist|no match for platform|no matching manifest|"
    r"invalid reference|not present with pull policy|couldn't parse|failed to apply default image",
    re.IGNORECASE,
)
_NO_SUCH_PROGRAM: Final = re.compile(
    r"exec: .*(executable file not found|no such file or directory|permission denied)"
)
_MOUNT: Final = re.compile(r"error mounting .*? to rootfs at \"(?P<path>[^\"]+)\"")
_TOO_LITTLE_MEMORY: Final = "OOM-killed"
"""Of a container that had no room even to begin, the runtime says so, and not the kubelet."""

_NEVER_STARTED: Final = ("StartError", "ContainerCannotRun")


@dataclass(frozen=True)
class Container:
    """One container as the kubelet reports it, beside its part of the pod's spec."""

    status: Mapping[str, Any]
    spec: Mapping[str, Any]
    init: bool

    @property
    def name(self) -> str:
        """Name of the container."""
        return str(self.status.get("name", ""))

    @property
    def sidecar(self) -> bool:
        """Whether it starts with the init containers and then stays."""
        return self.init and self.spec.get("restartPolicy") == "Always"

    @property
    def called(self) -> str:
        """What a sentence calls it."""
        kind = "sidecar" if self.sidecar else "init container" if self.init else "container"
        return f"{kind} {self.name}"

    @property
    def restarts(self) -> int:
        """How often the kubelet started it again."""
        return int(self.status.get("restartCount") or 0)

    @property
    def end(self) -> Mapping[str, Any]:
        """How it last ended: the present end, else the former one; empty if it never ended."""
        return self._state("state") or self._state("lastState")

    @property
    def has_run(self) -> bool:
        """Whether its program has run at all: what could not be started left no words."""
        return self.running or (bool(self.end) and self.end.get("reason") not in _NEVER_STARTED)

    @property
    def has_been_made(self) -> bool:
        """Whether there was a container, which takes its image and volumes, started or not."""
        return self.running or bool(self.end) or self.waiting.get("reason") in _MADE

    def _state(self, which: str) -> Mapping[str, Any]:
        state: Mapping[str, Any] = self.status.get(which) or {}
        return state.get("terminated") or {}

    @property
    def waiting(self) -> Mapping[str, Any]:
        """Why it is not running, empty while it is."""
        waiting: Mapping[str, Any] = (self.status.get("state") or {}).get("waiting") or {}
        return waiting

    @property
    def running(self) -> bool:
        """Whether its process runs now."""
        return bool((self.status.get("state") or {}).get("running"))

    @property
    def done(self) -> bool:
        """Whether nothing more is expected of it: it serves, or has done its part of the start."""
        if self.init and not self.sidecar:
            ended = self._state("state")
            return bool(ended) and ended.get("exitCode") == 0
        return bool(self.status.get("ready") or (self.sidecar and self.status.get("started")))


def container_finding(container: Container, *, fields: FieldNames) -> Finding:
    """Return what holds up a container that is not done. The text has no subject, the pod."""
    found = _by_state(container, fields)
    return replace(found, reason=replace(found.reason, container=container.name))


def _by_state(container: Container, fields: FieldNames) -> Finding:
    cause = str(container.waiting.get("reason", ""))
    if judge := _BY_WAITING_REASON.get(cause):
        return judge(container, fields)
    if container.end and (not container.running or container.restarts):
        return _crashed(container, fields)
    if container.running:
        return _not_ready_yet(container, fields)
    return Finding(Reason(Code.STARTING, f"starting its {container.called}"))


def _image_pull(container: Container, fields: FieldNames) -> Finding:
    message = str(container.waiting.get("message", ""))
    image = str(container.spec.get("image") or container.status.get("image") or "")
    # "Back-off pulling image" alone is all that older kubelets say while they wait: no verdict.
    cause = re.sub(r'^(Back-off pulling image "[^"]*"(: )?)?(ErrImagePull: )?', "", message)
    cause = telling(cause)
    text = f"cannot pull image {image}" + (f": {cause}" if cause else "")
    if _REGISTRY_OUT_OF_REACH.search(cause):
        hint = (
            f"Check the registry's name in {fields.image}, and that the nodes can reach it; they "
            "try again."
        )
        return Finding(Reason(Code.IMAGE_PULL, text, fields.image, hint))
    if _PULL_TRIES_AGAIN.search(cause):
        hint = "The registry is slow, limited or down; the node tries again."
        return Finding(Reason(Code.IMAGE_PULL, text, fields.image, hint))
    if _PULL_DENIED.search(cause):
        account = f"{fields.service_account} names an account with"
        if not fields.service_account:
            account = "the default service account of the namespace has"
        hint = (
            f"Check the name in {fields.image}, and that {account} an image pull secret for that "
            "registry."
        )
        return Finding(Reason(Code.IMAGE_PULL, text, fields.image, hint), fatal=True)
    if cause and (_PULL_ABSENT.search(cause) or container.waiting["reason"] in _NEVER_PULLED):
        named = " or ".join(dict.fromkeys((fields.image, fields.image_version)))
        hint = f"Correct {named}: no such image can be had."
        return Finding(Reason(Code.IMAGE_PULL, text, fields.image, hint), fatal=True)
    return Finding(Reason(Code.IMAGE_PULL, text, fields.image, "The node tries again."))


_NEVER_PULLED: Final = ("InvalidImageName", "ErrImageNeverPull", "SignatureValidationFailed")


def _config_missing(container: Container, fields: FieldNames) -> Finding:
    message = str(container.waiting.get("message", ""))
    text = f"cannot start its {container.called}: {short(message)}"
    if missing := missing_config(message):
        field = fields.of_secret.get(missing.name, fields.env)
        hint = f"Create {missing.told}, or change {field}."
        return Finding(Reason(Code.CONFIG_MISSING, text, field, hint), fatal=True)
    hint = f"Correct what {fields.env} refers to."
    return Finding(Reason(Code.CONFIG_MISSING, text, fields.env, hint), fatal=True)


def _cannot_be_started(container: Container, fields: FieldNames) -> Finding:
    backing_off = container.waiting.get("reason") == "CrashLoopBackOff"
    told_by = container.end if backing_off or not container.waiting else container.waiting
    raw = str(told_by.get("message", ""))
    code, absent, message = Code.CRASH_LOOP, False, telling(raw)
    if mount := _MOUNT.search(raw):
        is_model = mount["path"].startswith(fields.model_path)
        field = fields.model if is_model else fields.pod_overrides
        hint = volume_hint(fields, at=mount["path"])
        why = message.rpartition(": ")[2]
        message = f"the volume at {mount['path']} cannot be mounted, {why}"
    elif _TOO_LITTLE_MEMORY in message:
        code, field, hint = Code.OOM_KILLED, fields.memory, _more_memory(container, fields)
    elif absent := _NO_SUCH_PROGRAM.search(message) is not None:
        field = fields.command
        hint = f"Correct {fields.command}: the image must have that program."
    else:
        field = fields.command
        *most, last = dict.fromkeys((fields.command, fields.image, fields.runtime_class))
        hint = f"Check {' and '.join(filter(None, (', '.join(most), last)))}."
    text = f"cannot start its {container.called}: {message}"
    again = container.restarts >= CRASHES_UNTIL_FAILED
    return Finding(Reason(code, text, field, hint), fatal=absent or again)


def volume_hint(fields: FieldNames, *, at: str = "") -> str:
    """Return where volumes come from, for one that cannot be mounted (``at`` a path)."""
    *most, last = dict.fromkeys((fields.storage, fields.model, fields.pod_overrides))
    volume = f"what is mounted at {at}" if at else "that volume"
    return f"Look at {volume}: volumes come from {', '.join(most)} and {last}."


def _crashed(container: Container, fields: FieldNames) -> Finding:
    """Return what to say of a container that ended by itself or was ended, and comes back."""
    end, count = container.end, container.restarts
    times = f"{count} restart" + ("" if count == 1 else "s")
    if end.get("reason") == "OOMKilled":
        return _out_of_memory(container, fields, times)
    if end.get("reason") in _NEVER_STARTED:
        return _cannot_be_started(container, fields)
    # Fatal only while it is down: what runs again may have got over it (a model server came back).
    fatal = count >= CRASHES_UNTIL_FAILED and not container.running
    if budget := _used_up_startup_budget(container):
        hint = (
            f"Raise {fields.startup} (now {budget:g} s) if it was still loading; if not, see why "
            "its health path does not answer."
        )
        text = f"{container.called} was stopped, not started within {budget:g} s, {times}"
        return Finding(Reason(Code.PROBE_FAILING, text, fields.startup, hint), fatal)
    code = end.get("exitCode")
    if code in (126, 127):
        field = fields.command
        hint = f"Check {fields.command}: the shell found no such program (exit code {code})."
    elif container.sidecar:
        field, hint = (
            fields.pod_overrides,
            f"See its log; sidecars come from {fields.pod_overrides}.",
        )
    elif container.init:
        field, hint = fields.model, f"Check {fields.model} and its credentials."
    else:
        field = fields.args
        is_model = container.name == labels.ENGINE_CONTAINER
        hint = f"Check {fields.args}, {fields.env} and the model."
        if not is_model:
            hint = f"See its log, and check {' and '.join(dict.fromkeys((field, fields.env)))}."
    text = f"{container.called} exits with code {code}, {times}"
    if container.running:
        text += ", runs again now"
    return Finding(Reason(Code.CRASH_LOOP, text, field, hint), fatal)


def _out_of_memory(container: Container, fields: FieldNames, times: str) -> Finding:
    kills = container.restarts + (not container.running and not container.waiting)
    text = f"{container.called} was killed, out of memory, {times}"
    reason = Reason(Code.OOM_KILLED, text, fields.memory, _more_memory(container, fields))
    return Finding(reason, fatal=kills >= OOM_KILLS_UNTIL_FAILED)


def _more_memory(container: Container, fields: FieldNames) -> str:
    limit = ((container.spec.get("resources") or {}).get("limits") or {}).get("memory", "")
    return f"Raise {fields.memory}" + (f" above the present limit of {limit}." if limit else ".")


def _used_up_startup_budget(container: Container) -> float | None:
    """Return the budget in seconds if the container was most likely stopped by its startup probe.

    The status does not say who sent the signal: we infer it from a container that lived about as
    long as its budget and then ended as one does that was told to, which for a server in good order
    is with 0. Events know, and ``diagnosis`` reads them.
    """
    budget = startup_budget_seconds(container.spec)
    end = container.end
    if budget is None or end.get("exitCode") not in (0, _SIGKILL, _SIGTERM):
        return None
    try:
        began = datetime.fromisoformat(str(end.get("startedAt")))
        ended = datetime.fromisoformat(str(end.get("finishedAt")))
    except ValueError:
        return None
    lived = (ended - began).total_seconds()
    # The first try comes at once, so the last one a period before the end of the budget; times are
    # in full seconds. From above: that period, and the time it was given to stop.
    least = budget - container.spec["startupProbe"].get("periodSeconds", 10) - 1
    return budget if least <= lived <= 1.5 * budget + 120 else None


def startup_budget_seconds(container_spec: Mapping[str, Any]) -> float | None:
    """Return how long the startup probe lets a container start; None without such a probe."""
    probe = container_spec.get("startupProbe")
    if not probe:
        return None
    tries, period = probe.get("failureThreshold", 3), probe.get("periodSeconds", 10)
    return float(probe.get("initialDelaySeconds", 0) + tries * period)


def _not_ready_yet(container: Container, fields: FieldNames) -> Finding:
    budget = startup_budget_seconds(container.spec)
    if container.init:
        text = f"running its {container.called}"
        return Finding(Reason(Code.STARTING, text))
    if budget is not None and not container.status.get("started"):
        text = f"{container.called} is still starting, it may take {budget:g} s"
        return Finding(Reason(Code.STARTING, text, fields.startup))
    return Finding(
        Reason(
            Code.PROBE_FAILING,
            f"{container.called} runs, but its readiness probe does not pass",
            fields.probes,
            f"It is up but does not answer as healthy; see its log, and check {fields.probes}.",
        )
    )


_MADE: Final = frozenset({"RunContainerError", "CrashLoopBackOff"})
"""Why a container waits that there is already."""

_BY_WAITING_REASON: Final[dict[str, Callable[[Container, FieldNames], Finding]]] = {
    "ErrImagePull": _image_pull,
    "ImagePullBackOff": _image_pull,
    "ImageInspectError": _image_pull,
    "RegistryUnavailable": _image_pull,
    **dict.fromkeys(_NEVER_PULLED, _image_pull),
    "CreateContainerConfigError": _config_missing,
    "CreateContainerError": _cannot_be_started,
    "RunContainerError": _cannot_be_started,
    "CrashLoopBackOff": _crashed,
}
