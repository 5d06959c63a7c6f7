"""How much of large bodies a process holds at a time: callers share its memory.

Of one body several copies are made on its way (as bytes, as values, as LiteLLM's). A few callers
with the largest bodies there may be would otherwise end the process for everybody. Small ones
are never refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from .errors import too_many_large_bodies

LARGE_BYTES = 1024 * 1024
"""From this size on a body counts: more than the longest prompts in text."""


class LargeBodies:
    """``max_bytes`` is of all large bodies together."""

    def __init__(self, max_bytes: int) -> None:
        self._free_bytes = max_bytes

    @contextlib.contextmanager
    def room(self) -> Iterator[Callable[[int], None]]:
        """Gives what to call with the size of one body as it grows; it is let go of at the end.

        The call raises GatewayError (503) where there is no more room.
        """
        held_bytes = 0

        def grow(size: int) -> None:
            nonlocal held_bytes
            if size < LARGE_BYTES:
                return
            more_bytes = size - held_bytes
            if more_bytes > self._free_bytes:
                raise too_many_large_bodies()
            self._free_bytes -= more_bytes
            held_bytes = size

        try:
            yield grow
        finally:
            self._free_bytes += held_bytes
