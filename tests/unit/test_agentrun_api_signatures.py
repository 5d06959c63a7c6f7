"""Signatures are verified as AgentRun's SDK makes them, and one changed character makes them void.

The vectors were recorded from agentrun-sdk 0.0.54 (alibabacloud-tea-openapi 0.4.6), signing with
the access key AK and its secret SK.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelfleet.adapters.query_api.agentrun_api.signatures import (
    ACS3,
    AGENTRUN4,
    Message,
    UnreadableSignatureError,
    acs3_fits,
    agentrun4_fits,
    claim_in,
    missing_headers,
)

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SIGNED = (
    "accept;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;"
    "x-acs-date;x-acs-signature-nonce;x-acs-version"
)
SIGNED_WITH_BODY = SIGNED.replace("accept;", "accept;content-type;")


def recorded(
    method: str,
    path: str,
    *,
    action: str,
    nonce: str,
    signature: str,
    query: str = "",
    sha256: str = EMPTY,
) -> Message:
    """Return a request as the SDK sent it on 2026-11-21."""
    has_body = sha256 != EMPTY
    signed = SIGNED_WITH_BODY if has_body else SIGNED
    headers = {
        "accept-encoding": "identity",
        "host": "127.0.0.1:18443",
        "x-acs-version": "2025-09-10",
        "x-acs-action": action,
        "user-agent": "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2",
        "x-acs-date": "2026-11-21T10:31:59Z",
        "x-acs-signature-nonce": nonce,
        "accept": "application/json",
        # The asynchronous client sends a type for no body, too, and does not sign it.
        "content-type": f"application/{'json; charset=utf-8' if has_body else 'octet-stream'}",
        "x-acs-content-sha256": sha256,
        "x-acs-credentials-provider": "agentrun_context",
        "authorization": f"{ACS3} Credential=AK,SignedHeaders={signed},Signature={signature}",
    }
    return Message(method, path, query, {name: (value,) for name, value in headers.items()})


CREATE = recorded(
    "POST",
    "/2025-09-10/agents/model-services",
    action="CreateModelService",
    nonce="a727936ff094d404aa6101bbcece7a5a",
    sha256="6c0b7b15f5de90673a617f9bd14f2abb2b616afaa7d503dcb763b47def09ed38",
    signature="d7c2e63a9377b2732ff1da9211743813ce1f9442b0bccc938ce13ffb56847568",
)
UPDATE = recorded(
    "PUT",
    "/2025-09-10/agents/model-services/a~b%20c%2F%C3%A9%2B%2A",
    action="UpdateModelService",
    nonce="13836c10f59065c504c76897e832da9e",
    sha256="1334d9e84465cc28ebe0cf985f13250416657a2edb2b11c49c0afae092783fa8",
    signature="132f2f503db1036eb9a7efd8d566991741e42f14150c376c83f07b79df2f20f0",
)
LIST = recorded(
    "GET",
    "/2025-09-10/agents/model-services",
    query="modelType=llm&pageNumber=1&provider=a+b%2Bc%2F~%C3%A9%2A%26%3D&workspaceId=",
    action="ListModelServices",
    nonce="e5b74ed4b0816ce6e5d8291bdb22d3e6",
    signature="2e99027d2ca3ef8beccd18ef5494e5af75bfd4f897c1c209c2a20eed4f0b270c",
)
ASYNC_GET = recorded(
    "GET",
    # Sent as aiohttp writes it, and signed as %2A.
    "/2025-09-10/agents/model-services/a~b%20c%2F%C3%A9%2B*",
    action="GetModelService",
    nonce="6ae6b474f22d4689ac5bbea2f81ed364",
    signature="fb2e0243cc558740f28ad7e80549773e390ac7ca99b55bfd3d59b28f28f7763e",
)
ASYNC_LIST = recorded(
    "GET",
    "/2025-09-10/agents/model-proxies",
    query="proxyMode=single&status=READY&workspaceId=a+b%2Bc/~%C3%A9*",
    action="ListModelProxies",
    nonce="3bcb94444cd6b99d62ddd04035cd392b",
    signature="c8504321ccb75d3aa8728d870d4510796d6c8e37b376b11b54f8896ed938cdcc",
)
RECORDED = {
    "create": CREATE,
    "update": UPDATE,
    "list": LIST,
    "async get": ASYNC_GET,
    "async list": ASYNC_LIST,
}

MODEL_INFO = Message(
    "POST",
    "/models/prox/v1/chat/completions",
    "",
    {
        "host": ("models.example.com",),
        "x-acs-date": ("2026-11-21T10:31:59Z",),
        "x-acs-content-sha256": ("UNSIGNED-PAYLOAD",),
    },
)
"""Any request: the headers of ``model_info()`` are signed before there is one."""

MODEL_INFO_CLAIM = (
    f"{AGENTRUN4} Credential=AK/20261121/cn-hangzhou/agentrun/aliyun_v4_request,"
    "SignedHeaders=host;x-acs-content-sha256;x-acs-date,"
    "Signature=b62fc8e273920a690c810424812accbb14adb7ecefcd2f98db23c170b03050e7"
)


def fits(message: Message, *, key: str = "SK") -> bool:
    header = message.header("authorization")
    assert header
    return acs3_fits(message, claim_in(header, algorithm=ACS3), secret=key)


def changed(message: Message, name: str, *values: str) -> Message:
    return replace(message, headers={**message.headers, name: values})


@pytest.mark.parametrize("message", RECORDED.values(), ids=RECORDED)
def test_what_the_sdk_signs_fits(message: Message) -> None:
    assert fits(message)
    assert not fits(message, key="SK2")


FORGED = {
    "method": replace(UPDATE, method="DELETE"),
    "path": replace(UPDATE, raw_path="/2025-09-10/agents/model-services/b"),
    "slash": replace(UPDATE, raw_path=UPDATE.raw_path.replace("%2F", "/")),
    "query": replace(LIST, query=LIST.query.replace("llm", "tts")),
    "more query": replace(LIST, query=LIST.query + "&workspaceIds=b"),
    "the same twice": replace(LIST, query=LIST.query + "&modelType=llm"),
    "less query": replace(LIST, query="modelType=llm"),
    "host": changed(UPDATE, "host", "other.example.com"),
    "date": changed(UPDATE, "x-acs-date", "2026-11-21T10:32:00Z"),
    "nonce": changed(UPDATE, "x-acs-signature-nonce", "another"),
    "body": changed(UPDATE, "x-acs-content-sha256", EMPTY),
    "a header twice": changed(UPDATE, "x-acs-date", "2026-11-21T10:31:59Z", "x"),
    "a header less": replace(
        UPDATE, headers={k: v for k, v in UPDATE.headers.items() if k != "x-acs-action"}
    ),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_request_that_was_changed_does_not_fit(forged: Message) -> None:
    assert not fits(forged)


def test_headers_that_matter_must_be_signed() -> None:
    header = UPDATE.header("authorization")
    assert header
    claim = claim_in(header, algorithm=ACS3)
    required = frozenset({"host", "x-acs-date"})
    assert missing_headers(UPDATE, claim, required=required) == []
    added = changed(UPDATE, "x-acs-owner", "somebody")
    assert missing_headers(added, claim, required=required) == ["x-acs-owner"]
    lessened = replace(claim, signed_headers=("x-acs-date",))
    assert "host" in missing_headers(UPDATE, lessened, required=required)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "Only ACS3-HMAC-SHA256"),
        ("Bearer abc", "Only ACS3-HMAC-SHA256"),
        ("acs AK:c2hhMSBpcyBub3QgZW5vdWdo", "Only ACS3-HMAC-SHA256"),
        ("ACS3-HMAC-SM3 Credential=AK,SignedHeaders=host,Signature=00", "Only ACS3-HMAC-SHA256"),
        ("ACS3-RSA-SHA256 Credential=AK,SignedHeaders=host,Signature=00", "Only ACS3-HMAC-SHA256"),
        (f"{ACS3} Credential=AK,Signature={'0' * 64}", "must say"),
        (f"{ACS3} Credential=AK,Credential=B,SignedHeaders=h,Signature={'0' * 64}", "must say"),
        (f"{ACS3} Credential=AK,SignedHeaders=host,Signature=ab", "64 hex digits"),
        (f"{ACS3} Credential=AK,SignedHeaders=host,Signature={'A' * 64}", "64 hex digits"),
        (f"{ACS3} Credential=,SignedHeaders=host,Signature={'0' * 64}", "names no key"),
        (f"{ACS3} Credential={'A' * 5000},SignedHeaders=host,Signature={'0' * 64}", "too long"),
    ],
)
def test_a_header_that_proves_nothing_is_refused_with_the_reason(header: str, says: str) -> None:
    with pytest.raises(UnreadableSignatureError, match=says):
        claim_in(header, algorithm=ACS3)


def test_the_headers_of_model_info_fit_any_request_and_no_other_key_or_day() -> None:
    claim = claim_in(MODEL_INFO_CLAIM, algorithm=AGENTRUN4)
    assert agentrun4_fits(MODEL_INFO, claim, secret="SK")
    assert agentrun4_fits(replace(MODEL_INFO, method="GET"), claim, secret="SK")
    assert not agentrun4_fits(MODEL_INFO, claim, secret="SK2")
    later = changed(MODEL_INFO, "x-acs-date", "2026-11-21T10:32:00Z")
    assert not agentrun4_fits(later, claim, secret="SK")
    for place, value in ((0, "20261122"), (1, "cn-beijing"), (2, "fc"), (3, "aws4_request")):
        scope = tuple(value if at == place else each for at, each in enumerate(claim.scope))
        assert not agentrun4_fits(MODEL_INFO, replace(claim, scope=scope), secret="SK")
    assert not agentrun4_fits(MODEL_INFO, replace(claim, scope=()), secret="SK")
