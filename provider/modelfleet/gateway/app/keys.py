"""Who calls: the key of a request against the hashes of keys.json and the inbound credential.

Keys come, go and expire without a restart. A key is only ever hashed, never kept, printed or
repeated.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .access import Access
from .errors import incorrect_api_key, missing_api_key
from .watched import WatchedFile

INBOUND_NAME = "inbound"
"""What records call who comes with the credential of ``credential_name``."""


@dataclass(frozen=True)
class Caller:
    """Who calls: the name of the key, which is empty for anonymous callers, and its rights."""

    name: str
    access: Access
    limits: Mapping[str, int]
    expires_at: float | None = None


ANONYMOUS = Caller("", Access(), {})
_INBOUND = Caller(INBOUND_NAME, Access(), {})


class Keyring:
    """The keys that are in force now. ``inbound_file`` is None where none is declared."""

    def __init__(self, keys_file: Path, *, inbound_file: Path | None, requires_key: bool) -> None:
        self._keys: WatchedFile[Mapping[bytes, Caller]] = WatchedFile(
            keys_file, _callers, absent={}
        )
        self._inbound = (
            WatchedFile[Mapping[bytes, Caller]](inbound_file, _inbound, absent={})
            if inbound_file is not None
            else None
        )
        self._requires_key = requires_key

    @property
    def is_read(self) -> bool:
        """Whether what is mounted could be read. Keys may well be absent."""
        self._known()
        return self._keys.is_sound and (self._inbound is None or self._inbound.is_sound)

    def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Who sends ``headers``. Raises GatewayError: missing_api_key, incorrect_api_key."""
        given = [value for name, value in headers if name == b"authorization"]
        known = self._known()
        if not self._requires_key and not (given and any(known)):
            return ANONYMOUS
        # Two of them are ambiguous: whoever stands in front may have checked the other one.
        key = _bearer(given[0]) if len(given) == 1 else b""
        if not key:
            raise missing_api_key()
        digest = hashlib.sha256(key).digest()
        for entries in known:
            caller = entries.get(digest)
            if caller is not None:
                if caller.expires_at is not None and caller.expires_at <= time.time():
                    break
                return caller
        raise incorrect_api_key()

    def _known(self) -> tuple[Mapping[bytes, Caller], ...]:
        keys = self._keys.current()
        return (keys,) if self._inbound is None else (keys, self._inbound.current())


def _bearer(value: bytes) -> bytes:
    scheme, _, key = value.strip().partition(b" ")
    key = key.strip()
    return key if scheme.lower() == b"bearer" and b" " not in key else b""


def _callers(content: bytes) -> Mapping[bytes, Caller]:
    document = json.loads(content)
    if document["version"] != 1:
        raise ValueError("unknown version")
    return {bytes.fromhex(digest): _caller(raw) for digest, raw in document["keys"].items()}


def _caller(raw: Mapping[str, Any]) -> Caller:
    expires_at = raw["expires_at"]
    return Caller(
        raw["name"],
        Access(allow=tuple(raw["models"]["allow"]), deny=tuple(raw["models"]["deny"])),
        raw["limits"],
        None if expires_at is None else datetime.fromisoformat(expires_at).timestamp(),
    )


def _inbound(content: bytes) -> Mapping[bytes, Caller]:
    key = content.strip()
    return {hashlib.sha256(key).digest(): _INBOUND} if key else {}
