"""What inference asks of the class that it is mixed into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from modelfleet.client.config import Config


@dataclass(frozen=True)
class Called:
    """One service or proxy that is called: ``kind`` is "ModelService" or "ModelProxy".

    ``config`` is all that was said about this call: the object's own Config, the call's over it.
    ``provider`` is what was declared, None where nothing was. ``holder`` is the open client whose
    connection is used, if any.
    """

    kind: str
    name: str
    namespace: str
    config: Config
    provider: str | None = None
    holder: object = field(default=None, repr=False, compare=False)


class HasInference(Protocol):
    """What ``Inference`` is mixed into: ``ModelService`` and ``ModelProxy``."""

    def _called(self, config: Config | None) -> Called:
        """Return who is called, with ``config`` over the object's own.

        Raises ValueError where it has no name.
        """
