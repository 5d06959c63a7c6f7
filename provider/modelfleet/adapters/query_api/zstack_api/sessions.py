"""Sessions: who has logged in, for how long, and no more of them than there may be. No I/O.

A session's UUID is made here and nowhere else, and only its hash is kept. It ends with its time,
with a logout, and with any change of the account it was opened for.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from modelfleet.adapters.query_api.accounts import Account, Accounts
from modelfleet.adapters.query_api.zstack_api.error_codes import ApiError, Code, ErrorCode


@dataclass(frozen=True)
class Session:
    """One login. Times are seconds since 1970."""

    account: Account
    created_at: float
    expires_at: float


@dataclass(frozen=True)
class Opened:
    """A session that was opened just now, with the UUID that only its owner has."""

    uuid: str = field(repr=False)
    session: Session


class Sessions:
    """The sessions of one process, at most ``capacity``, each for ``seconds``."""

    def __init__(
        self,
        accounts: Accounts,
        *,
        capacity: int,
        seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = accounts
        self._capacity = capacity
        self._seconds = seconds
        self._now = now
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, account: Account) -> Opened:
        """Open a session for whoever has proved to be ``account``.

        Raises:
            ApiError: there are as many as there may be, of this account or of all.
        """
        self._forget_the_ended()
        of_account = Counter(each.account.name for each in self._sessions.values())[account.name]
        share = max(1, self._capacity // max(1, len(self._accounts)))
        if len(self._sessions) >= self._capacity or of_account >= share:
            raise ApiError(
                ErrorCode(
                    Code.SESSION_CAP,
                    f"account[{account.name}] has {of_account} sessions of {share} that it may "
                    f"have, and all accounts have {len(self._sessions)} of {self._capacity}",
                    "Log out of those that are not used any more, or wait until they expire.",
                )
            )
        uuid, now = secrets.token_hex(16), self._now()
        session = Session(account, created_at=now, expires_at=now + self._seconds)
        self._sessions[_kept(uuid)] = session
        return Opened(uuid, session)

    def account_of(self, uuid: str) -> Account | None:
        """Return whose session it is, None where there is none, or none any more."""
        session = self._sessions.get(_kept(uuid))
        if session is None:
            return None
        if self._has_ended(session):
            del self._sessions[_kept(uuid)]
            return None
        return session.account

    def close(self, uuid: str) -> Account | None:
        """End a session; return whose it was, None where there was none."""
        account = self.account_of(uuid)
        self._sessions.pop(_kept(uuid), None)
        return account

    def _has_ended(self, session: Session) -> bool:
        account = session.account
        return session.expires_at <= self._now() or self._accounts.named(account.name) != account

    def _forget_the_ended(self) -> None:
        self._sessions = {
            kept: each for kept, each in self._sessions.items() if not self._has_ended(each)
        }


def _kept(uuid: str) -> str:
    return hashlib.sha256(uuid.encode()).hexdigest()
