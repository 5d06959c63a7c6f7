"""The way from a command in the main thread to who answers, on an event loop in another thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

from modelfleet.cluster.client import Client
from modelfleet.named import Address
from modelfleet.reach import Endpoint, reached
from modelfleet.targets import Target, target_of


class Way:
    """The way to who answers: opened when it is first needed, and anew after it was left."""

    def __init__(self, portal: BlockingPortal, client: Client, target: Target) -> None:
        self.target = target
        self._portal = portal
        self._client = client
        self._opened = ExitStack()
        self._endpoint: Endpoint | None = None

    def endpoint(self) -> Endpoint:
        """Return where it answers now; raises as ``reach.reached`` does."""
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
    """Find who is meant, and give the way there.

    Raises:
        ConfigError: no cluster can be reached that way, or several are meant.
        NotFoundError: there is nobody of that name.
    """
    client = Client.connect(kubeconfig=kubeconfig, context=context)
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        stack.callback(portal.call, client.aclose)
        target = portal.call(target_of, client, address)
        way = Way(portal, client, target)
        stack.callback(way.leave)
        yield way
