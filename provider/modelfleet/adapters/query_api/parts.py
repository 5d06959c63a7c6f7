"""What the handlers of both APIs share: the one of each that a process has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.requests import Request

from modelfleet.adapters.query_api.accounts import Account, Accounts
from modelfleet.adapters.query_api.audit import Audit
from modelfleet.adapters.query_api.bounds import Rates, address_of
from modelfleet.adapters.query_api.nonces import Nonces
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.errors import ClusterError, UnavailableError

if TYPE_CHECKING:
    from modelfleet.agentrun.paging import Pages
    from modelfleet.agentrun.registry import Registry
    from modelfleet.catalogue import Catalogue
    from modelfleet.fleet import Fleet

T = TypeVar("T")

LOOK_SECONDS: Final = 2.0
"""How long what was just done may take to be heard of: many times what it takes."""


@dataclass
class Readiness:
    """Whether requests should be sent here: what was there once is, until this process ends."""

    synced: bool = False
    draining: bool = False


@dataclass(frozen=True)
class Parts:
    """The fleet that is served, and what guards it."""

    fleet: Fleet
    registry: Registry
    pages: Pages
    accounts: Accounts
    nonces: Nonces
    audit: Audit
    settings: Settings
    account_rates: Rates
    address_rates: Rates
    failed_logins: Rates
    readiness: Readiness = field(default_factory=Readiness)
    _ones: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        fleet: Fleet,
        *,
        registry: Registry,
        pages: Pages,
        accounts: Accounts,
        settings: Settings | None = None,
    ) -> Parts:
        """Return the parts of one process, all that guards them as ``settings`` say."""
        said = settings or Settings()
        return cls(
            fleet,
            registry,
            pages,
            accounts,
            Nonces(capacity=said.remembered_signatures, skew_seconds=said.skew_seconds),
            Audit(),
            said,
            Rates(said.account_rate),
            Rates(said.address_rate),
            Rates(0.5, burst=20),
        )

    @property
    def catalogue(self) -> Catalogue:
        """All resources as last heard of: what queries are answered from."""
        return self.fleet.catalogue

    async def look(self) -> bool:
        """Take in what happened before this call; return whether that could be known.

        While the API server is away that is not waited for, except by who would know nothing.
        """
        freshness = self.catalogue.freshness
        if freshness.synced and freshness.trouble:
            return False
        try:
            async with asyncio.timeout(LOOK_SECONDS if freshness.synced else None):
                await self.catalogue.fresh()
        except (TimeoutError, ClusterError):
            return False
        return True

    async def require_api_server(self) -> None:
        """Return where a write can be begun.

        Raises:
            UnavailableError: the API server is away: nothing was written.
        """
        if not await self.look():
            raise UnavailableError(
                "the cluster",
                "its API server does not answer at the moment",
                status=503,
                hint="Nothing was written. Try again later.",
            )

    def one(self, make: Callable[[Parts], T]) -> T:
        """Return the one of what a single API keeps for itself, made on first use."""
        if make not in self._ones:
            self._ones[make] = make(self)
        made: T = self._ones[make]
        return made

    async def aclose(self) -> None:
        """Close what the APIs keep for themselves, where it can be."""
        for one in self._ones.values():
            if hasattr(one, "aclose"):
                await one.aclose()

    def admit(self, request: Request, account: Account) -> None:
        """Let a caller in who has proved to be ``account``; call it once per request.

        Raises:
            RefusedError: the account sends more than it may.
        """
        request.state.account = account.name
        self.account_rates.take(account.name, subject=f"account {account.name!r}")

    async def logged_in(
        self, request: Request, name: str, *, password_sha512: str
    ) -> Account | None:
        """Return the account that a name and the SHA-512 of a password, in hex, prove.

        Raises:
            RefusedError: too many attempts, from there or at once.
        """
        address = address_of(request)
        self.failed_logins.require(address, subject="your address")
        account = await self.accounts.verified(name, password_sha512=password_sha512)
        if account is None:
            self.failed_logins.note(address)
        return account
