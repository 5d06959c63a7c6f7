"""Who is called: what the classes that inference is mixed into tell it, by ``_called``."""

from __future__ import annotations

from dataclasses import dataclass, field

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
