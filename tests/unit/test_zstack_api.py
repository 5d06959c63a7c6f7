"""ZStack's query API over HTTP: who gets in, what each error looks like, who sees what."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from modelfleet.adapters.query_api.accounts import Accounts
from modelfleet.adapters.query_api.audit import LOGGER
from modelfleet.adapters.query_api.passwords import sha512_of
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.adapters.query_api.zstack_api.callers import sessions_of
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS
from modelfleet.adapters.query_api.zstack_api.replies import refused
from modelfleet.adapters.query_api.zstack_api.signatures import signature_of
from zstack_fleet import (
    EXTERNAL,
    PASSWORD,
    SECRET,
    SERVICES,
    Served,
    accounts_form,
    proxy,
    served,
    service,
)

LOGIN = "/zstack/v1/accounts/login"
SESSIONS = "/zstack/v1/accounts/sessions"
ERROR_FIELDS = {
    "code",
    "description",
    "details",
    "elaboration",
    "location",
    "cost",
    "opaque",
    "cause",
    "causes",
}

LONE_SURROGATE = b'{"logInByAccount": {"accountName": "\\ud83d", "password": "\\ud83d"}}'

FLEET = [
    service("for-a", workspace_id="a"),
    service("for-b", workspace_id="b"),
    service("for-all", of=EXTERNAL),
    service("elsewhere", of=EXTERNAL, namespace="other"),
    proxy("gate", to="http://for-a.models.svc/v1"),
]


def error_of(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == ERROR_FIELDS
    return dict(error)


def signed(
    path: str,
    *,
    account: str = "everybody",
    method: str = "GET",
    secret: str = SECRET,
    date: str | None = None,
) -> dict[str, str]:
    date = date or formatdate(usegmt=True)
    signature = signature_of(secret, method=method, path=path, date=date)
    return {"Date": date, "Authorization": f"ZStack key-of-{account}:{signature}"}


async def log_in(it: Served, name: str, password: str, **more: Any) -> httpx.Response:
    said = {"accountName": name, "password": sha512_of(password), **more}
    return await it.http.put(LOGIN, json={"logInByAccount": said, **more})


# -- sessions --------------------------------------------------------------------------------


async def test_a_login_opens_a_session_that_is_valid_until_the_logout() -> None:
    async with served(FLEET) as it:
        response = await log_in(it, "everybody", PASSWORD)
        assert response.status_code == 200
        session = response.json()["inventory"]
        assert set(session) == {
            "uuid",
            "accountUuid",
            "userUuid",
            "userType",
            "expiredDate",
            "createDate",
        }
        headers = {"Authorization": f"OAuth {session['uuid']}"}
        assert (await it.http.get(SERVICES, headers=headers)).status_code == 200
        place = f"{SESSIONS}/{session['uuid']}"
        assert (await it.http.get(f"{place}/valid")).json() == {"valid": True}
        assert (await it.http.delete(place)).json() == {}
        assert (await it.http.get(f"{place}/valid")).json() == {"valid": False}
        assert error_of(await it.http.get(SERVICES, headers=headers))["code"] == "ID.1001"
        assert (await it.http.delete(place)).json() == {}


async def test_a_session_is_never_one_that_a_client_brought_along() -> None:
    async with served(FLEET) as it:
        brought = "0123456789abcdef" * 2
        headers = {"Authorization": f"OAuth {brought}", "Cookie": f"sessionUuid={brought}"}
        said = {"accountName": "everybody", "password": sha512_of(PASSWORD), "uuid": brought}
        body = {"logInByAccount": said, "session": {"uuid": brought}, "sessionUuid": brought}
        response = await it.http.put(LOGIN, json=body, headers=headers)
        first = response.json()["inventory"]["uuid"]
        second = (await log_in(it, "everybody", PASSWORD)).json()["inventory"]["uuid"]
        assert len({brought, first, second}) == 3
        assert (await it.http.get(f"{SESSIONS}/{brought}/valid")).json() == {"valid": False}
        assert brought not in response.text
        assert error_of(await it.http.get(SERVICES, headers=headers))["code"] == "ID.1001"


async def test_a_wrong_password_and_a_wrong_name_are_told_in_the_same_words() -> None:
    async with served(FLEET) as it:
        answers = [
            error_of(await log_in(it, "everybody", "wrong")),
            error_of(await log_in(it, "nobody", PASSWORD)),
            error_of(await log_in(it, "no body\n🦙", PASSWORD)),
            error_of(await it.http.put(LOGIN, content=LONE_SURROGATE)),
        ]
        assert answers[0]["code"] == "ID.1000"
        assert answers[0] == answers[1] == answers[2] == answers[3]
        plain = {"accountName": "everybody", "password": PASSWORD}
        response = await it.http.put(LOGIN, json={"logInByAccount": plain})
        assert error_of(response) == answers[0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is no JSON"),
        (b"{", "the body is no JSON"),
        (b"\xff", "the body is no JSON"),
        (b"[" * 100_000, "the body is no JSON"),
        (b"[]", "doesn't contain action mapping"),
        (b'{"logInByUser": {}}', "doesn't contain action mapping"),
        (b'{"logInByAccount": null}', "doesn't contain action mapping"),
    ],
)
async def test_a_login_that_cannot_be_read_is_a_wrong_request(body: bytes, says: str) -> None:
    async with served([]) as it:
        response = await it.http.put(LOGIN, content=body)
        assert response.status_code == 400
        assert response.headers["content-type"].startswith("text/plain")
        assert says in response.text


@pytest.mark.parametrize("field", ["accountName", "password"])
async def test_a_login_without_a_field_names_it(field: str) -> None:
    said = {"accountName": "everybody", "password": "x", field: None}
    async with served([]) as it:
        error = error_of(await it.http.put(LOGIN, json={"logInByAccount": said}))
        assert error["code"] == "SYS.1007"
        assert field in error["details"]


async def test_sessions_are_bounded_and_shared_out_among_the_accounts() -> None:
    async with served([], sessions=10) as it:
        mine = [await it.log_in("everybody") for _ in range(2)]
        error = error_of(await log_in(it, "everybody", PASSWORD))
        assert error["code"] == "ID.1006"
        await it.log_in("reader")
        await it.http.delete(f"{SESSIONS}/{mine[0]['Authorization'].removeprefix('OAuth ')}")
        await it.log_in("everybody")


async def test_a_session_ends_with_its_time() -> None:
    async with served([], session_seconds=1) as it:
        headers = await it.log_in()
        for _ in range(200):
            if (await it.http.get(SERVICES, headers=headers)).status_code != 200:
                break
            await asyncio.sleep(0.05)
        assert error_of(await it.http.get(SERVICES, headers=headers))["code"] == "ID.1001"


@pytest.mark.parametrize(
    "becomes",
    [
        [{"name": "reader"}],
        [{"name": "everybody", "namespaces": "*", "may_write": False}],
        [{"name": "everybody", "namespaces": "*", "may_write": True, "disabled": True}],
        [{"name": "everybody", "namespaces": "*", "may_write": True}],
    ],
    ids=["gone", "other rights", "disabled", "another password hash"],
)
async def test_a_session_ends_when_its_account_changes(
    becomes: list[dict[str, Any]], tmp_path: Any
) -> None:
    def write(accounts: Any) -> None:
        text = accounts_form(accounts).model_dump_json()
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(tmp_path / "accounts.yaml")

    everybody = {"name": "everybody", "namespaces": "*", "may_write": True}
    write([everybody])
    accounts = Accounts.read(tmp_path / "accounts.yaml")
    async with served([]) as it:
        sessions = type(it.parts.one(sessions_of))(accounts, capacity=5, seconds=60)
        account = accounts.named("everybody")
        assert account is not None
        opened = sessions.open(account)
        assert sessions.account_of(opened.uuid) == account
        write(becomes)
        deadline = time.monotonic() + 120
        while sessions.account_of(opened.uuid) is not None:
            assert time.monotonic() < deadline
            await accounts.refresh()
            await asyncio.sleep(0.01)
        assert len(sessions) == 0


async def test_what_is_kept_of_a_session_is_not_its_uuid() -> None:
    async with served([]) as it:
        uuid = (await it.log_in())["Authorization"].removeprefix("OAuth ")
        sessions = it.parts.one(sessions_of)
        assert uuid not in repr(vars(sessions))
        assert sessions.account_of(uuid) == it.parts.accounts.named("everybody")


# -- access keys -----------------------------------------------------------------------------


async def test_a_signed_request_is_answered_and_may_be_repeated_if_it_reads() -> None:
    async with served(FLEET) as it:
        headers = signed(SERVICES)
        for _ in range(2):
            response = await it.http.get(SERVICES, params={"limit": 1}, headers=headers)
            assert response.status_code == 200
            assert len(response.json()["inventories"]) == 1


async def test_a_signed_request_that_writes_is_taken_once() -> None:
    async with served(FLEET) as it:
        path = f"{SERVICES}/0123456789abcdef0123456789abcdef"
        date = formatdate(time.time() + 2, usegmt=True)
        headers = signed(path, method="DELETE", date=date)
        assert error_of(await it.http.delete(path, headers=headers))["code"] == "SYS.1014"
        again = error_of(await it.http.delete(path, headers=headers))
        assert (again["code"], again["details"]) == (
            "ID.1000",
            "this signed request was sent before",
        )


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "x" * 32},
        {"account": "no-such-key"},
        {"method": "POST"},
        {"path": SERVICES + "/other"},
    ],
    ids=["another secret", "an unknown key", "another verb", "another path"],
)
async def test_a_forged_signature_proves_nothing(change: dict[str, str]) -> None:
    async with served(FLEET) as it:
        headers = signed(**{"path": SERVICES, **change})
        error = error_of(await it.http.get(SERVICES, headers=headers))
        assert error["code"] == "ID.1000"
        # What ZStack's own Go client looks for, to tell a wrong key from other failures.
        assert "wrong accessKey signature" in error["details"]


@pytest.mark.parametrize("signature", ["", "?", "é", "AAAA", "=" * 1_000])
async def test_what_is_no_signature_proves_nothing(signature: str) -> None:
    async with served(FLEET) as it:
        proof = f"ZStack key-of-everybody:{signature}".encode("latin-1")
        headers = {b"Date": formatdate(usegmt=True).encode(), b"Authorization": proof}
        assert error_of(await it.http.get(SERVICES, headers=headers))["code"] == "ID.1000"


@pytest.mark.parametrize("minutes", [-16, 16])
async def test_a_date_far_from_the_clock_is_refused(minutes: int) -> None:
    async with served(FLEET) as it:
        date = formatdate(time.time() + 60 * minutes, usegmt=True)
        response = await it.http.get(SERVICES, headers=signed(SERVICES, date=date))
        assert response.status_code == 403
        assert "requestTimeTooSkewed" in response.text


@pytest.mark.parametrize("zone", ["CST", "PRC", "+0800"])
async def test_the_time_of_china_is_known_by_the_names_that_clients_give_it(zone: str) -> None:
    async with served(FLEET) as it:
        there = formatdate(time.time() + 8 * 3600, usegmt=True).removesuffix("GMT")
        headers = signed(SERVICES, date=there + zone)
        assert (await it.http.get(SERVICES, headers=headers)).status_code == 200


@pytest.mark.parametrize("date", ["", "soon", "Mon, 99 Foo 2026 99:99:99 GMT"])
async def test_a_signature_needs_a_date(date: str) -> None:
    async with served(FLEET) as it:
        response = await it.http.get(SERVICES, headers={**signed(SERVICES), "Date": date})
        assert response.status_code == 400
        assert "missing header 'Date'" in response.text


# -- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "missing header 'Authorization'"),
        ({"Authorization": ""}, "missing header 'Authorization'"),
        ({"Authorization": "Bearer x"}, "Authorization type must be 'OAuth'"),
        ({"Authorization": "oauth x"}, "Authorization type must be 'OAuth'"),
    ],
)
async def test_who_proves_nothing_has_sent_a_wrong_request(
    headers: dict[str, str], says: str
) -> None:
    async with served(FLEET) as it:
        for path in (SERVICES, f"{SERVICES}/x"):
            response = await it.http.get(path, headers=headers)
            assert response.status_code == 400
            assert response.headers["content-type"].startswith("text/plain")
            assert says in response.text


@pytest.mark.parametrize("uuid", ["", "x", "0" * 32, "é", "x" * 4_000])
async def test_an_unknown_session_is_an_invalid_one(uuid: str) -> None:
    async with served(FLEET) as it:
        headers = {b"Authorization": f"OAuth {uuid}".encode("latin-1")}
        response = await it.http.get(SERVICES, headers=headers)
        assert error_of(response)["code"] == "ID.1001"


async def test_wrong_routes_verbs_and_parameters_are_told_in_plain_text() -> None:
    async with served(FLEET) as it:
        headers = await it.log_in()
        for method, path, status in (
            ("GET", "/zstack/v1/vm-instances", 404),
            ("GET", SERVICES + "/", 404),
            ("PATCH", SERVICES, 405),
            ("POST", LOGIN, 405),
            ("GET", SERVICES + "?limit=x", 400),
            ("GET", SERVICES + "?q=name", 400),
        ):
            response = await it.http.request(method, path, headers=headers)
            assert response.status_code == status
            assert response.headers["content-type"].startswith("text/plain")
            assert "error" not in response.text


async def test_an_argument_that_cannot_be_is_told_with_the_nearest() -> None:
    async with served(FLEET) as it:
        error = error_of(await it.query("nmae=x"))
        assert error["code"] == "SYS.1007"
        assert error["elaboration"] == "Did you mean name?"


async def test_a_fleet_that_was_not_read_yet_is_told_with_its_cause() -> None:
    async with served(FLEET, reachable=False) as it:
        error = error_of(await it.query())
        assert error["code"] == "SYS.1010"
        assert error["cause"]["code"] == "SYS.1015"


# -- who sees what ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ("everybody", ["for-a", "for-all", "for-b", "elsewhere"]),
        ("team-a", ["for-a"]),
        ("team-b", ["for-b"]),
        ("elsewhere", ["elsewhere"]),
    ],
)
async def test_each_account_sees_its_own_namespaces_and_workspaces(
    account: str, expected: list[str]
) -> None:
    async with served(FLEET) as it:
        assert await it.names(account=account) == expected
        assert await it.names("name~=%", account=account) == expected
        assert await it.names("name!=x", account=account) == expected
        counted = await it.query(account=account, count="true")
        assert counted.json() == {"total": len(expected), "schema": {}}


async def test_a_uuid_of_another_tenant_is_as_one_that_does_not_exist() -> None:
    async with served(FLEET) as it:
        found = (await it.query("name=for-b", fields="uuid")).json()["inventories"]
        place = f"{SERVICES}/{found[0]['uuid']}"
        own = await it.http.get(place, headers=await it.log_in("team-b"))
        foreign = await it.http.get(place, headers=await it.log_in("team-a"))
        missing = await it.http.get(f"{SERVICES}/x", headers=await it.log_in("team-a"))
        assert [each["name"] for each in own.json()["inventories"]] == ["for-b"]
        assert foreign.json() == missing.json() == {"inventories": [], "schema": {}}


async def test_a_get_by_uuid_returns_all_fields_whatever_else_is_said() -> None:
    async with served(FLEET) as it:
        [inventory] = (await it.query("name=for-a")).json()["inventories"]
        assert list(inventory) == [field.name for field in FIELDS]
        response = await it.http.get(
            f"{SERVICES}/{inventory['uuid']}",
            params={"fields": "name", "q": "name=x", "limit": "x"},
            headers=await it.log_in(),
        )
        assert response.json()["inventories"] == [inventory]


# -- writes ----------------------------------------------------------------------------------

WRITES = [
    ("POST", SERVICES, "create", ""),
    ("POST", f"{SERVICES}/u1", "create", "u1"),
    ("PUT", f"{SERVICES}/u1", "update", "u1"),
    ("PUT", f"{SERVICES}/u1/actions", "update", "u1"),
    ("DELETE", f"{SERVICES}/u1", "delete", "u1"),
]


@pytest.mark.parametrize(("method", "path", "verb", "name"), WRITES)
@pytest.mark.parametrize(
    ("account", "status", "code"),
    [("everybody", 503, "SYS.1014"), ("reader", 503, "ID.1002"), ("", 400, "")],
)
async def test_a_write_is_refused_in_words_and_audited(
    method: str,
    path: str,
    verb: str,
    name: str,
    account: str,
    status: int,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(FLEET) as it:
        headers = await it.log_in(account) if account else {}
        with caplog.at_level(logging.INFO, logger=LOGGER):
            caplog.clear()
            response = await it.http.request(method, path, headers=headers, json={"secret": "x"})
        assert response.status_code == status
        if code:
            error = error_of(response)
            assert error["code"] == code
            assert "AgentRun's API" in error["elaboration"] or code == "ID.1002"
        [record] = caplog.records
        line = json.loads(record.getMessage())
        assert (line["verb"], line["kind"], line["outcome"]) == (verb, "ModelService", "refused")
        assert (line.get("account", ""), line.get("name", "")) == (account, name)
        assert line["status"] == status
        assert "secret" not in record.getMessage()


async def test_logins_and_logouts_are_audited_without_what_was_typed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served([]) as it:
        with caplog.at_level(logging.INFO, logger=LOGGER):
            headers = await it.log_in("reader")
            await log_in(it, "reader", "wrong")
            await log_in(it, "my-password-by-mistake", "reader")
            uuid = headers["Authorization"].removeprefix("OAuth ")
            await it.http.delete(f"{SESSIONS}/{uuid}")
        lines = [json.loads(record.getMessage()) for record in caplog.records]
        assert [(each["verb"], each["outcome"], each.get("name", "")) for each in lines] == [
            ("login", "done", "reader"),
            ("login", "refused", "reader"),
            ("login", "refused", ""),
            ("logout", "done", "reader"),
        ]
        text = " ".join(record.getMessage() for record in caplog.records)
        assert uuid not in text
        assert sha512_of("wrong") not in text
        assert "by-mistake" not in text


# -- bounds ----------------------------------------------------------------------------------


async def test_a_refusal_of_the_server_itself_has_the_form_of_this_api() -> None:
    async with served(FLEET) as it:
        large = await it.http.put(LOGIN, content=b" " * 2_000_000)
        assert (large.status_code, large.headers["content-type"]) == (
            413,
            "text/plain; charset=utf-8",
        )


async def test_an_account_that_asks_too_often_is_told_when_to_come_again() -> None:
    async with served(FLEET, account_rate=0.5) as it:
        headers = await it.log_in()
        often = await it.http.get(SERVICES, headers=headers)
        assert (often.status_code, often.headers["Retry-After"]) == (429, "2")
        assert often.text.startswith("Too many requests of account 'everybody'.")


@pytest.mark.parametrize(
    ("code", "status", "expected"), [("Busy", 503, "SYS.1010"), ("Failed", 500, "SYS.1000")]
)
def test_what_the_server_could_not_do_is_an_error_code(
    code: str, status: int, expected: str
) -> None:
    response = refused(RefusedError(status, code, "Why."), "AN-ID")
    assert response.status_code == status
    error = json.loads(bytes(response.body))["error"]
    assert (error["code"], error["details"]) == (expected, "Why.")
    assert error["opaque"] == {"requestId": "AN-ID"}


async def test_descriptions_in_any_script_come_back_as_they_were_declared() -> None:
    text = '模型服务 \u2028 "quoted" \\ </script> 🦙'
    async with served([service("qwen", description=text)]) as it:
        [found] = (await it.query(f"description={text}")).json()["inventories"]
        assert found["description"] == text
