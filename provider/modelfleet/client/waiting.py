"""What an object of a program can wait for: its beginning, and its end. Two forms of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self

from modelfleet.agentrun.registry import Resource
from modelfleet.background import run, run_async
from modelfleet.client import verbs, waits
from modelfleet.client.config import Config
from modelfleet.client.errors import ResourceNotExistError
from modelfleet.client.looks import Wait, follow, follow_async
from modelfleet.client.resource import ResourceBase

Callback = Callable[[Any], object]
"""Is given the object after each look. In async forms it may be a coroutine function."""

Look = Callable[[Resource], object]


class Waits(ResourceBase):
    """A resource that takes its time to come and to go."""

    def wait_until_ready_or_failed(
        self,
        callback: Callback | None = None,
        interval_seconds: float = 5,
        timeout_seconds: float = 300,
        raise_on_failure: bool = False,
    ) -> None:
        """Wait until nothing is under way, and show what came of it.

        ``callback`` is given the object after each look: at least once, then whenever something
        has changed, or else every ``interval_seconds``. DEGRADED, where some replicas serve, is the
        end of it, but after this object's own ``scale``, ``start`` or ``stop``: then all are waited
        for.

        Raises:
            TimeoutError: something still is under way; says what, and why.
            NotReadyError: with ``raise_on_failure``, that it does not serve; with the diagnosis.
            ResourceNotExistError: it is gone.
        """
        wait, look = self._settling(callback, interval_seconds, timeout_seconds, raise_on_failure)
        follow(wait, look)

    async def wait_until_ready_or_failed_async(
        self,
        callback: Callback | None = None,
        interval_seconds: float = 5,
        timeout_seconds: float = 300,
        raise_on_failure: bool = False,
    ) -> None:
        """As :meth:`wait_until_ready_or_failed`; what ``callback`` returns is awaited if it can."""
        wait, look = self._settling(callback, interval_seconds, timeout_seconds, raise_on_failure)
        await follow_async(wait, look)

    def _settling(
        self,
        callback: Callback | None,
        interval_seconds: float,
        timeout_seconds: float,
        raises: bool,
    ) -> tuple[Wait[Resource], Look]:
        merged = self._configured(None)
        wait = partial(
            waits.until_settled,
            self._name("refresh"),
            self.kind,
            config=merged,
            interval_seconds=interval_seconds,
            timeout_seconds=timeout_seconds,
            all_replicas=self._is_scaled,
            raises=raises,
        )
        return wait, self._look(callback, merged)

    def _look(self, callback: Callback | None, config: Config) -> Look:
        def look(resource: Resource) -> object:
            self._take(resource, config)
            return callback(self) if callback is not None else None

        return look

    # -- deleting --------------------------------------------------------------------------

    async def _deleted(self, config: Config | None, take_ownership: bool | None) -> Self:
        merged = self._configured(config)
        resource = await verbs.delete(
            self._name("delete"),
            self.kind,
            config=merged,
            incarnation=self._incarnation,
            take_ownership=take_ownership,
        )
        return self._take(resource, merged)

    def delete(self, config: Config | None = None, *, take_ownership: bool | None = None) -> Self:
        """Tell it to go, and return the object, DELETING.

        Raises:
            ResourceNotExistError: it is gone, or another one has its name by now.
            HTTPError: it is protected, in use by a proxy, or belongs to another owner.
        """
        return run(self._deleted(config, take_ownership))

    async def delete_async(
        self, config: Config | None = None, *, take_ownership: bool | None = None
    ) -> Self:
        """As :meth:`delete`."""
        return await run_async(self._deleted(config, take_ownership))

    def delete_and_wait_until_finished(
        self,
        callback: Callback | None = None,
        interval_seconds: float = 5,
        timeout_seconds: float = 300,
    ) -> None:
        """Tell it to go, and wait until it is gone; quiet where it is gone already.

        ``callback`` is given the object after each look that still finds it.

        Raises:
            TimeoutError: it is still going.
            DeleteResourceError: it is not going any more.
        """
        try:
            self.delete()
        except ResourceNotExistError:
            return
        follow(*self._going(callback, interval_seconds, timeout_seconds))

    async def delete_and_wait_until_finished_async(
        self,
        callback: Callback | None = None,
        interval_seconds: float = 5,
        timeout_seconds: float = 300,
    ) -> None:
        """As :meth:`delete_and_wait_until_finished`."""
        try:
            await self.delete_async()
        except ResourceNotExistError:
            return
        await follow_async(*self._going(callback, interval_seconds, timeout_seconds))

    def _going(
        self, callback: Callback | None, interval_seconds: float, timeout_seconds: float
    ) -> tuple[Wait[Resource], Look]:
        merged = self._configured(None)
        wait = partial(
            waits.until_gone,
            self._name("delete"),
            self.kind,
            config=merged,
            incarnation=self._incarnation,
            interval_seconds=interval_seconds,
            timeout_seconds=timeout_seconds,
        )
        return wait, self._look(callback, merged)
