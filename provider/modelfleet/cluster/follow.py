"""LIST, then WATCH, then on from there for as long as it takes: the loop under every live copy.

It goes on over disconnects, the server's own time limits, expired versions (HTTP 410: listed anew)
and servers that are slow or refuse (backoff with jitter, Retry-After). It gives up when the server
has not answered for a bounded time, or when it says no; after it once said yes, when it goes on
saying no. What comes in is handed to a sink.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, Protocol

from modelfleet.cluster.client import SILENCE_SECONDS, Client, Listing, WatchEvent
from modelfleet.cluster.jitter import jittered
from modelfleet.cluster.objects import Kind, Object
from modelfleet.errors import ConflictError, ForbiddenError, UnavailableError

_FIRST_DELAY_SECONDS: Final = 0.2
_LONGEST_DELAY_SECONDS: Final = 10.0
_STEADY_SECONDS: Final = 5.0

REFUSED_SECONDS: Final = 20.0
"""How long a server that has let us watch may say no: one that was restarted answers before it has
read again who may do what."""


class Sink(Protocol):
    """Who takes in what a follower learns. Called on the event loop, one call at a time."""

    def take_list(self, listing: Listing) -> None:
        """Everything there is, as of the listing's version."""
        ...

    def take_event(self, event: WatchEvent) -> None:
        """What has happened since."""
        ...

    def look_again(self) -> None:
        """The state of the connection has changed."""
        ...


class Follower:
    """Follows the objects of one kind, from the beginning; run once.

    ``listed_at`` and ``open_since`` are times of the event loop's clock: when the last complete
    LIST began, and since when the watch has been open. ``missing_since`` is another: since when
    changes may have been missed, None while the watch is open. ``reaching`` says that a connection
    is being made, ``trouble`` why the server cannot be asked at present. The latter and
    ``missing_since`` go on from what was so before.
    """

    def __init__(
        self,
        client: Client,
        kind: Kind,
        sink: Sink,
        *,
        label_selector: str,
        slim: Callable[[Object], Object],
        page_size: int,
        unreachable_seconds: float,
        missing_since: float | None = None,
        trouble: str = "",
    ) -> None:
        self.listed_at: float | None = None
        self.open_since: float | None = None
        self.missing_since = missing_since
        self.reaching = False
        self.trouble = trouble
        self._client = client
        self._kind = kind
        self._sink = sink
        self._selector = label_selector
        self._slim = slim
        self._page_size = page_size
        self._unreachable_seconds = unreachable_seconds
        self._resume_from = ""
        self._heard = False
        self._heard_at = 0.0
        self._was_open = False
        self._down_since: float | None = None
        self._refused_since: float | None = None

    async def run(self) -> None:
        """Follow without end. Raises UnavailableError when giving up, and what the server refuses.

        A refusal (no permission, no such kind) will be the same next time, so it is not retried,
        unless the same was allowed before.
        """
        setbacks = 0
        if self.missing_since is None:
            self.missing_since = _now()
        while True:
            setbacks += 1
            retry_after_seconds = 0.0
            self.reaching = True
            try:
                try:
                    if not self._resume_from:
                        await self._list()
                    await self._watch()
                finally:
                    was_of_use = self._closed_after_use()
            except ConflictError:  # 410: the version to resume from is forgotten
                self._resume_from = ""
            except UnavailableError as error:
                retry_after_seconds = error.retry_after_seconds or 0.0
                self._note_trouble(error)
            except ForbiddenError as error:
                self._note_refusal(error)
            setbacks = 0 if was_of_use else setbacks
            await asyncio.sleep(max(_delay_seconds(setbacks), retry_after_seconds))

    async def _list(self) -> None:
        began = _now()
        listing = await self._client.list(
            self._kind,
            label_selector=self._selector,
            page_size=self._page_size,
            slim=self._slim,
        )
        self._sink.take_list(listing)
        self._resume_from = listing.resource_version
        self.listed_at = self.missing_since = began
        self._reached()

    async def _watch(self) -> None:
        """Hand on events until the server ends the watch."""
        events = self._client.watch(
            self._kind,
            resource_version=self._resume_from,
            label_selector=self._selector,
            on_open=self._opened,
        )
        async with aclosing(events):
            async for event in events:
                self._heard, self._heard_at = True, _now()
                self._resume_from = event.resource_version
                self._sink.take_event(event)

    def _opened(self) -> None:
        self.open_since = self._heard_at = _now()
        self.missing_since, self._was_open = None, True
        self.reaching = self._heard = False
        self._reached()

    def _reached(self) -> None:
        self._down_since, self._refused_since, self.trouble = None, None, ""
        self._sink.look_again()

    def _closed_after_use(self) -> bool:
        """Note that the watch is not open; return whether it was of use while it was.

        A server that ends such a watch does its duty and is asked again at once; one that refuses
        watches, or ends them as they begin, must not be asked in a tight loop.
        """
        since, self.open_since, self.reaching = self.open_since, None, False
        if since is not None:
            # A peer that died says nothing: then it was gone by its last word, and not just now.
            was_silent = _now() - self._heard_at >= SILENCE_SECONDS
            self.missing_since = self._heard_at if was_silent else _now()
        self._sink.look_again()
        return since is not None and (self._heard or _now() - since >= _STEADY_SECONDS)

    def _note_refusal(self, error: ForbiddenError) -> None:
        """Remember since when the server says no; raise where that is no passing thing."""
        now = _now()
        self._refused_since = now if self._refused_since is None else self._refused_since
        self.trouble = error.message
        was_away = self.listed_at is not None and self._down_since is not None
        patience_seconds = min(REFUSED_SECONDS, self._unreachable_seconds)
        if now - self._refused_since >= patience_seconds or not (self._was_open or was_away):
            raise error

    def _note_trouble(self, error: UnavailableError) -> None:
        """Remember since when the server has not answered; raise when that is too long."""
        now = _now()
        self._down_since = now if self._down_since is None else self._down_since
        self.trouble = error.message
        down_seconds = now - self._down_since
        if down_seconds >= self._unreachable_seconds:
            raise UnavailableError(
                f"{self._kind.kind} objects",
                f"given up after {down_seconds:.0f} s without an answer; the last error was: "
                f"{error.message}",
                status=error.status,
                hint=error.hint,
            ) from error


def _now() -> float:
    return asyncio.get_running_loop().time()


def _delay_seconds(setbacks: int) -> float:
    """Return how long to wait after so many setbacks in a row; half of it is chance."""
    if setbacks == 0:
        return 0.0
    ceiling = min(_FIRST_DELAY_SECONDS * 2.0 ** (setbacks - 1), _LONGEST_DELAY_SECONDS)
    return jittered(ceiling)
