"""The way from a command in the main thread to one service, on an event loop in another thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

from modelfleet.adapters.cli.naming import Address
from modelfleet.cluster.client import Client
from modelfleet.desired import KIND
from modelfleet.reach import Endpoint, Target, reached, target_of


class Way:
    """The way to one service: opened when it is first needed, and anew after it was left."""

    def __init__(self, portal: BlockingPortal, client: Client, target: Target) -> None:
        self.target = target
        self._portal = portal
        self._client = client
        self._opened = ExitStack()
        self._endpoint: Endpoint | None = None

    @property
    def subject(self) -> str:
        """What messages call the service."""
        return f"{KIND} {self.target.service.id}"

    def endpoint(self) -> Endpoint:
        """Return where the service answers now; raises as ``reach.reached`` does."""
        if self._endpoint is None:
            opened = self._portal.wrap_async_context_manager(reached(self._client, self.target))
            try:
                self._endpoint = self._opened.enter_context(opened)
            except KeyboardInterrupt:  # it goes on opening, on the other thread
                opened.__exit__(None, None, None)
                raise
        return self._endpoint

    def leave(self) -> None:
        """Close it. Whoever goes there again may come to another pod."""
        self._endpoint = None
        self._opened.close()


@contextmanager
def way_to(address: Address, *, kubeconfig: str | None, context: str | None) -> Iterator[Way]:
    """Find the service that is meant, and give the way to it.

    Raises:
        ConfigError: no cluster can be reached that way, or several services are meant.
        NotFoundError: there is no such service.
    """
    client = Client.connect(kubeconfig=kubeconfig, context=context)
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        stack.callback(portal.call, client.aclose)
        target = portal.call(_target, client, address)
        way = Way(portal, client, target)
        stack.callback(way.leave)
        yield way


async def _target(client: Client, address: Address) -> Target:
    return await target_of(client, address.name, namespace=address.namespace)
