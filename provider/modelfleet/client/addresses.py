"""From where a program calls a service or proxy: the address that is right here, and why.

In this order: the ``endpoint`` of the Config; its data endpoint; inside of the cluster the Service
itself; an Ingress of the namespace; a port-forward. A service that runs elsewhere is called there.
What was found is relied upon for a few seconds, so that a thousand calls cost no thousand looks,
and then forgotten, keys above all.
Belongs to the background loop. Sends nothing to a model.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

from modelfleet import labels
from modelfleet.client.called import Called
from modelfleet.client.config import Config
from modelfleet.cluster.ingresses import ingress_url
from modelfleet.cluster.mirror import Key
from modelfleet.errors import ConfigError, ForbiddenError
from modelfleet.fleet import Address, Fleet
from modelfleet.reach import BASE_PATH
from modelfleet.render.container import PORT_NAME
from modelfleet.standing_port import StandingPort, StandingPorts
from modelfleet.targets import Target, api_key_of, target_of

T = TypeVar("T")

KEPT_SECONDS: Final = 5.0
"""How long a resource and its key are taken for what they were; a change that is heard of, less."""

INGRESS_SECONDS: Final = 30.0
"""How long the Ingresses of a namespace are taken for what they were."""


@dataclass(frozen=True)
class Way:
    """How a resource is called. ``told`` says how ``base_url`` was come by.

    ``is_direct`` says that nothing stands in between which a proxy of the environment could know
    of. ``port`` is the local port that leads there, if one does.
    """

    target: Target
    base_url: str
    told: str
    api_key: str | None = field(default=None, repr=False)
    is_direct: bool = False
    port: StandingPort | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Known:
    """What is known of one resource; ``version`` is that of its primary object.

    ``no_key`` says why there is no ``api_key`` where there should be one.
    """

    target: Target
    version: str
    api_key: str | None = field(default=None, repr=False)
    no_key: ConfigError | None = None


class _Recent(Generic[T]):
    """What was found of resources, each for so many seconds, and no longer in memory than that."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._found: dict[Key, tuple[T, asyncio.TimerHandle]] = {}

    def get(self, key: Key) -> T | None:
        found = self._found.get(key)
        return found[0] if found else None

    def put(self, key: Key, value: T) -> None:
        self._forget(key)
        timer = asyncio.get_running_loop().call_later(self._seconds, self._forget, key)
        self._found[key] = (value, timer)

    def clear(self) -> None:
        for key in tuple(self._found):
            self._forget(key)

    def _forget(self, key: Key) -> None:
        if (found := self._found.pop(key, None)) is not None:
            found[1].cancel()


class Addresses:
    """The ways to the resources of one cluster, and the ports that are held open for them."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._known: _Recent[_Known] = _Recent(KEPT_SECONDS)
        self._ingresses: _Recent[str] = _Recent(INGRESS_SECONDS)
        self._ports = StandingPorts(fleet.client, fleet.catalogue)

    async def way_to(self, called: Called) -> Way:
        """Return how ``called`` is called from here.

        Raises:
            NotFoundError: there is no such resource.
            ConfigError: the key that it is called with is not where it should be.
            NotReadyError: nobody would answer; says why.
            ForbiddenError: no address is left but a port-forward, which is not allowed.
        """
        key = Key(called.namespace, called.kind, called.name)
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            known = await self._look(key)
            is_given = known.target.is_hosted and called.config.get_api_key()
            if known.no_key is not None and not is_given:
                raise known.no_key.with_traceback(None)
            return await self._way(key, known.target, called.config, api_key=known.api_key)

    async def aclose(self) -> None:
        """Close every port, and what goes through it."""
        self._known.clear()
        self._ingresses.clear()
        await self._ports.aclose()

    async def _look(self, key: Key) -> _Known:
        version, known = self._version(key), self._known.get(key)
        if known is None or known.version != version:
            client = self._fleet.client
            address = Address(key.name, namespace=key.namespace, kind=key.kind)
            target = await target_of(client, address)
            try:
                known = _Known(target, version, await api_key_of(client, target))
            except ConfigError as error:
                known = _Known(target, version, no_key=error)
            self._known.put(key, known)
        return known

    def _version(self, key: Key) -> str:
        """Return the version that the watches last heard of, "" where they know of none."""
        entry = self._fleet.catalogue.last_known().by_key.get(key)
        return "" if entry is None else str(entry.primary["metadata"]["resourceVersion"])

    async def _way(self, key: Key, target: Target, config: Config, *, api_key: str | None) -> Way:
        if not target.is_hosted:
            # A key of the Config is for gateways and engines here, and no provider's business.
            return Way(target, target.external_url, "its own base_url", api_key=api_key)
        given = config.get_api_key() or api_key
        if said := _said(config, target):
            return Way(target, *said, api_key=given)
        client, ref = self._fleet.client, target.service_ref
        port = await self._ports.to(key, target)
        with suppress(ForbiddenError):
            await port.check()
        if client.access.is_own_cluster:
            url = labels.endpoint(ref.name, namespace=ref.namespace) + BASE_PATH
            return Way(target, url, "inside of its cluster", api_key=given, is_direct=True)
        if url := await self._ingress(key, target):
            told = f"an Ingress of namespace {ref.namespace}"
            return Way(target, url, told, api_key=given)
        # Anew, as looking may have taken so long that the port was closed meanwhile.
        port = await self._ports.to(key, target)
        await port.open()
        told = f"a port-forward, as no Ingress of namespace {ref.namespace} leads to {ref}"
        url = port.url + BASE_PATH
        return Way(target, url, told, api_key=given, is_direct=True, port=port)

    async def _ingress(self, key: Key, target: Target) -> str:
        url = self._ingresses.get(key)
        if url is None:
            url = await ingress_url(
                self._fleet.client,
                target.service_ref,
                port=labels.SERVICE_PORT,
                port_name=PORT_NAME,
                path=BASE_PATH,
            )
            self._ingresses.put(key, url)
        return url


def _said(config: Config, target: Target) -> tuple[str, str] | None:
    """Return the base URL that the Config says, and how it does; None where it says none."""
    if endpoint := config.get_endpoint():
        return _based(endpoint, of="endpoint"), "the endpoint of the Config"
    if endpoint := config.get_said_data_endpoint():
        own = f"{endpoint.rstrip('/')}/models/{target.service.name}"
        return _based(own, of="data_endpoint"), "the data endpoint of the Config"
    return None


def _based(endpoint: str, *, of: str) -> str:
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f"{of} is no address: {endpoint!r}.", hint="It looks like https://models.example.com."
        )
    return endpoint.rstrip("/").removesuffix(BASE_PATH) + BASE_PATH
