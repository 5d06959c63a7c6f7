"""Rules on the keys of a ModelProxy's callers. What they say never holds a key. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.known import known
from modelfleet.spec.rule import Problems, Rule, rule
from modelfleet.spec.tree import UNKNOWN, dotted

_LEAST_CHARACTERS: Final = 16
"""Too many to try out for who can only ask the gateway; a short key is a guessable one."""

_INBOUND: Final = "inbound"
"""The gateway's word for whoever calls with the key of ``credential_name``."""


@rule("api_keys", gaps=True)
def _a_key_is_given_or_made(keys: Any) -> Problems:
    for name, each in known(keys):
        given, made = each["key"], each["generate"]
        if given is None and made is None:
            yield Problem(
                dotted(("api_keys", name)), "declare either key, or generate: {} to have one made"
            )
        elif given is not None and made is not None:
            yield Problem(dotted(("api_keys", name, "generate")), "excludes key; keep one of them")


@rule("api_keys", gaps=True)
def _a_key_is_hard_to_guess_and_can_be_sent(keys: Any) -> Problems:
    for name, each in known(keys):
        key, path = _plain(each["key"]), dotted(("api_keys", name, "key"))
        if key is None:
            continue
        if not all("!" <= character <= "~" for character in key):
            yield Problem(
                path, "must be letters, digits and other visible ASCII characters, without spaces"
            )
        if len(key) < _LEAST_CHARACTERS:
            yield Problem(path, f"must have at least {_LEAST_CHARACTERS} characters")


@rule("api_keys", gaps=True)
def _two_keys_differ(keys: Any) -> Problems:
    first: dict[str, str] = {}
    for name, each in sorted(known(keys), key=lambda item: str(item[0])):
        key = _plain(each["key"])
        if key is not None and (other := first.setdefault(key, name)) != name:
            yield Problem(
                dotted(("api_keys", name, "key")),
                f"is the same key as that of {other}; give each caller its own, or remove one",
            )


@rule("api_keys", "credential_name", gaps=True)
def _usage_tells_keys_apart(keys: Any, credential_name: Any) -> Problems:
    if credential_name in (None, UNKNOWN) or not isinstance(keys, Mapping) or _INBOUND not in keys:
        return
    yield Problem(
        f"api_keys.{_INBOUND}",
        "is what usage calls the key of credential_name; give this one another name",
    )


def _plain(key: Any) -> str | None:
    return None if key is None or key is UNKNOWN else str(key.get_secret_value())


KEY_RULES: Final[tuple[Rule, ...]] = (
    _a_key_is_given_or_made,
    _a_key_is_hard_to_guess_and_can_be_sent,
    _two_keys_differ,
    _usage_tells_keys_apart,
)
