"""What an object of a program can do with replicas: d.run's verbs, in two forms each."""

from __future__ import annotations

from typing import Self

from modelfleet.background import run, run_async
from modelfleet.client import scaling
from modelfleet.client.config import Config
from modelfleet.client.waiting import Waits


class Runs(Waits):
    """A resource that may have replicas of its own, here."""

    async def _scaled(
        self, target: int, config: Config | None, take_ownership: bool | None
    ) -> Self:
        merged, name = self._configured(config), self._name("scale")
        if target < 0:
            raise ValueError(f"target must be at least 0, not {target}")
        resource = await scaling.scale(
            name, self.kind, target, config=merged, take_ownership=take_ownership
        )
        self._is_scaled = True
        return self._take(resource, merged)

    def scale(
        self, target: int, config: Config | None = None, *, take_ownership: bool | None = None
    ) -> Self:
        """Have ``target`` replicas run, however many do, and return the object.

        Raises:
            ClientError: it runs elsewhere (400), or belongs to another owner (409).
        """
        return run(self._scaled(target, config, take_ownership))

    async def scale_async(
        self, target: int, config: Config | None = None, *, take_ownership: bool | None = None
    ) -> Self:
        """As :meth:`scale`."""
        return await run_async(self._scaled(target, config, take_ownership))

    async def _stopped(self, config: Config | None, take_ownership: bool | None) -> Self:
        merged, name = self._configured(config), self._name("stop")
        resource = await scaling.stop(name, self.kind, config=merged, take_ownership=take_ownership)
        self._is_scaled = True
        return self._take(resource, merged)

    def stop(self, config: Config | None = None, *, take_ownership: bool | None = None) -> Self:
        """Have no replica run, and return the object; :meth:`start` has as many run again.

        Raises:
            ClientError: it runs elsewhere (400), or belongs to another owner (409).
        """
        return run(self._stopped(config, take_ownership))

    async def stop_async(
        self, config: Config | None = None, *, take_ownership: bool | None = None
    ) -> Self:
        """As :meth:`stop`."""
        return await run_async(self._stopped(config, take_ownership))

    async def _started(
        self, target: int | None, config: Config | None, take_ownership: bool | None
    ) -> Self:
        merged, name = self._configured(config), self._name("start")
        if target is not None and target < 1:
            raise ValueError(f"target must be at least 1, not {target}")
        resource = await scaling.start(
            name, self.kind, target, config=merged, take_ownership=take_ownership
        )
        self._is_scaled = True
        return self._take(resource, merged)

    def start(
        self,
        target: int | None = None,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> Self:
        """Have ``target`` replicas run, else as many as before the stop, else one.

        Returns the object. What runs already stays as it is where no ``target`` is said.

        Raises:
            ClientError: it runs elsewhere (400), or belongs to another owner (409).
        """
        return run(self._started(target, config, take_ownership))

    async def start_async(
        self,
        target: int | None = None,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> Self:
        """As :meth:`start`."""
        return await run_async(self._started(target, config, take_ownership))
