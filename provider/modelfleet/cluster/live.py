"""What the rest of modelfleet asks of the live copies: services to wait for, resources to read.

:class:`LiveServices` joins Deployments with their pods and waits until they are ready or gone;
:class:`LiveObjects` reads the objects of many resources at the cost of reading one. Both are made
once per process and cluster. Whether a service is ready is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final, Protocol

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.mirror import Key, key_of
from modelfleet.cluster.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    Kind,
    Object,
)
from modelfleet.cluster.reasons import Code, Outcome, Reason, Waiting
from modelfleet.cluster.revisions import current_hash
from modelfleet.cluster.slim import (
    slim_deployment,
    slim_pod,
    slim_replica_set,
    whole,
    with_shared_texts,
)
from modelfleet.cluster.watch import SETTLE_SECONDS, UNREACHABLE_SECONDS, SharedWatch

_OURS: Final = f"{labels.MANAGED_BY}={labels.MANAGED_BY_VALUE}"
_NAMED: Final = labels.NAME
"""Pods and ReplicaSets carry the selector labels only."""

_PAGE_SIZE: Final = 250
"""An object on the wire is ten times what is kept of it: never decode thousands at once."""


class Evaluate(Protocol):
    """How a service is judged; ``functools.partial(readiness, until=…, fields=…)`` is one."""

    def __call__(
        self, deployment: Object | None, pods: Sequence[Object], *, current_hash: str | None
    ) -> Outcome:
        """Return the outcome of what is seen now."""
        ...


class LiveServices:
    """Deployments and their pods, followed together for everyone who waits for one."""

    def __init__(self, client: Client, *, unreachable_seconds: float = UNREACHABLE_SECONDS) -> None:
        """Nothing is sent before the first wait; a silent server is given up after those seconds.

        Who waits is told so, whatever time there would be left.
        """

        def followed(kind: Kind, selector: str, slim: Callable[[Object], Object]) -> SharedWatch:
            return SharedWatch(
                client,
                kind,
                label_selector=selector,
                slim=slim,
                page_size=_PAGE_SIZE,
                unreachable_seconds=unreachable_seconds,
            )

        self._deployments = followed(DEPLOYMENT, _OURS, slim_deployment)
        self._pods = followed(POD, _NAMED, slim_pod)
        self._replica_sets = followed(REPLICA_SET, _NAMED, slim_replica_set)
        self._sets = followed(STATEFUL_SET, _OURS, whole)

    async def until(
        self,
        applied: Object,
        evaluate: Evaluate,
        *,
        timeout_seconds: float,
        on_progress: Callable[[Waiting], None] | None = None,
    ) -> Outcome:
        """Wait until ``evaluate`` says Ready or Failed; at the timeout return the last Waiting.

        ``applied`` is the Deployment as the write that is waited for returned it: nothing older is
        ever judged. ``on_progress`` is called whenever the reasons change. Raises UnavailableError
        when the server cannot be reached for a minute, and ForbiddenError.
        """
        key = key_of(applied)
        versions: list[tuple[SharedWatch, Key]] = []

        def followed() -> list[tuple[SharedWatch, Key]]:
            if not versions and self._has_versions(applied, key):
                versions.append((self._replica_sets, key))
            return [(self._deployments, key), (self._pods, key), *versions]

        def judged() -> Outcome:
            return self._evaluated(applied, key, evaluate)

        return await _until(
            applied, followed, judged, timeout_seconds=timeout_seconds, on_progress=on_progress
        )

    async def until_set(
        self,
        applied: Object,
        evaluate: Callable[[Object | None, Sequence[Object]], Outcome],
        *,
        pods: Key,
        timeout_seconds: float,
        on_progress: Callable[[Waiting], None] | None = None,
    ) -> Outcome:
        """Wait for a StatefulSet as :meth:`until` does; its pods are those of the key ``pods``."""
        key, uid = key_of(applied), applied["metadata"]["uid"]

        def followed() -> list[tuple[SharedWatch, Key]]:
            return [(self._sets, key), (self._pods, pods)]

        def judged() -> Outcome:
            same = (each for each in self._sets.objects(key) if each["metadata"]["uid"] == uid)
            return evaluate(next(same, None), self._pods.objects(pods))

        return await _until(
            applied, followed, judged, timeout_seconds=timeout_seconds, on_progress=on_progress
        )

    async def until_gone(self, deployment: Object, *, timeout_seconds: float) -> Object | None:
        """Wait until that very Deployment (by UID) is no more; return what is left at the timeout.

        Deleted in the foreground, it is gone after its pods. Raises as :meth:`until` does.
        """
        return await self._deployments.until_gone(deployment, timeout_seconds=timeout_seconds)

    def pods(self, applied: Object) -> tuple[Object, ...]:
        """Return the pods of that Deployment's service as last heard of."""
        return self._pods.objects(key_of(applied))

    def pods_of(self, key: Key) -> tuple[Object, ...]:
        """Return the pods under that key as last heard of."""
        return self._pods.objects(key)

    def status(self, applied: Object) -> Mapping[str, Any]:
        """Return the status of that Deployment as last heard of, empty where it is gone."""
        deployment = self._deployment(applied, key_of(applied))
        return (deployment or {}).get("status") or {}

    async def aclose(self) -> None:
        """End all watches. Whoever still waits gets UnavailableError."""
        watches = (self._deployments, self._pods, self._replica_sets, self._sets)
        await asyncio.gather(*(watch.aclose() for watch in watches))

    def _evaluated(self, applied: Object, key: Key, evaluate: Evaluate) -> Outcome:
        deployment = self._deployment(applied, key)
        version = None
        if deployment is not None and self._has_versions(applied, key):
            version = current_hash(deployment, self._replica_sets.objects(key))
        return evaluate(deployment, self._pods.objects(key), current_hash=version)

    def _has_versions(self, applied: Object, key: Key) -> bool:
        """Return whether there can be pods of an older version.

        There cannot where the Deployment is as it was created, which spares the first rollout of a
        whole fleet the watch of its ReplicaSets.
        """
        deployment = self._deployment(applied, key)
        return deployment is not None and deployment["metadata"].get("generation", 1) > 1

    def _deployment(self, applied: Object, key: Key) -> Object | None:
        """Return the live state of ``applied``: a namesake made since is another Deployment."""
        uid = applied["metadata"]["uid"]
        same = (each for each in self._deployments.objects(key) if each["metadata"]["uid"] == uid)
        return next(same, None)


async def _until(
    applied: Object,
    followed: Callable[[], Sequence[tuple[SharedWatch, Key]]],
    judged: Callable[[], Outcome],
    *,
    timeout_seconds: float,
    on_progress: Callable[[Waiting], None] | None,
) -> Outcome:
    """Wait until ``judged`` says Ready or Failed; at the timeout return the last Waiting.

    It is asked on every change under the keys that are ``followed``, of which there may be more
    with time. The first of them is told of ``applied``.
    """
    changed = asyncio.Event()
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    outcome: Outcome = Waiting(())
    entered: list[SharedWatch] = []
    with ExitStack() as stack:
        while True:
            changed.clear()
            for watch in entered:
                watch.raise_failure()
            while more := followed()[len(entered) :]:
                watch, key = more[0]
                stack.enter_context(watch.interest(key, changed))
                if not entered:
                    watch.observe(applied)
                entered.append(watch)
            if all(watch.synced for watch in entered):
                last, outcome = outcome, judged()
                if not isinstance(outcome, Waiting):
                    return outcome
                if on_progress is not None and outcome != last:
                    on_progress(outcome)
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return _timed_out(outcome, entered)


def _timed_out(outcome: Outcome, followed: Iterable[SharedWatch]) -> Outcome:
    """Return the last outcome; where the server went silent meanwhile, that comes first."""
    told = outcome.reasons
    for watch in followed:
        if watch.trouble:
            text = f"The API server cannot be asked at the moment: {watch.trouble}"
            return Waiting((Reason(Code.UNREACHABLE, text), *told))
    return Waiting(told or (Reason(Code.UNREACHABLE, "The API server has not answered yet"),))


class LiveObjects:
    """The objects of all resources, whole, for reads: their number costs no requests.

    One LIST and one WATCH per kind serve every read of the process; what that promises is said at
    :meth:`SharedWatch.fresh`.
    """

    def __init__(
        self,
        client: Client,
        kinds: Iterable[Kind],
        *,
        label_selector: str = _OURS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        """Nothing is sent before the first read."""
        self._watches = [
            SharedWatch(
                client,
                kind,
                label_selector=label_selector,
                slim=with_shared_texts if kind == CONFIG_MAP else whole,
                settle_seconds=settle_seconds,
            )
            for kind in kinds
        ]

    async def read(self, key: Key) -> tuple[Object, ...]:
        """Return the objects of one resource, in the order of the kinds. Read only."""
        await self._fresh()
        return tuple(obj for watch in self._watches for obj in watch.objects(key))

    async def read_all(self) -> tuple[Object, ...]:
        """Return the objects of all resources, in the order of the kinds. Read only."""
        await self._fresh()
        return tuple(obj for watch in self._watches for obj in watch.everything())

    def observe(self, obj: Object) -> None:
        """Let reads see at once what a write of this process returned."""
        for watch in self._watches:
            if watch.kind.kind == obj["kind"]:
                watch.observe(obj)

    async def aclose(self) -> None:
        """End all watches."""
        await asyncio.gather(*(watch.aclose() for watch in self._watches))

    async def _fresh(self) -> None:
        await asyncio.gather(*(watch.fresh() for watch in self._watches))
