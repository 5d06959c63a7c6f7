"""Who may call, and what for: accounts of a mounted file, which is read again when it changes.

Passwords are kept as slow hashes. Secrets of access keys cannot be: an HMAC is verified with the
secret itself, so the file is one to mount from a Secret. Never logs either.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from modelfleet.adapters.query_api.account_file import (
    AccountForm,
    AccountsForm,
    read_accounts,
)
from modelfleet.adapters.query_api.file_changes import FileChanges
from modelfleet.adapters.query_api.passwords import DEFAULT_COST, PasswordHash
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.agentrun.scope import DEFAULT_OWNER, Scope
from modelfleet.errors import ConfigError

AT_ONCE: Final = 2
"""Passwords that are verified at once: each takes a core and 32 MiB."""

WAITING: Final = 20
"""Logins that may wait for it."""

_LOG: Final = logging.getLogger("modelfleet.serve")


@dataclass(frozen=True)
class Account:
    """Somebody who may call.

    Resources are made and looked up by name in ``namespace`` of ``cluster``, as declarations call
    it; queries see ``namespaces``, and proxies may name their services, None for all.
    ``workspaces`` are those whose resources are seen and written, None for all.
    ``password_version`` becomes another one with its password, so that sessions can end with it.
    """

    name: str
    owner: str = DEFAULT_OWNER
    namespace: str = "default"
    cluster: str = "default"
    namespaces: tuple[str, ...] | None = ("default",)
    workspaces: tuple[str, ...] | None = None
    may_write: bool = False
    may_read_credentials: bool = False
    password_version: str = field(default="", repr=False)

    @property
    def scope(self) -> Scope:
        """Return its view of the cluster."""
        return Scope(
            owner=self.owner,
            namespace=self.namespace,
            cluster=self.cluster,
            workspaces=self.workspaces,
            namespaces=self.namespaces,
        )


@dataclass(frozen=True)
class AccessKey:
    """A key that requests may be signed with now, and whose it is."""

    account: Account
    secret: str = field(repr=False)


@dataclass(frozen=True)
class _Book:
    """One version of the file, as it is looked things up in."""

    forms: AccountsForm
    accounts: Mapping[str, Account]
    hashes: Mapping[str, PasswordHash]
    keys: Mapping[str, tuple[str, str, float | None]] = field(repr=False)


class Accounts:
    """The accounts that there are at this moment."""

    def __init__(
        self,
        forms: AccountsForm,
        *,
        read_only: bool = False,
        cluster: str = "default",
        now: Callable[[], float] = time.time,
    ) -> None:
        """``read_only`` lets none of them write; ``cluster`` is what that of all is called."""
        self._read_only = read_only
        self._cluster = cluster
        self._now = now
        self._book = self._booked(forms)
        self._path: Path | None = None
        self._changes = FileChanges()
        self._nobody = PasswordHash(DEFAULT_COST, secrets.token_bytes(16), secrets.token_bytes(32))
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self.trouble = ""

    @classmethod
    def read(cls, path: Path, *, read_only: bool = False, cluster: str = "default") -> Accounts:
        """Return the accounts of a file.

        Raises:
            ConfigError: it cannot be read, or is wrong.
        """
        changes = FileChanges(path)
        accounts = cls(read_accounts(path), read_only=read_only, cluster=cluster)
        accounts._path, accounts._changes = path, changes
        return accounts

    def __len__(self) -> int:
        return len(self._book.accounts)

    @property
    def namespaces(self) -> frozenset[str]:
        """Return where accounts make their resources."""
        return frozenset(account.namespace for account in self._book.accounts.values())

    def named(self, name: str) -> Account | None:
        """Return the account of that name, None where there is none that may call."""
        return self._book.accounts.get(name)

    def by_key(self, key_id: str) -> AccessKey | None:
        """Return the access key of that id, None where there is none that is valid now."""
        found = self._book.keys.get(key_id)
        if found is None:
            return None
        name, secret, expires_at = found
        account = self.named(name)
        if account is None or (expires_at is not None and expires_at <= self._now()):
            return None
        return AccessKey(account, secret)

    async def verified(self, name: str, *, password_sha512: str) -> Account | None:
        """Return the account whose password has that SHA-512, in hex.

        Takes as long where there is no such account.

        Raises:
            RefusedError: too many ask at once.
        """
        if self._waiting >= AT_ONCE + WAITING:
            raise RefusedError(
                503, "Busy", "Too many log in at once.", headers={"Retry-After": "1"}
            )
        book = self._book
        known = book.hashes.get(name)
        self._waiting += 1
        try:
            async with self._turns:
                candidate = known or self._stand_in(name)
                fits = await asyncio.to_thread(candidate.fits, password_sha512)
        finally:
            self._waiting -= 1
        return book.accounts.get(name) if fits and known is not None else None

    async def refresh(self) -> None:
        """Read the file again if it has changed; one that is wrong changes nothing but the log."""
        if self._path is None or not self._changes.seen():
            return
        try:
            forms = await asyncio.to_thread(read_accounts, self._path)
        except ConfigError as error:
            self.trouble = str(error)
            _LOG.error("The accounts stay as they were. %s", error)
            return
        self.trouble = ""
        self._book = self._booked(forms)
        _LOG.info("The accounts were read again: %d.", len(self))

    def _stand_in(self, name: str) -> PasswordHash:
        """Return a hash that takes as long as the account's would, if there were one."""
        hashes = list(self._book.hashes.values())
        if not hashes:
            return self._nobody
        return hashes[hashlib.sha256(name.encode()).digest()[0] % len(hashes)]

    def _booked(self, forms: AccountsForm) -> _Book:
        alive = [form for form in forms.accounts if not form.disabled]
        return _Book(
            forms,
            accounts={form.name: self._account(form) for form in alive},
            hashes={
                form.name: PasswordHash.read(form.password_hash)
                for form in alive
                if form.password_hash is not None
            },
            keys={
                key.id: (
                    form.name,
                    key.secret,
                    key.expires_at.timestamp() if key.expires_at else None,
                )
                for form in alive
                for key in form.access_keys
                if not key.disabled
            },
        )

    def _account(self, form: AccountForm) -> Account:
        version = form.password_hash or ""
        seen = (form.namespace,) if form.namespaces is None else form.namespaces
        return Account(
            name=form.name,
            owner=form.owner,
            namespace=form.namespace,
            cluster=self._cluster,
            namespaces=None if seen == "*" else seen,
            workspaces=None if form.workspaces == "*" else form.workspaces,
            may_write=form.may_write and not self._read_only,
            may_read_credentials=form.may_read_credentials,
            password_version=hashlib.sha256(version.encode()).hexdigest()[:16],
        )
