"""Who and what is let in: paths, verbs, bodies, keys, rights, and what a refusal says."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from modelfleet.gateway.keys_file import keys_file_of
from modelfleet.spec.proxy import ModelProxySpec
from tests.gateway.conftest import KEYS, openai_client, spec_for
from tests.gateway.running import PATIENCE_SECONDS, Client, Gateway, Stub, get, patiently, post

pytestmark = [pytest.mark.gateway, pytest.mark.xdist_group("gateway")]

MESSAGES = [{"role": "user", "content": "one two three"}]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def connected(gateway: Gateway) -> socket.socket:
    address = urlsplit(gateway.url)
    return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS)


def raw_request(
    gateway: Gateway, method: str, target: str, *, key: str = KEYS["all"]
) -> tuple[int, dict[str, str], Any]:
    """A request whose target nobody tidies up on the way."""
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=PATIENCE_SECONDS)
    connection.putrequest(method, target, skip_host=False)
    connection.putheader("authorization", f"Bearer {key}")
    connection.putheader("content-length", "2")
    connection.endheaders(b"{}")
    reply = connection.getresponse()
    text = reply.read()
    headers = {name.lower(): value for name, value in reply.getheaders()}
    connection.close()
    return reply.status, headers, json.loads(text) if text else None


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1",
        "/v1/",
        "/health",
        "/health/readiness",
        "/metrics",
        "/ui",
        "/ui/",
        "/model/info",
        "/v1/model/info",
        "/v2/model/info",
        "/key/generate",
        "/config/yaml",
        "/get/config/callbacks",
        "/mcp",
        "/mcp/tools/list",
        "/routes",
        "/openapi.json",
        "/docs",
        "/chat/completions",
        "/engines/chat/chat/completions",
        "/openai/v1/chat/completions",
        "/v1/messages",
        "/v1/files",
        "/v1/batches",
        "/v1/assistants",
        "/v1/../admin",
        "/v1/../model/info",
        "/v1/chat/../../model/info",
        "/v1/%2e%2e/model/info",
        "/v1/..%2fmodel%2finfo",
        "/v1%2Fchat%2Fcompletions",
        "/v1/chat%2Fcompletions",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/chat/completions;a=b",
        "/v1/chat/completions//",
        "/v1/chat/completions/../models",
        "/v1/chat/completions%00",
        "/V1/chat/completions",
        "/v1/responses/resp_1",
        "/v1/responses/resp_1/cancel",
    ],
)
def test_nothing_but_inference_is_at_any_path(gateway: Gateway, stub: Stub, target: str) -> None:
    for method in ("GET", "POST"):
        status, _, body = raw_request(gateway, method, target)
        assert (status, body["error"]["code"]) == (404, "not_found"), target
        assert set(body["error"]) == {"message", "type", "param", "code"}
    assert not stub.calls


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/embeddings", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("TRACE", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/chat", "GET"),
    ],
)
def test_other_verbs_are_told_which_one_is_taken(
    gateway: Gateway, method: str, target: str, allowed: str
) -> None:
    status, headers, body = raw_request(gateway, method, target)
    assert (status, headers["allow"]) == (405, allowed)
    assert body["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"authorization": ""},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": KEYS["all"]},
        {"authorization": "Bearer"},
        {"x-api-key": KEYS["all"]},
        {"x-litellm-api-key": f"Bearer {KEYS['all']}"},
        {"api-key": KEYS["all"]},
    ],
)
def test_without_a_bearer_there_is_no_key(gateway: Gateway, header: dict[str, str]) -> None:
    reply = get(f"{gateway.url}/v1/models", headers=header)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "missing_api_key")


@pytest.mark.parametrize(
    "key",
    ["sk-unknown-key-00000001", KEYS["late"], KEYS["all"].upper(), "x" * 9000],
    ids=["unknown", "expired", "other letters", "long"],
)
def test_an_unknown_or_expired_key_is_refused_and_not_repeated(gateway: Gateway, key: str) -> None:
    reply = post(
        f"{gateway.url}/v1/chat/completions",
        headers=bearer(key),
        json={"model": "chat", "messages": MESSAGES},
    )
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "incorrect_api_key")
    assert key not in reply.text
    assert gateway.record(reply.headers["x-request-id"])["error_code"] == "incorrect_api_key"
    assert key not in gateway.output + gateway.complaints


def test_two_keys_in_one_request_are_none(gateway: Gateway) -> None:
    headers = [("authorization", f"Bearer {KEYS[name]}") for name in ("all", "team")]
    assert get(f"{gateway.url}/v1/models", headers=headers).status_code == 401


def test_models_are_sorted_and_those_that_the_key_may_use(gateway: Gateway) -> None:
    with openai_client(gateway, KEYS["all"]) as client:
        assert [each.id for each in client.models.list()] == sorted(gateway.spec.routes or {})
    with openai_client(gateway, KEYS["team"]) as client:
        assert [each.id for each in client.models.list()] == ["cached", "team/chat"]
        assert client.models.retrieve("team/chat").id == "team/chat"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("chat")


def test_unknown_and_not_granted_models_read_the_same(gateway: Gateway, stub: Stub) -> None:
    def refusal(model: str) -> tuple[int, str]:
        reply = post(
            f"{gateway.url}/v1/chat/completions",
            headers=bearer(KEYS["team"]),
            json={"model": model, "messages": MESSAGES},
        )
        return reply.status_code, reply.text.replace(model, "…")

    assert refusal("chat") == refusal("nothing")
    assert refusal("chat")[0] == 404
    assert "model_not_found" in refusal("chat")[1]
    assert refusal("locked") == refusal("lockedout")
    status, text = refusal("locked")
    assert status == 403
    assert "model_access_denied" in text
    assert refusal("team/chat")[0] == 200
    assert stub.models_called == ["served-team"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_request"),
        (b"{", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b'"chat"', 400, "invalid_request"),
        (b"\xff\xfe", 400, "invalid_request"),
        (b'{"model": NaN}', 400, "invalid_request"),
        (b'{"model": "chat", "stream": "yes"}', 400, "invalid_request"),
        (b"{}", 404, "missing_model"),
        (b'{"model": ""}', 404, "missing_model"),
        (b'{"model": ["chat"]}', 404, "missing_model"),
        (b'{"model": "chat,once"}', 404, "model_not_found"),
        (b'{"model": "openai/served-chat"}', 404, "model_not_found"),
        (b'{"model": "http://127.0.0.1/"}', 404, "model_not_found"),
        (b'{"model": "chat", "model": "nothing"}', 404, "model_not_found"),
        (b'{"model": "chat"}', 400, "bad_request"),
        (b'{"model": "chat", "x": ' + b"[" * 300 + b"]" * 300 + b"}", 400, "invalid_request"),
        (b'{"model": "chat", "x": ' + b"[" * 9000 + b"]" * 9000 + b"}", 400, "invalid_request"),
    ],
)
def test_a_body_that_cannot_be_served_is_a_clean_error(
    http: httpx.Client, stub: Stub, body: bytes, status: int, code: str
) -> None:
    reply = http.post("/v1/chat/completions", content=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert "litellm" not in reply.text.lower()
    assert not stub.calls


def test_a_form_where_one_is_needed_and_nowhere_else(http: httpx.Client) -> None:
    reply = http.post("/v1/audio/transcriptions", json={"model": "ears"})
    assert reply.json()["error"]["code"] == "invalid_request"
    file = {"file": ("a.wav", b"RIFF", "audio/wav")}
    assert http.post("/v1/audio/transcriptions", files=file).status_code == 404
    reply = http.post("/v1/chat/completions", data={"model": "chat"}, files=file)
    assert reply.json()["error"]["code"] == "invalid_request"


def test_orders_to_litellm_in_a_body_do_nothing(
    http: httpx.Client, stub: Stub, gateway: Gateway
) -> None:
    orders: dict[str, Any] = {
        "api_base": "http://127.0.0.1:9/v1",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key": "sk-caller",
        "custom_llm_provider": "anthropic",
        "mock_response": "mocked",
        "mock_testing_fallbacks": True,
        "fallbacks": ["once"],
        "num_retries": 9,
        "timeout": 0.0001,
        "cache": {"no-cache": True},
        "guardrails": ["none"],
        "model_list": [],
        "user_config": {"model_list": []},
        "litellm_metadata": {"tags": ["x"]},
        "metadata": {"user_api_key": "x", "tags": ["x"]},
        "tags": ["x"],
        "extra_headers": {"x-injected": "1"},
        "extra_body": {"model": "other"},
        "headers": {"x-injected": "1"},
        "callbacks": ["langfuse"],
        "specific_deployment": True,
        "router_settings_override": {"num_retries": 9},
        "no-log": True,
        "_litellm_internal": 1,
        "aws_region_name": "x",
        "cache_control_injection_points": [{"location": "message", "index": 0}],
        "original_function": "x",
        "provider_config": "x",
        "endpoint": "http://127.0.0.1:9/v1",
        "start_time": 5,
    }
    body = {"model": "once", "messages": MESSAGES, **orders}
    reply = http.post("/v1/chat/completions", json=body)
    assert reply.json()["choices"][0]["message"]["content"] == "stub answers"
    (call,) = stub.calls
    assert call["body"] == {"model": "served-once", "messages": MESSAGES}
    assert "x-injected" not in call["headers"]
    assert "sk-caller" not in json.dumps(call)


def test_orders_to_litellm_in_headers_and_query_do_nothing(http: httpx.Client, stub: Stub) -> None:
    stub.tell({"status": 500})
    headers = {
        "x-litellm-num-retries": "5",
        "x-litellm-timeout": "0.001",
        "x-litellm-tags": "a",
        "x-litellm-api-base": "http://127.0.0.1:9",
        "x-api-key": "sk-caller",
        "openai-organization": "org",
        "x-forwarded-for": "1.2.3.4",
        "cookie": "token=x",
        "cache-control": "no-store",
    }
    body = {"model": "once", "messages": MESSAGES}
    reply = http.post("/v1/chat/completions?api-version=1&model=chat", json=body, headers=headers)
    assert reply.status_code == 502
    (call,) = stub.calls
    assert not {name for name in headers if name in call["headers"]}
    assert http.headers["authorization"] not in json.dumps(call)


def test_tools_of_litellm_itself_are_not_there(http: httpx.Client, stub: Stub) -> None:
    own = {"type": "mcp", "server_label": "a", "server_url": "litellm_proxy/mcp/any"}
    reply = http.post("/v1/responses", json={"model": "once", "input": "hi", "tools": [own]})
    assert reply.status_code == 200
    assert not stub.calls[0]["body"].get("tools")


def test_orders_in_a_form_do_nothing(http: httpx.Client, stub: Stub) -> None:
    orders = {"api_base": "http://127.0.0.1:9", "mock_response": "x", "fallbacks[]": "once"}
    orders |= {"api_key[]": "x", "timeout[]": "0"}
    form = {"model": "ears", "language": "de", **orders}
    files = {"file": ('a".wav\r\nx: y', b"RIFF", "audio/wav")}
    reply = http.post("/v1/audio/transcriptions", data=form, files=files)
    assert reply.json()["text"] == "stub answers"
    sent = stub.calls[0]["body"]
    assert (sent["model"], sent["language"]) == ("served-ears", "de")
    assert not orders.keys() & sent.keys()


def test_line_breaks_in_headers_are_refused_by_the_server(gateway: Gateway) -> None:
    for injected in (b"x\r\n y", b"x\x00y", b"x\ny: z"):
        with connected(gateway) as connection:
            head = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " + injected
            connection.sendall(head + b"\r\n\r\n")
            assert connection.recv(100).split(b" ")[1] in (b"400", b"401")


def test_a_head_without_end_is_refused_before_it_fills_the_memory(gateway: Gateway) -> None:
    trailers = b"POST /v1/models HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    for beginning in (b"GET /v1/", b"GET /v1/models HTTP/1.1\r\nx: ", trailers + b"x: "):
        with connected(gateway) as connection:
            connection.sendall(beginning)
            with pytest.raises(ConnectionError):
                for _ in range(100):
                    connection.sendall(b"a" * 2**20)
    long = {"authorization": f"Bearer {KEYS['all']}", "x-long": "a" * 20_000}
    with Client(headers=long) as http:
        body = {"model": "chat", "messages": [{"role": "user", "content": "a" * 2**20}]}
        for _ in range(5):
            reply = http.post(f"{gateway.url}/v1/chat/completions", json=body)
            assert reply.status_code == 200


def test_a_request_that_is_too_large_is_refused_before_it_is_read(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {65 * 2**20}\r\n"
        key = f"authorization: Bearer {KEYS['all']}\r\n\r\n"
        connection.sendall((head + key).encode())
        reply = b"".join(iter(lambda: connection.recv(4000), b""))
    assert b" 413 " in reply.split(b"\r\n")[0]
    assert b"request_too_large" in reply


def test_keys_come_and_go_while_the_gateway_runs(gateway: Gateway, running_stub: Stub) -> None:
    def is_let_in(key: str) -> bool:
        return get(f"{gateway.url}/v1/models", headers=bearer(key)).status_code == 200

    complaint = "keys.json: kept as it was"
    spec = spec_for(running_stub)
    spec["api_keys"] = {**spec["api_keys"], "new": {"key": "sk-quite-new-0000000001"}}
    del spec["api_keys"]["few"]
    more = ModelProxySpec.model_validate({"model_proxy_name": "front", **spec})
    assert is_let_in(KEYS["few"])
    assert not is_let_in("sk-quite-new-0000000001")
    try:
        gateway.write_secret("keys/keys.json", keys_file_of(more, keys=()))
        assert any(is_let_in("sk-quite-new-0000000001") for _ in patiently())
        assert not is_let_in(KEYS["few"])
        assert is_let_in(KEYS["all"])
        gateway.write_secret("keys/keys.json", '{"version": 1, "keys": {')
        for _ in patiently():
            assert is_let_in(KEYS["all"])
            if complaint in gateway.complaints:
                break
        assert is_let_in(KEYS["all"])
        assert gateway.complaints.count(complaint) == 1
    finally:
        gateway.write_secret("keys/keys.json", keys_file_of(gateway.spec, keys=()))
    assert any(is_let_in(KEYS["few"]) for _ in patiently())


def test_a_thousand_idle_connections_hinder_nobody(gateway: Gateway, http: httpx.Client) -> None:
    with contextlib.ExitStack() as idle:
        for _ in range(1_000):
            idle.enter_context(connected(gateway))
        assert http.get("/v1/models").status_code == 200


def test_probes_metrics_and_upstreams_are_on_the_inner_port_only(
    gateway: Gateway, http: httpx.Client, stub: Stub
) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/upstreams"):
        assert http.get(path).status_code == 404
        assert get(f"{gateway.internal_url}{path}").status_code == 200
    assert get(f"{gateway.internal_url}/v1/models").status_code == 404
    http.post("/v1/chat/completions", json={"model": "chat", "messages": MESSAGES})
    http.post("/v1/chat/completions", json={"model": "unknown", "messages": MESSAGES})
    expected = [
        'modelfleet_gateway_requests_total{key="all",model="chat",status="200"}',
        'modelfleet_gateway_requests_total{key="all",model="",status="404"}',
        'modelfleet_gateway_tokens_total{key="all",kind="prompt",model="chat"}',
    ]
    for _ in patiently():  # a request is counted behind its answer
        metrics = get(f"{gateway.internal_url}/metrics").text
        if all(each in metrics for each in expected):
            break
    assert [each for each in expected if each not in metrics] == []
    assert "unknown" not in metrics


def test_upstreams_are_found_reachable_or_not_and_why(gateway: Gateway, running_stub: Stub) -> None:
    for _ in patiently():  # where a machine is slow, the first answer may come too late
        found = get(f"{gateway.internal_url}/upstreams").json()["upstreams"]
        by_field = {each["field"]: each for each in found.values()}
        if by_field["routes.chat.targets[0]"]["reachable"]:
            break
    assert by_field["routes.chat.targets[0]"]["status"] == 200
    gone = by_field["routes.gone.targets[0]"]
    assert (gone["reachable"], gone["status"]) == (False, None)
    assert gone["reason"]
