"""Who calls AgentRun's API: what proves it, and every way in which that fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from served import asking, operation
from served import parts as served_parts
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from agentrun_signing import DataSigner, Signer
from modelfleet.adapters.query_api.agentrun_api import FORMS
from modelfleet.adapters.query_api.agentrun_api.callers import control_account, data_account
from modelfleet.adapters.query_api.parts import Parts

SECRET = "not-a-real-secret-0001"
KEY = {"id": "key-0001", "secret": SECRET}
PATH = "/2025-09-10/agents/asked"
DATA_PATH = "/models/gate/v1/asked"


async def who(request: Request, parts: Parts) -> Response:
    """Say who asks."""
    return PlainTextResponse((await control_account(request, parts)).name)


async def who_infers(request: Request, parts: Parts) -> Response:
    account = data_account(request, parts)
    return PlainTextResponse(account.name if account else "nobody")


OPERATIONS = [
    operation(who, path=PATH),
    operation(who, path=PATH, method="POST"),
    operation(who_infers, path=DATA_PATH, method="POST"),
]


def parts(**key: Any) -> Parts:
    return served_parts({"name": "ci", "access_keys": [{**KEY, **key}]})


@asynccontextmanager
async def signing(
    served: Parts | None = None, /, **signer: Any
) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(served or parts(), OPERATIONS, forms=FORMS) as http:
        http.auth = Signer(**{"key_id": KEY["id"], "secret": SECRET, **signer})
        yield http


def refusal(reply: httpx.Response) -> str:
    """Return the code of a refusal, in the form of AgentRun's API."""
    content = reply.json()
    assert reply.status_code == 401
    assert set(content) == {"code", "message", "requestId"}
    assert content["requestId"] == reply.headers["X-Request-Id"]
    assert SECRET not in reply.text
    # AgentRun's SDK would take it for a resource that is not there, or is there already.
    assert not any(each in reply.text for each in ("does not exist", "not found", "already exists"))
    return str(content["code"])


async def test_who_signs_a_request_is_let_in() -> None:
    async with signing() as http:
        assert (await http.get(PATH)).text == "ci"
        assert (await http.post(PATH, json={"a": "ä"}, params={"q": "a b+c"})).text == "ci"


async def test_a_request_that_was_overheard_is_accepted_once() -> None:
    async with signing(nonce="the-same") as http:
        assert (await http.get(PATH)).status_code == 200
        assert refusal(await http.get(PATH)) == "SignatureNonceUsed"


async def test_a_request_of_another_time_is_refused() -> None:
    for ahead, accepted in ((-890, True), (890, True), (-910, False), (910, False)):
        async with signing(ahead=timedelta(seconds=ahead)) as http:
            reply = await http.get(PATH)
            assert (reply.status_code == 200) is accepted
            if not accepted:
                assert refusal(reply) == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize(
    ("key", "signer", "code"),
    [
        ({}, {"key_id": "key-0002"}, "InvalidAccessKeyId.NotFound"),
        ({"disabled": True}, {}, "InvalidAccessKeyId.NotFound"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {}, "InvalidAccessKeyId.NotFound"),
        ({}, {"secret": "not-the-secret-0001"}, "SignatureDoesNotMatch"),
        ({}, {"headers": {"x-acs-date": "yesterday"}}, "InvalidTimeStamp.Format"),
        ({}, {"headers": {"x-acs-security-token": "t"}}, "InvalidSecurityToken.NotSupported"),
        ({}, {"nonce": "n" * 300}, "IncompleteSignature"),
    ],
)
async def test_a_wrong_credential_is_refused_by_its_code(
    key: dict[str, Any], signer: dict[str, Any], code: str
) -> None:
    async with signing(parts(**key), **signer) as http:
        assert refusal(await http.get(PATH)) == code


@pytest.mark.parametrize(
    "header", [None, "OAuth 0123", "acs key-0001:c2hhMSBpcyBub3QgZW5vdWdo", "Bearer sk-1"]
)
async def test_no_signature_and_one_of_another_kind_are_refused(header: str | None) -> None:
    async with signing() as http:
        http.auth = None
        headers = {"Authorization": header} if header else {}
        assert refusal(await http.get(PATH, headers=headers)) == "IncompleteSignature"


async def test_a_body_that_was_changed_on_the_way_is_refused() -> None:
    async with signing() as http:
        request = http.build_request("POST", PATH, content=b'{"a":1}')
        signed = next(Signer(KEY["id"], SECRET).auth_flow(request))
        request = http.build_request("POST", PATH, content=b'{"a":2}', headers=signed.headers)
        assert refusal(await http.send(request, auth=None)) == "SignatureDoesNotMatch"


async def test_what_was_added_on_the_way_is_refused() -> None:
    async with signing() as http:
        signed = next(Signer(KEY["id"], SECRET).auth_flow(http.build_request("GET", PATH)))
        signed.headers["x-acs-owner"] = "somebody else"
        assert refusal(await http.send(signed, auth=None)) == "IncompleteSignature"


async def test_who_cannot_sign_spends_nobodys_nonce_and_nobodys_rate() -> None:
    served = served_parts({"name": "ci", "access_keys": [KEY]}, account_rate=1)
    async with signing(served, nonce="guessed", secret="not-the-secret-0001") as http:
        for _ in range(5):
            assert refusal(await http.get(PATH)) == "SignatureDoesNotMatch"
        http.auth = Signer(KEY["id"], SECRET, nonce="guessed")
        assert (await http.get(PATH)).status_code == 200
        assert len(served.nonces) == 1


async def test_an_account_that_asks_too_often_hears_so_in_alibabas_words() -> None:
    served = served_parts({"name": "ci", "access_keys": [KEY]}, account_rate=1)
    async with signing(served) as http:
        replies = [await http.get(PATH) for _ in range(3)]
        assert [each.status_code for each in replies] == [200, 200, 429]
        assert replies[-1].json()["code"] == "Throttling.User"
        # With x-acs-retry-after the SDK would raise what its own callers do not catch.
        assert "x-acs-retry-after" not in replies[-1].headers


async def test_the_data_endpoint_knows_who_signed_and_that_nobody_did() -> None:
    async with signing() as http:
        assert (await http.post(DATA_PATH, auth=None)).text == "nobody"
        for unbound in (False, True):
            auth = DataSigner(KEY["id"], SECRET, unbound=unbound)
            assert (await http.post(DATA_PATH, params={"a": "b c"}, auth=auth)).text == "ci"


@pytest.mark.parametrize(
    ("signer", "headers", "code"),
    [
        ({"secret": "not-the-secret-0001"}, {}, "SignatureDoesNotMatch"),
        ({"key_id": "key-0002"}, {}, "InvalidAccessKeyId.NotFound"),
        ({"ahead": timedelta(minutes=-16)}, {}, "InvalidTimeStamp.Expired"),
        ({}, {"x-acs-security-token": "t"}, "InvalidSecurityToken.NotSupported"),
        ({}, {"x-acs-extra": "t"}, "IncompleteSignature"),
        ({"sha256": "0" * 64}, {}, "IncompleteSignature"),
    ],
)
async def test_a_wrong_signature_at_the_data_endpoint_is_not_nobodys(
    signer: dict[str, Any], headers: dict[str, str], code: str
) -> None:
    async with signing() as http:
        auth = DataSigner(**{"key_id": KEY["id"], "secret": SECRET, **signer})
        reply = await http.post(DATA_PATH, auth=auth, headers=headers)
        assert reply.status_code == 401
        assert reply.json()["error"]["code"] == code


async def test_a_signature_for_one_path_is_none_for_another() -> None:
    async with signing() as http:
        request = http.build_request("POST", "/models/other/v1/asked")
        signed = next(DataSigner(KEY["id"], SECRET).auth_flow(request))
        moved = http.build_request("POST", DATA_PATH, headers=signed.headers)
        reply = await http.send(moved, auth=None)
        assert reply.json()["error"]["code"] == "SignatureDoesNotMatch"
