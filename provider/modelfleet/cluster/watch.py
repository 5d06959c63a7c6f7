"""A live copy of one kind of object: one LIST and one WATCH, however many read it or wait for it.

Waiting costs no requests: an event wakes those who asked for its key and nobody else. How the copy
is kept over everything that breaks is ``follow``'s part, what of it is newer ``mirror``'s; what the
objects mean is known to neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from modelfleet.cluster.client import PAGE_SIZE, Client, Listing, WatchEvent
from modelfleet.cluster.follow import Follower
from modelfleet.cluster.mirror import Key, Mirror, key_of
from modelfleet.cluster.objects import Kind, Object
from modelfleet.cluster.slim import whole
from modelfleet.errors import UnavailableError

UNREACHABLE_SECONDS: Final = 60.0
"""How long a server may not answer before those who wait are told so."""

SETTLE_SECONDS: Final = 0.05
"""How long a read lets the watch catch up: several times what an event takes to arrive."""

_CLOSING_SECONDS: Final = 1.0


class SharedWatch:
    """The live copy. Started by the first who needs it; belongs to the event loop of that one.

    ``slim`` says what is kept of an object, ``page_size`` how many a LIST asks for at once, and
    ``on_touched`` is told under which keys anything changed. The objects handed out are the copy's
    own: read only.
    """

    def __init__(
        self,
        client: Client,
        kind: Kind,
        *,
        label_selector: str = "",
        slim: Callable[[Object], Object] = whole,
        page_size: int = PAGE_SIZE,
        unreachable_seconds: float = UNREACHABLE_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
        on_touched: Callable[[Iterable[Key]], None] | None = None,
    ) -> None:
        self.kind = kind
        self._on_touched = on_touched
        self._slim = slim
        self._settle_seconds = settle_seconds
        self._mirror = Mirror()
        self._interested: dict[Key, set[asyncio.Event]] = {}
        self._turn = asyncio.Event()
        self._failure: Exception | None = None
        self._ended = 0.0
        self._task: asyncio.Task[None] | None = None
        self._new_follower = partial(
            Follower,
            client,
            kind,
            self,
            label_selector=label_selector,
            slim=slim,
            page_size=page_size,
            unreachable_seconds=unreachable_seconds,
        )
        self._follower = self._new_follower()

    @property
    def synced(self) -> bool:
        """Whether the copy has been complete once, since it was begun or begun anew."""
        return self._follower.listed_at is not None

    @property
    def is_filled(self) -> bool:
        """Whether the copy has been complete once, whatever has happened since."""
        return self._mirror.version > 0

    @property
    def is_open(self) -> bool:
        """Whether the server tells of changes as they happen, at this moment."""
        return self._follower.open_since is not None

    @property
    def has_ended(self) -> bool:
        """Whether it was given up, or refused: it is begun anew by whoever starts it."""
        return self._failure is not None

    @property
    def missing_since(self) -> float | None:
        """Since when changes may have been missed, by the loop's clock; None while it is open."""
        return self._follower.missing_since

    @property
    def trouble(self) -> str:
        """Why the server cannot be asked at the moment, ``""`` while it can."""
        return self._follower.trouble

    def objects(self, key: Key) -> tuple[Object, ...]:
        """Return the objects of one resource as last heard of."""
        return self._mirror.objects(key)

    def everything(self) -> tuple[Object, ...]:
        """Return all objects as last heard of."""
        return self._mirror.everything()

    def observe(self, obj: Object) -> None:
        """Take in what a write of this process returned, without waiting for the watch to tell.

        Nothing is kept where nobody has asked for a copy: its first LIST will show it anyway.
        """
        if self._task is not None:
            self._wake(self._mirror.written(self._slim(obj)))

    def observe_gone(self, obj: Object) -> None:
        """Take in that ``obj``, as last read, is not there any more."""
        self._wake(self._mirror.removed(obj))

    async def fresh(self) -> None:
        """Return once the copy shows what had happened before this call.

        That is so when a LIST that began after the call is complete; or else when the watch is open
        and has had ``settle_seconds``, since the call or since it was opened, to deliver what was
        under way. So any number of reads cost one LIST and one WATCH, and while the watch is broken
        nothing passes for fresh: the call waits until it is open again or the server is given up.

        What this process has written itself is never missed once :meth:`observe` was told of it.
        *Not* promised: a change made elsewhere in the moment before the call is missed if the
        server takes longer than ``settle_seconds`` to deliver it, and a connection that died
        without a sign passes for open until the client finds it silent (bookmarks come every
        minute).

        Raises UnavailableError when the server cannot be reached for a minute, ForbiddenError when
        it does not let us list.
        """
        clock = asyncio.get_running_loop().time
        called_at = clock()
        self.start()
        while True:
            self.raise_failure()
            follower, turn = self._follower, self._turn
            if follower.listed_at is not None and follower.listed_at >= called_at:
                return
            rest_seconds: float | None = None
            if follower.open_since is not None:
                settled_at = max(called_at, follower.open_since) + self._settle_seconds
                rest_seconds = settled_at - clock()
                if rest_seconds <= 0:
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_seconds):
                    await turn.wait()

    @contextmanager
    def interest(self, key: Key, changed: asyncio.Event) -> Iterator[None]:
        """Set ``changed`` on every change under ``key``, on the first sync and on failure."""
        self._interested.setdefault(key, set()).add(changed)
        self.start()
        try:
            yield
        finally:
            self._interested[key].discard(changed)
            if not self._interested[key]:
                del self._interested[key]

    async def until_gone(self, obj: Object, *, timeout_seconds: float) -> Object | None:
        """Wait until ``obj``, by its UID, is no more. Return what is left of it at the timeout.

        Raises UnavailableError and ForbiddenError as :meth:`fresh` does.
        """
        key, uid, changed = key_of(obj), obj["metadata"]["uid"], asyncio.Event()
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        with self.interest(key, changed):
            self.observe(obj)
            while True:
                changed.clear()
                self.raise_failure()
                left = [each for each in self.objects(key) if each["metadata"]["uid"] == uid]
                if self.synced and not left:
                    return None
                try:
                    async with asyncio.timeout_at(deadline):
                        await changed.wait()
                except TimeoutError:
                    return left[0] if left else obj

    def start(self, *, rest_seconds: float = 0.0) -> None:
        """See to it that the copy is kept; after a failure, from the beginning.

        A copy that has ended is let rest for ``rest_seconds`` first: whoever calls often must not
        have a server that says no be asked as often.
        """
        loop = asyncio.get_running_loop()
        if self._task is None or (self._task.done() and loop.time() >= self._ended + rest_seconds):
            former, self._failure = self._follower, None
            self._follower = self._new_follower(
                missing_since=former.missing_since, trouble=former.trouble
            )
            name = f"watch {self.kind.plural}"
            self._task = loop.create_task(self._keep(), name=name)

    def raise_failure(self) -> None:
        """Raise what ended the copy, if anything did."""
        if self._failure is not None:
            # One error for many who wait: without this each of them would add to its traceback.
            raise self._failure.with_traceback(None)

    async def aclose(self) -> None:
        """End the watch. Whoever still waits gets UnavailableError."""
        if self._task is not None:
            # The HTTP library leaves a connection open that is cancelled while it is being made.
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_SECONDS):
                    while self._follower.reaching and not self._task.done():
                        await self._turn.wait()
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail(UnavailableError(f"{self.kind.kind} objects", "the watch was closed"))

    async def _keep(self) -> None:
        try:
            await self._follower.run()
        except Exception as error:  # whatever it is: those who wait must hear of it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._ended = asyncio.get_running_loop().time()
        self._wake(tuple(self._interested))
        self.look_again()

    # What a follower calls, as its sink.

    def take_list(self, listing: Listing) -> None:
        """Take in a complete list; the first one is news for everybody."""
        version = int(listing.resource_version)
        touched = self._mirror.listed(listing.items, version=version)
        self._wake(touched if self.synced else (*touched, *self._interested))

    def take_event(self, event: WatchEvent) -> None:
        """Take in one event of the watch."""
        if event.type == "DELETED":
            self._wake(self._mirror.deleted(event.object))
        elif event.type != "BOOKMARK":
            self._wake(self._mirror.changed(self._slim(event.object)))

    def look_again(self) -> None:
        """Have readers look again whether the copy is fresh, or lost."""
        self._turn.set()
        self._turn = asyncio.Event()

    def _wake(self, keys: Collection[Key]) -> None:
        if self._on_touched is not None:
            self._on_touched(keys)
        for key in keys:
            for changed in self._interested.get(key, ()):
                changed.set()
