"""What is thrown at a proxy: large and crooked requests, other paths, idle crowds, prying pods.

The last test reads what the gateways printed: no key, no prompt, no address of an upstream.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from client_pods import PATIENCE_SECONDS, ClientPod, client_pod, wait_until
from proxies_in_pods import Proxy, ask, code, question, said
from proxy_world import KEYS, TEAM, World
from stub_pod import StubPod

PROMPT_MARK = "a-prompt-that-no-log-may-hold"

CONNECT = """
import concurrent.futures, socket, sys
def outcome(target):
    try:
        socket.create_connection(target.split(":"), timeout=3).close()
        return "answered"
    except TimeoutError:
        return "timed out"
    except OSError as error:
        return type(error).__name__
targets = sys.argv[1:]
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(",".join(sorted(set(pool.map(outcome, targets)))))
"""
"""Prints what becomes of connections to all targets, ``host:port`` each, where it is the same."""

IDLE_CROWD = """
import json, socket, sys, time, urllib.request
host, port, key, body = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
headers = {"authorization": "Bearer " + key, "content-type": "application/json"}
url = f"http://{host}:{port}/v1/chat/completions"
def seconds_of_five():
    began = time.monotonic()
    for _ in range(5):
        request = urllib.request.Request(url, body.encode(), headers)
        answer = json.load(urllib.request.urlopen(request, timeout=240))
        assert answer["choices"][0]["message"]["content"] == "stub-a answers"
    return round(time.monotonic() - began, 2)
alone = seconds_of_five()
crowd = [socket.create_connection((host, port), timeout=240) for _ in range(1000)]
for each in crowd[::2]:
    each.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nhost: x\\r\\n")
print(alone, seconds_of_five())
"""
"""Prints how long five requests take alone, and beside a thousand connections that do nothing."""


def raw(proxy: Proxy, request: bytes) -> bytes:
    """Send bytes as they are, and return the head and the beginning of the answer."""
    address = urlsplit(proxy.url())
    target = (address.hostname, address.port)
    with socket.create_connection(target, timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer and (part := connection.recv(4096)):
            answer += part
        return answer


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/../admin",
        "/v1/%2e%2e/health",
        "/v1/chat/completions/../../../model/info",
        "/v1/chat%2Fcompletions",
        "//v1/chat/completions",
        "/v1/chat/completions;x=1",
        "/v1/chat/completions//",
        "/v1/model/info",
        "/model/info",
        "/health",
        "/metrics",
        "/upstreams",
        "/routes",
        "/key/generate",
        "/v1/files",
        "/ui/",
        "/openapi.json",
        "/sso/key/generate",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_other_path_leads_anywhere(front: Proxy, a: StubPod, method: str, path: str) -> None:
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TEAM}\r\n"
    body = json.dumps(question("one"))
    answer = raw(front, f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert a.count() == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_a_path_takes_its_own_verb_alone(front: Proxy, a: StubPod, method: str) -> None:
    with front.http(TEAM) as http:
        answer = http.request(method, "/v1/chat/completions", json=question("one"))
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert http.post("/v1/models").status_code == 405
    assert a.count() == 0


@pytest.mark.parametrize(
    "lines",
    [
        "x-litellm-timeout: 0.001",
        "x-forwarded-for: 10.0.0.1",
        "x-litellm-api-key: Bearer sk-something",
        "api-key: sk-something",
        "x-litellm-tags: a,b",
        "litellm-metadata: {}",
        "host: stub-a",
        "x-pass-authorization: Bearer sk-injected",
    ],
)
def test_headers_of_a_caller_reach_neither_litellm_nor_an_upstream(
    front: Proxy, a: StubPod, lines: str
) -> None:
    body = json.dumps(question("one"))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {TEAM}\r\n{lines}\r\n"
    if not lines.startswith("host:"):
        head += "host: x\r\n"
    answer = raw(front, f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    name, _, value = lines.partition(": ")
    (call,) = a.calls
    assert value not in call["headers"].values()
    assert TEAM not in json.dumps(call["headers"])
    assert name == "host" or name not in call["headers"]
    for secret in (b"x-litellm", b"llm_provider", b"x-secret-upstream", a.address.encode()):
        assert secret not in answer.lower()


@pytest.mark.parametrize(
    "request_head",
    [
        "authorization: Bearer {key}\r\nauthorization: Bearer other\r\ncontent-length: 2\r\n",
        "authorization: Bearer {key}\r\ncontent-length: 2\r\ncontent-length: 30\r\n",
        "authorization: Bearer {key}\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n",
        "authorization: Bearer {key}\r\nx-bad\x00name: 1\r\ncontent-length: 2\r\n",
        "authorization: Bearer {key}\r\n folded: 1\r\ncontent-length: 2\r\n",
    ],
)
def test_crooked_heads_are_refused(front: Proxy, a: StubPod, request_head: str) -> None:
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + request_head.format(key=TEAM)
    answer = raw(front, f"{head}\r\n{{}}".encode())
    assert re.match(rb"HTTP/1.1 4\d\d ", answer), answer
    assert a.count() == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"model": 7}', b'{"model": ["one"]}']
)
def test_a_body_that_is_none_is_refused_as_such(front: Proxy, a: StubPod, body: bytes) -> None:
    with front.http(TEAM) as http:
        answer = http.post("/v1/chat/completions", content=body)
    assert code(answer) in ((400, "invalid_request"), (404, "missing_model"))
    assert a.count() == 0


def test_a_body_may_have_ten_megabytes_and_one_that_is_too_large_is_refused_unread(
    front: Proxy, a: StubPod
) -> None:
    with front.http(TEAM) as http:
        assert said(ask(http, "one", "x" * 10_000_000)) == "stub-a answers"
        (call,) = a.calls
        assert len(call["body"]["messages"][0]["content"]) == 10_000_000
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TEAM}\r\n"
    answer = raw(front, f"{head}content-length: 1000000000\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert a.count() == 1


def test_a_prompt_may_have_a_hundred_thousand_tokens(front: Proxy, a: StubPod) -> None:
    with front.http(TEAM) as http:
        answer = ask(http, "one", "word " * 100_000)
    assert said(answer) == "stub-a answers"
    assert answer.json()["usage"]["prompt_tokens"] == 100_000


@pytest.fixture(scope="module")
def neighbour(world: World) -> ClientPod:
    """A pod of the proxy's own namespace."""
    return client_pod(
        world.api,
        world.namespace,
        node="pods-0",
        environment=world.environment,
        name="neighbour",
    )


def test_a_thousand_idle_connections_keep_nobody_from_being_served(
    world: World, front: Proxy, neighbour: ClientPod
) -> None:
    host = urlsplit(front.base_url).hostname or ""
    took = neighbour.python(IDLE_CROWD, host, "80", TEAM, json.dumps(question("one")))
    alone, in_the_crowd = map(float, took.split())
    assert in_the_crowd < 10 + 5 * alone


@pytest.fixture(scope="module")
def stranger(world: World, foreign_namespace: str) -> ClientPod:
    """A pod of another namespace."""
    return client_pod(
        world.api,
        foreign_namespace,
        node="pods-1",
        environment=world.environment,
        name="stranger",
        command=("python3", "-m", "http.server", "8000"),
    )


@pytest.fixture(scope="module")
def foreign_namespace(world: World) -> Iterator[str]:
    name = f"{world.namespace}-x"
    world.api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield name
    world.api.send("DELETE", f"/api/v1/namespaces/{name}")


def test_strangers_cannot_reach_a_gateway_nor_a_gateway_what_it_does_not_serve(
    world: World, front: Proxy, neighbour: ClientPod, stranger: ClientPod
) -> None:
    gateway = front.inside()
    host, address = urlsplit(front.base_url).hostname or "", gateway.status["podIP"]
    inward, metrics = (f"{host}:80", f"{address}:4000"), f"{address}:4001"
    wait_until(lambda: neighbour.python(CONNECT, *inward) == "answered")
    wait_until(lambda: stranger.python(CONNECT, *inward, metrics) == "timed out")
    assert neighbour.python(CONNECT, metrics) == "timed out", "they name keys and models"
    outward = (f"{stranger.status['podIP']}:8000", "kubernetes.default.svc:443")
    wait_until(lambda: neighbour.python(CONNECT, *outward) == "answered")
    assert gateway.run("python", "-c", CONNECT, *outward).strip() == "timed out"


def test_a_gateway_is_nobody_and_writes_nowhere_but_to_its_scratch(front: Proxy) -> None:
    gateway = front.inside()
    assert gateway.run("id", "-u").strip() != "0"
    status = gateway.run("cat", "/proc/1/status")
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    tried = "for place in / /opt /opt/modelfleet /etc/modelfleet/keys /tmp; do "
    tried += "touch $place/x 2>/dev/null && echo $place; done; true"
    assert gateway.run("sh", "-c", tried).split() == ["/tmp"]
    assert "serviceaccount" not in gateway.run("cat", "/proc/mounts")


def test_logs_hold_records_of_requests_and_no_key_prompt_or_address(
    world: World, front: Proxy, a: StubPod
) -> None:
    a.script("two", status=500)
    with front.http(TEAM) as http:
        ask(http, "one", PROMPT_MARK)
        ask(http, "one", PROMPT_MARK, stream=True)
        a.script("one", status=500, body={"error": {"message": f"{PROMPT_MARK} {a.address}"}})
        ask(http, "one", PROMPT_MARK)
        a.script("tried", cut_at_event=1)
        ask(http, "tried", PROMPT_MARK, stream=True)
        ask(http, "guarded", PROMPT_MARK * 1000)
        http.post("/v1/chat/completions", content=PROMPT_MARK)
    with front.http(f"{TEAM}-{PROMPT_MARK}") as http:
        ask(http, "one")
    logs = front.logs
    records = [json.loads(line) for line in logs.splitlines() if line.startswith("{")]
    assert {each["key_name"] for each in records} >= {"team", ""}
    assert {each["status"] for each in records} >= {200, 400, 401, 502}
    assert all(each["request_id"] and "latency_ms" in each for each in records)
    # A record names its upstream, and nothing else does.
    told = re.sub(r'"served_by":"[^"]*"', "", logs)
    for secret in (*(str(each["key"]) for each in KEYS.values()), "Bearer"):
        assert secret not in told
    for content in (PROMPT_MARK, "Who are you", "stub-a answers"):
        assert content not in told
    assert not re.search(r"http://|\.svc|\b198\.1[89]\.\d+\.\d+|\b10\.\d+\.\d+\.\d+", told)
