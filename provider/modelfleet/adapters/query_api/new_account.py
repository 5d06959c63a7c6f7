"""A new account: an entry for the file, with a password and a key that nobody else knows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from modelfleet.adapters.query_api.account_file import accounts_in
from modelfleet.adapters.query_api.passwords import PasswordHash, sha512_of

_PASSWORD_BYTES = 24
_SECRET_BYTES = 32
_KEY_ID_BYTES = 10


@dataclass(frozen=True)
class NewAccount:
    """What is to stand in the file, and the password, which stands nowhere."""

    entry: str = field(repr=False)
    password: str = field(repr=False)
    key_id: str
    key_secret: str = field(repr=False)


def new_account(
    name: str,
    *,
    namespace: str,
    workspaces: Sequence[str],
    may_write: bool,
    may_read_credentials: bool = False,
) -> NewAccount:
    """Return a new account.

    Raises:
        ConfigError: the file would not take it, as when its name has a space.
    """
    said: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        **({"workspaces": list(workspaces)} if workspaces else {}),
        "may_write": may_write,
        **({"may_read_credentials": True} if may_read_credentials else {}),
    }
    accounts_in(yaml.safe_dump({"accounts": [said]}).encode(), source=f"--account {name}")
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    key_id, key_secret = f"MF{secrets.token_hex(_KEY_ID_BYTES)}", secrets.token_hex(_SECRET_BYTES)
    made = {
        "password_hash": PasswordHash.made(sha512_of(password)).text,
        "access_keys": [{"id": key_id, "secret": key_secret}],
    }
    text = yaml.safe_dump([{**said, **made}], sort_keys=False, width=200)
    return NewAccount(text, password, key_id, key_secret)
