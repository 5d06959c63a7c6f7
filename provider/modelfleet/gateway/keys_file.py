"""keys.json, which the gateway checks callers' keys against: hashes, and what each key may do.

Mounted from a Secret and read again when it changes, so that keys come and go without a restart.
It has no key in it, and yet belongs into a Secret: it tells who may call. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from modelfleet.gateway.canonical import canonical_text
from modelfleet.spec.api_keys import ApiKey
from modelfleet.spec.proxy import ModelProxySpec

KEYS_FILE: Final = "keys.json"
_VERSION: Final = 1


@dataclass(frozen=True)
class KeyEntry:
    """A key that is not in the spec: one that was generated, or the former one of a rotation.

    ``name`` is that of the declaration it belongs to, ``sha256`` the hash of the key in hex, and
    ``expires_at`` (RFC 3339) the end of a former key, None for one in force.
    """

    name: str
    sha256: str
    expires_at: str | None = None


KeyEntries = Sequence[KeyEntry]


def sha256_of(key: str) -> str:
    """Return the hash by which the gateway knows ``key``.

    Keys are long and random, or at least 16 characters that their owner chose to be hard to guess.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def keys_file_of(spec: ModelProxySpec, *, keys: KeyEntries) -> str:
    """Return the text of keys.json: the declared keys, and of ``keys`` those still declared.

    What a key may do is always what is declared now, also for the former key of a rotation.
    """
    known = {
        entry.sha256: _permissions(entry, spec.api_keys[entry.name])
        for entry in _entries(spec, keys)
    }
    return canonical_text({"version": _VERSION, "keys": dict(sorted(known.items()))})


def entries_in(text: str, *, spec: ModelProxySpec) -> KeyEntries:
    """Return the entries that a text of keys.json was made of, for ``spec``; declared keys too.

    An entry that ends with its declaration counts as one in force, even where the overlap of a
    rotation would have lasted longer: the text tells only which moment is the earlier one.
    """
    known: dict[str, dict[str, Any]] = json.loads(text)["keys"]
    entries = []
    for sha256, permissions in known.items():
        name, ends = permissions["name"], permissions["expires_at"]
        if (declared := spec.api_keys.get(name)) is not None:
            is_in_force = ends == _permissions(KeyEntry(name, sha256), declared)["expires_at"]
            entries.append(KeyEntry(name, sha256, None if is_in_force else ends))
    return tuple(entries)


def _entries(spec: ModelProxySpec, keys: KeyEntries) -> Iterator[KeyEntry]:
    """Yield every entry, and last those that win where two have one key."""
    given = [entry for entry in keys if entry.name in spec.api_keys]
    yield from (entry for entry in given if entry.expires_at is not None)
    yield from (entry for entry in given if entry.expires_at is None)
    for name, declared in sorted(spec.api_keys.items()):
        # Empty where the spec comes from a record, which holds no secrets: not a key to let in.
        if declared.key is not None and (key := declared.key.get_secret_value()):
            yield KeyEntry(name, sha256_of(key))


def _permissions(entry: KeyEntry, declared: ApiKey) -> dict[str, Any]:
    ends = [_utc(end) for end in (entry.expires_at, declared.expires_at) if end is not None]
    return {
        "name": entry.name,
        "expires_at": min(ends).isoformat().replace("+00:00", "Z") if ends else None,
        "models": {"allow": list(declared.models.allow), "deny": list(declared.models.deny)},
        "limits": declared.limits.model_dump(exclude_none=True),
    }


def _utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC)
