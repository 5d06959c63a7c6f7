"""Slow hashes of passwords, as text that says how it was made, so that it can become slower.

What is hashed is the SHA-512 of a password in lower-case hex: that is what ZStack's clients send,
and so nobody's password itself ever comes here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

_TEXT: Final = re.compile(
    r"scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/=]{16,88})\$([A-Za-z0-9+/=]{40,88})"
)
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_MOST_BYTES: Final = 256 * 1024 * 1024
_MOST_WORK: Final = 2**24


@dataclass(frozen=True)
class Cost:
    """What one hash takes: 128 · ``n`` · ``r`` bytes, that often over ``p`` times."""

    n: int = 2**15
    r: int = 8
    p: int = 3

    @property
    def memory_bytes(self) -> int:
        """The memory that it takes."""
        return 128 * self.n * self.r


DEFAULT_COST: Final = Cost()
"""OWASP's Password Storage Cheat Sheet, the row with 32 MiB: about a quarter of a second."""


@dataclass(frozen=True)
class PasswordHash:
    """A hash and how it was made."""

    cost: Cost
    salt: bytes
    digest: bytes

    @classmethod
    def made(cls, password_sha512: str, *, cost: Cost = DEFAULT_COST) -> PasswordHash:
        """Return a new hash, with a salt of its own."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return cls(cost, salt, _digest(password_sha512, salt, cost))

    @classmethod
    def read(cls, text: str) -> PasswordHash:
        """Return the hash that ``text`` says.

        Raises:
            ValueError: it says none, or one that would take too much; the message holds nothing
                of it.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError("must be scrypt$N$r$p$salt$hash, as modelfleet serve --account prints")
        cost = Cost(*(int(match[number]) for number in (1, 2, 3)))
        power = cost.n > 1 and cost.n & (cost.n - 1) == 0
        if not power or not cost.r or not cost.p:
            raise ValueError("must have an N that is a power of 2, and r and p of at least 1")
        if cost.memory_bytes > _MOST_BYTES or cost.n * cost.r * cost.p > _MOST_WORK:
            raise ValueError("takes more memory or time than a login may")
        try:
            salt, digest = (base64.b64decode(match[number], validate=True) for number in (4, 5))
        except ValueError:
            raise ValueError("has a salt or a hash that is not base64") from None
        return cls(cost, salt, digest)

    @property
    def text(self) -> str:
        """The hash as it stands in a file."""
        salt, digest = (base64.b64encode(each).decode() for each in (self.salt, self.digest))
        return f"scrypt${self.cost.n}${self.cost.r}${self.cost.p}${salt}${digest}"

    def fits(self, password_sha512: str) -> bool:
        """Return whether it is the hash of that; takes its time."""
        return hmac.compare_digest(_digest(password_sha512, self.salt, self.cost), self.digest)


def sha512_of(password: str) -> str:
    """Return the lower-case hex that stands for a password everywhere else."""
    return hashlib.sha512(password.encode()).hexdigest()


def _digest(password_sha512: str, salt: bytes, cost: Cost) -> bytes:
    return hashlib.scrypt(
        password_sha512.lower().encode(),
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=2 * cost.memory_bytes + 1024 * 1024,
        dklen=_HASH_BYTES,
    )
