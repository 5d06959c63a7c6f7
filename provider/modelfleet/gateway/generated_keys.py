"""Keys that are made here: which stay, which are new, and which are good for a while yet. Pure.

A generated key is known to the program's state alone; a cluster has its hash. It stays the same
until another ``rotation`` is declared; its former one is then good for ``overlap_seconds``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from modelfleet.gateway.keys_file import KeyEntries, KeyEntry, sha256_of
from modelfleet.spec.api_keys import ApiKey
from modelfleet.spec.proxy import ModelProxySpec


@dataclass(frozen=True)
class GeneratedKeys:
    """``keys`` in plain text by name, and the ``former`` ones that rotations have left."""

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    former: KeyEntries = ()

    @property
    def entries(self) -> KeyEntries:
        """Return what a gateway is to know of them: hashes, no key."""
        present = [KeyEntry(name, sha256_of(key)) for name, key in sorted(self.keys.items())]
        return (*present, *self.former)


def new_key() -> str:
    """Return a random key of 256 bits, in the form that OpenAI's clients know."""
    return f"sk-{secrets.token_urlsafe(32)}"


def generated_keys_of(
    spec: ModelProxySpec,
    *,
    prior: ModelProxySpec | None,
    before: GeneratedKeys,
    now: datetime | None = None,
    make: Callable[[], str] = new_key,
) -> GeneratedKeys:
    """Return the keys that ``spec`` asks to be made, given those ``before``, made for ``prior``.

    A key whose name is not declared any more is dropped, with its former ones.
    """
    moment = now or datetime.now(UTC)
    keys: dict[str, str] = {}
    former = [
        entry
        for entry in before.former
        if _generates(spec.api_keys.get(entry.name)) and not _is_over(entry, moment)
    ]
    for name, declared in spec.api_keys.items():
        if declared.generate is None:
            continue
        key, was = before.keys.get(name), prior.api_keys.get(name) if prior else None
        if key is not None and was is not None and was.generate is not None:
            if was.generate.rotation == declared.generate.rotation:
                keys[name] = key
                continue
            if declared.generate.overlap_seconds:
                until = moment + timedelta(seconds=declared.generate.overlap_seconds)
                former.append(KeyEntry(name, sha256_of(key), _text(until)))
        keys[name] = make()
    return GeneratedKeys(keys, tuple(former))


def _generates(declared: ApiKey | None) -> bool:
    return declared is not None and declared.generate is not None


def _is_over(entry: KeyEntry, moment: datetime) -> bool:
    return entry.expires_at is not None and datetime.fromisoformat(entry.expires_at) <= moment


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
