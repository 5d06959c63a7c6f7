"""The file of accounts: what may stand in it, and what is wrong with one. Pure but for reading.

::

    accounts:
      - name: ci
        namespace: models
        workspaces: [team-a]
        may_write: true
        password_hash: scrypt$…
        access_keys: [{id: MF…, secret: …, expires_at: 2027-01-01T00:00:00Z}]

Messages name the field and never a value: half of them are secrets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from modelfleet.adapters.query_api.passwords import PasswordHash
from modelfleet.agentrun.scope import DEFAULT_OWNER
from modelfleet.errors import ConfigError

MOST_BYTES: Final = 4 * 1024 * 1024

Name = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[\x21-\x7e]+$")]
All = Literal["*"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AccessKeyForm(_Form):
    """One key that requests are signed with."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{8,128}$")]
    secret: Annotated[str, StringConstraints(min_length=16, max_length=512)] = Field(repr=False)
    expires_at: AwareDatetime | None = None
    disabled: bool = False


class AccountForm(_Form):
    """One account."""

    name: Name
    owner: Name = DEFAULT_OWNER
    namespace: Name = "default"
    namespaces: All | Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Those that queries see, and whose services proxies may name; unset = its own, "*" = all."""
    workspaces: All | Annotated[tuple[Name, ...], Field(min_length=1)] = "*"
    may_write: bool = False
    may_read_credentials: bool = False
    disabled: bool = False
    password_hash: str | None = Field(None, repr=False)
    access_keys: tuple[AccessKeyForm, ...] = ()

    @field_validator("password_hash")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            PasswordHash.read(text)
        return text


class AccountsForm(_Form):
    """The file."""

    accounts: tuple[AccountForm, ...]

    @model_validator(mode="after")
    def _distinct(self) -> AccountsForm:
        names, ids = set(), set()
        for index, account in enumerate(self.accounts):
            if account.name in names:
                raise ValueError(f"accounts[{index}].name is that of another account as well")
            names.add(account.name)
            for place, key in enumerate(account.access_keys):
                if key.id in ids:
                    raise ValueError(
                        f"accounts[{index}].access_keys[{place}].id is that of another key as well"
                    )
                ids.add(key.id)
        return self


def read_accounts(path: Path) -> AccountsForm:
    """Read a file of accounts.

    Raises:
        ConfigError: it cannot be read, or is wrong; every field that is, is named.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"accounts file {path}: cannot be read ({error.strerror}).",
            hint="modelfleet serve --account NAME prints an entry for it.",
        ) from None
    if len(text) > MOST_BYTES:
        raise ConfigError(f"accounts file {path}: is larger than {MOST_BYTES} bytes.")
    return accounts_in(text, source=f"accounts file {path}")


def accounts_in(text: bytes, *, source: str) -> AccountsForm:
    """Return the accounts that ``text``, YAML, declares.

    Raises:
        ConfigError: it is wrong; ``source`` is what messages call it.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(text, Loader=loader)  # noqa: S506 - a safe one, in C where there is
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{source}: is not YAML{where}.") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{source}: is not YAML.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{source}: must be a map with the list `accounts`.")
    try:
        return AccountsForm.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{source}: {'; '.join(_problems(error))}.") from None


def _problems(error: ValidationError) -> list[str]:
    told: list[str] = []
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        # Of a field that may have one of two forms, both are told; a user needs to hear once.
        path = _path(tuple(part for part in each["loc"] if part not in _BRANCHES))
        reason = "is no such field" if each["type"] == "extra_forbidden" else each["msg"]
        reason = reason.removeprefix("Value error, ")
        told.append(f"{path}: {reason}" if path else reason)
    return list(dict.fromkeys(told))


_BRANCHES: Final = ("literal['*']", "constrained-tuple", "tuple[constrained-str, ...]", "nullable")


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path
