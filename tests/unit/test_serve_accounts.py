"""Who may call: the file of accounts, its mistakes, its changes, and what proves an account."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from served import PASSWORD, accounts, cheap_hash

from modelfleet.adapters.query_api.account_file import accounts_in
from modelfleet.adapters.query_api.accounts import AT_ONCE, WAITING, Accounts
from modelfleet.adapters.query_api.passwords import Cost, PasswordHash, sha512_of
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.adapters.query_api.server import warn_of_own_namespace
from modelfleet.errors import ConfigError

KEY = {"id": "MFtestkey01", "secret": "not-a-real-secret-of-a-key"}


def file_of(path: Path, *entries: dict[str, Any]) -> Path:
    """Write a file of accounts as a mounted Secret is: a new one takes the place of the old."""
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump({"accounts": list(entries)}))
    return new.replace(path)


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"name": "ci", "may_wirte": True}, "accounts[0].may_wirte: is no such field"),
        ({"may_write": True}, "accounts[0].name: Field required"),
        ({"name": "a b"}, "accounts[0].name:"),
        ({"name": "ci", "workspaces": []}, "accounts[0].workspaces:"),
        ({"name": "ci", "workspaces": None}, "accounts[0].workspaces:"),
        ({"name": "ci", "namespaces": "all"}, "accounts[0].namespaces:"),
        ({"name": "ci", "may_write": "perhaps"}, "accounts[0].may_write:"),
        ({"name": "ci", "password_hash": PASSWORD}, "accounts[0].password_hash: must be scrypt$"),
        (
            {"name": "ci", "access_keys": [{"id": "MFtestkey01"}]},
            "accounts[0].access_keys[0].secret:",
        ),
        (
            {"name": "ci", "access_keys": [{**KEY, "expires_at": "2027-01-01T00:00:00"}]},
            "accounts[0].access_keys[0].expires_at:",
        ),
        (
            {"name": "ci", "access_keys": [KEY, KEY]},
            "accounts[0].access_keys[1].id is that of another key as well",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_mistake_in_the_file_is_told_by_its_field_and_without_its_value(
    entry: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        accounts_in(yaml.safe_dump({"accounts": [entry]}).encode(), source="accounts.yaml")
    assert str(raised.value).startswith("accounts.yaml: ")
    assert named in str(raised.value)
    assert KEY["secret"] not in str(raised.value)
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    "text", [b"", b"- a list", b"accounts: [", b"accounts: 7", b"\xff\xfe\x00"]
)
def test_what_is_no_file_of_accounts_is_refused(text: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^accounts"):
        accounts_in(text, source="accounts.yaml")


def test_two_accounts_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"accounts\[1\]\.name is that of another account"):
        accounts_in(b"accounts: [{name: ci}, {name: ci}]", source="accounts.yaml")


def test_an_account_sees_its_own_namespace_and_all_workspaces_unless_it_says_otherwise() -> None:
    known = accounts({"name": "plain", "namespace": "models"}, {"name": "all", "namespaces": "*"})
    plain, everything = known.named("plain"), known.named("all")
    assert plain and everything
    assert (plain.namespaces, plain.workspaces, plain.may_write) == (("models",), None, False)
    assert everything.namespaces is None
    assert plain.scope.namespace == "models"


def test_secrets_and_hashes_show_in_no_repr() -> None:
    known = accounts({"name": "ci", "password_hash": cheap_hash(), "access_keys": [KEY]})
    shown = repr([known.named("ci"), known.by_key("MFtestkey01"), known._book])
    assert KEY["secret"] not in shown
    assert "scrypt" not in shown


@pytest.mark.parametrize(
    ("account", "key", "is_valid"),
    [
        ({}, {}, True),
        ({}, {"expires_at": "2026-01-02T00:00:00Z"}, True),
        ({}, {"expires_at": "2026-01-01T00:00:00Z"}, False),
        ({}, {"disabled": True}, False),
        ({"disabled": True}, {}, False),
    ],
)
def test_a_key_holds_until_it_expires_or_it_or_its_account_is_disabled(
    account: dict[str, Any], key: dict[str, Any], is_valid: bool
) -> None:
    entry = {"name": "ci", **account, "access_keys": [{**KEY, **key}]}
    known = accounts(entry, now=lambda: 1_767_225_600.0)  # 2026-01-01T00:00:00Z
    found = known.by_key("MFtestkey01")
    assert (found is not None) is is_valid
    assert found is None or (found.account.name, found.secret) == ("ci", KEY["secret"])


def test_a_read_only_server_lets_no_account_write() -> None:
    account = accounts({"name": "ci", "may_write": True}, read_only=True).named("ci")
    assert account and not account.may_write


def test_all_accounts_declare_on_the_cluster_that_is_served() -> None:
    account = accounts({"name": "ci"}, cluster="prod-eu").named("ci")
    assert account and account.scope.cluster == "prod-eu"


async def test_a_password_proves_the_account_that_has_it_and_no_other() -> None:
    known = accounts(
        {"name": "ci", "password_hash": cheap_hash()},
        {"name": "off", "password_hash": cheap_hash(), "disabled": True},
        {"name": "keys-only"},
    )
    right, wrong = sha512_of(PASSWORD), sha512_of("another")
    assert (found := await known.verified("ci", password_sha512=right)) and found.name == "ci"
    assert await known.verified("ci", password_sha512=right.upper())
    assert await known.verified("ci", password_sha512=wrong) is None
    for name in ("off", "keys-only", "nobody", ""):
        assert await known.verified(name, password_sha512=right) is None


async def test_an_unknown_account_costs_what_a_wrong_password_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = accounts({"name": "ci", "password_hash": cheap_hash()})
    costs: list[tuple[int, int, int]] = []
    real = hashlib.scrypt

    def counted(data: bytes, **said: Any) -> bytes:
        costs.append((said["n"], said["r"], said["p"]))
        return real(data, **said)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    await known.verified("ci", password_sha512=sha512_of("wrong"))
    await known.verified("nobody", password_sha512=sha512_of("wrong"))
    assert costs == [(16, 1, 1), (16, 1, 1)]


async def test_logins_leave_the_process_free_and_their_number_is_bounded() -> None:
    slow = PasswordHash.made(sha512_of(PASSWORD), cost=Cost(n=2**13, r=8, p=2)).text
    known = accounts({"name": "ci", "password_hash": slow})
    logins = [
        asyncio.create_task(known.verified("ci", password_sha512=sha512_of(PASSWORD)))
        for _ in range(AT_ONCE + WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(RefusedError) as refused:
        await known.verified("ci", password_sha512=sha512_of(PASSWORD))
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
    for login in logins[4:]:
        login.cancel()
    assert all(await asyncio.gather(*logins[:4]))


def test_a_hash_says_how_it_was_made_so_that_others_can_be_slower() -> None:
    for cost in (Cost(n=16, r=1, p=1), Cost(n=32, r=2, p=3)):
        text = PasswordHash.made(sha512_of(PASSWORD), cost=cost).text
        read = PasswordHash.read(text)
        assert (read.cost, read.text) == (cost, text)
        assert read.fits(sha512_of(PASSWORD))
        assert not read.fits(sha512_of("another"))


@pytest.mark.parametrize(("n", "r", "p"), [(15, 1, 1), (0, 1, 1), (16, 0, 1), (2**22, 8, 1)])
def test_a_hash_that_no_login_could_bear_is_refused(n: int, r: int, p: int) -> None:
    with pytest.raises(ValueError, match=r"must have|takes more"):
        PasswordHash.read(f"scrypt${n}${r}${p}${'A' * 22}==${'A' * 43}=")


async def test_a_file_that_changed_is_read_again_and_a_wrong_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = file_of(tmp_path / "accounts.yaml", {"name": "ci", "password_hash": cheap_hash()})
    known = Accounts.read(path)
    before = known.named("ci")
    file_of(path, {"name": "ci", "password_hash": cheap_hash("new")}, {"name": "alice"})
    await known.refresh()
    after = known.named("ci")
    assert before and after and known.named("alice")
    assert before.password_version != after.password_version

    caplog.set_level(logging.ERROR)
    file_of(path, {"name": "bob", "access_keys": [{**KEY, "surplus": KEY["secret"]}]})
    await known.refresh()
    assert known.named("alice") and not known.named("bob")
    assert "accounts[0].access_keys[0].surplus: is no such field" in known.trouble
    assert "The accounts stay as they were" in caplog.text
    assert KEY["secret"] not in caplog.text

    path.unlink()
    await known.refresh()
    assert known.named("alice") and "cannot be read" in known.trouble

    file_of(path, {"name": "bob"})
    await known.refresh()
    assert known.named("bob") and not known.named("alice") and not known.trouble


async def test_a_mounted_secret_is_followed_where_its_link_leads_now(tmp_path: Path) -> None:
    for number, name in enumerate(("old", "new")):
        (tmp_path / f"..{number}").mkdir()
        file_of(tmp_path / f"..{number}" / "accounts.yaml", {"name": name})
    (tmp_path / "..data").symlink_to("..0")
    (tmp_path / "accounts.yaml").symlink_to("..data/accounts.yaml")
    known = Accounts.read(tmp_path / "accounts.yaml")
    (tmp_path / "..tmp").symlink_to("..1")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    await known.refresh()
    assert known.named("new") and not known.named("old")


async def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    path = file_of(tmp_path / "accounts.yaml", {"name": "ci"})
    known = Accounts.read(path)
    before = known.named("ci")
    await known.refresh()
    assert known.named("ci") is before


def test_accounts_in_the_servers_own_namespace_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "namespace"
    warn_of_own_namespace({"models"}, said_in=own)
    own.write_text("models\n")
    warn_of_own_namespace({"others"}, said_in=own)
    assert caplog.records == []
    warn_of_own_namespace({"models", "others"}, said_in=own)
    assert "namespace models" in caplog.text
