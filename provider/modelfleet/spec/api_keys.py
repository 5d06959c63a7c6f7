"""Who may call a ModelProxy: keys by name, what each may use, and how much of it.

A change of keys reaches running pods as a file: nothing restarts. Shapes only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from modelfleet.spec.fields import ChangeClass, Int, SpecModel, declared, text

IN_PLACE = ChangeClass.IN_PLACE

KeyName = Annotated[
    str,
    text(
        r"^[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?$",
        says="must be letters, digits, dashes, dots and underscores",
        max_length=63,
    ),
]
Glob = Annotated[
    str,
    text(
        r"^[^\s]+$",
        says="must be an access name, in which * stands for any characters",
        max_length=256,
    ),
]


def _time(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be a time with its zone, such as 2027-01-31T12:00:00Z")
    return value


Time = Annotated[str, AfterValidator(_time)]
"""A moment as RFC 3339, with its zone."""


class KeyModels(SpecModel):
    """Which models a key may use. What is denied is denied, whatever is allowed."""

    allow: tuple[Glob, ...] = declared(
        (), change=IN_PLACE, doc="Access names, with * for any characters; empty = all."
    )
    deny: tuple[Glob, ...] = declared(
        (), change=IN_PLACE, doc="Access names that may not be used; wins over allow."
    )


class KeyLimits(SpecModel):
    """How much of everything one key may use in each window of the clock."""

    rpm: Int | None = declared(None, change=IN_PLACE, doc="Requests per minute.", ge=1)
    tps: Int | None = declared(None, change=IN_PLACE, doc="Tokens per second.", ge=1)
    tpm: Int | None = declared(None, change=IN_PLACE, doc="Tokens per minute.", ge=1)
    tph: Int | None = declared(None, change=IN_PLACE, doc="Tokens per hour.", ge=1)
    tpd: Int | None = declared(None, change=IN_PLACE, doc="Tokens per day.", ge=1)
    token_quota: Int | None = declared(
        None, change=IN_PLACE, doc="Tokens altogether, for the life of the key; needs Redis.", ge=1
    )


class GeneratedKey(SpecModel):
    """A key that is made here. It is an output, `generated_keys`, and stays the same."""

    rotation: Int = declared(
        1, change=IN_PLACE, doc="Another number makes another key.", ge=1, le=1_000_000
    )
    overlap_seconds: Int = declared(
        86_400,
        change=IN_PLACE,
        doc="How long the former key is good after a rotation.",
        ge=0,
        le=31_536_000,
    )


class ApiKey(SpecModel):
    """One caller: its key, what it may use and how much of it."""

    key: SecretStr | None = declared(
        None, change=IN_PLACE, doc="The key, at least 16 characters. Always treated as a secret."
    )
    generate: GeneratedKey | None = declared(
        None, change=IN_PLACE, doc="Have the key made; it is an output then."
    )
    expires_at: Time | None = declared(
        None, change=IN_PLACE, doc="Moment from which the key is refused, as RFC 3339."
    )
    models: KeyModels = declared(KeyModels(), change=IN_PLACE, doc="Which models it may use.")
    limits: KeyLimits = declared(KeyLimits(), change=IN_PLACE, doc="How much it may use.")
