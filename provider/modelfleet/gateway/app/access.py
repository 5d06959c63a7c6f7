"""Which models a key may use. Pure.

Deny globs beat allow globs, and without allow globs everything not denied is allowed. What is
checked is the access name that a caller asks for: where that one's upstreams fail and a fallback
answers, no grant of the fallback's own is needed, as it is part of what the access name is.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache
from typing import Literal

Verdict = Literal["allowed", "denied", "not granted"]


@dataclass(frozen=True)
class Access:
    """The globs of one key, in which ``*`` also stands for slashes."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def verdict(self, access_name: str) -> Verdict:
        """What the key may do with ``access_name``."""
        if any(_pattern(glob).match(access_name) for glob in self.deny):
            return "denied"
        if not self.allow or any(_pattern(glob).match(access_name) for glob in self.allow):
            return "allowed"
        return "not granted"

    @cached_property
    def fingerprint(self) -> str:
        """The same for keys with the same rights: what a cached reply may be shared between."""
        rights = json.dumps([sorted(self.allow), sorted(self.deny)])
        return hashlib.sha256(rights.encode()).hexdigest()[:16]


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))
