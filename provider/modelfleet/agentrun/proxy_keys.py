"""Callers' keys over an update by somebody who does not have them: by their hashes alone. Pure.

``gateway/generated_keys.py`` says the same for programs, whose state has the keys themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from modelfleet.gateway.generated_keys import new_key
from modelfleet.gateway.keys_file import KeyEntries, KeyEntry, sha256_of
from modelfleet.render.record_spec import EMPTY
from modelfleet.spec.api_keys import ApiKey
from modelfleet.spec.proxy import ModelProxySpec


@dataclass(frozen=True)
class ProxyKeys:
    """What a gateway is to know beyond its spec, and, by name, the keys ``made`` just now."""

    entries: KeyEntries = ()
    made: Mapping[str, str] = field(default_factory=dict, repr=False)


def proxy_keys_of(
    spec: ModelProxySpec,
    *,
    prior: ModelProxySpec | None = None,
    before: KeyEntries = (),
    now: datetime | None = None,
    make: Callable[[], str] = new_key,
) -> ProxyKeys:
    """Return the keys of ``spec``, given what was in force ``before``, for ``prior``.

    A declared key that ``spec`` does not hold stays. A generated one stays until another
    ``rotation`` is declared; it is then good for ``overlap_seconds``, and another one is made.
    """
    moment = now or datetime.now(UTC)
    entries: list[KeyEntry] = []
    made: dict[str, str] = {}
    for name, declared in spec.api_keys.items():
        own = [each for each in before if each.name == name and not _is_over(each, moment)]
        if declared.generate is None:
            entries += own if _is_kept(declared) else ()
            continue
        rotation = _rotation(prior, name)
        present = [each for each in own if each.expires_at is None and rotation is not None]
        entries += (each for each in own if each.expires_at is not None)
        if present and rotation == declared.generate.rotation:
            entries += present
            continue
        if declared.generate.overlap_seconds:
            until = _text(moment + timedelta(seconds=declared.generate.overlap_seconds))
            entries += (replace(each, expires_at=until) for each in present)
        made[name] = make()
        entries.append(KeyEntry(name, sha256_of(made[name])))
    return ProxyKeys(tuple(entries), made)


def _rotation(prior: ModelProxySpec | None, name: str) -> int | None:
    """Return the rotation in force, None where the key was not generated."""
    was = prior.api_keys.get(name) if prior else None
    return was.generate.rotation if was is not None and was.generate is not None else None


def _is_kept(declared: ApiKey) -> bool:
    return declared.key is not None and declared.key.get_secret_value() == EMPTY


def _is_over(entry: KeyEntry, moment: datetime) -> bool:
    return entry.expires_at is not None and datetime.fromisoformat(entry.expires_at) <= moment


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
