"""Two running gateways that count in one real Redis, as two replicas of a proxy do.

While Redis is away one of them is to refuse, and the other to count on its own: of one proxy they
would both do the same.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from redis_server import RedisServer, redis_server
from tests.gateway.running import PATIENCE_SECONDS, Gateway, Stub, get, patiently, post

pytestmark = pytest.mark.xdist_group("redis")

LIMITS: dict[str, dict[str, int]] = {
    "requests": {"rpm": 13},
    "tokens": {"tpd": 60},
    "quota": {"token_quota": 60},
    "steady": {"tpd": 10_000},
    "alone": {"rpm": 1_000},
    "free": {},
}
TOKENS_OF_A_REPLY = 5


class Replicas:
    """The gateways, and callers of them."""

    def __init__(self, closed: Gateway, lenient: Gateway) -> None:
        self.closed, self.lenient = closed, lenient

    def ask(self, gateway: Gateway, caller: str, **more: Any) -> httpx.Response:
        body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], **more}
        headers = {"authorization": f"Bearer {key_of(caller)}"}
        url = f"{gateway.url}/v1/chat/completions"
        return post(url, json=body, headers=headers)

    def ask_often(self, caller: str, *, times: int) -> list[httpx.Response]:
        """Ask both in turn, eight at a time."""
        gateways = itertools.islice(itertools.cycle([self.closed, self.lenient]), times)
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda gateway: self.ask(gateway, caller), gateways))


def key_of(caller: str) -> str:
    return f"sk-{caller}-0123456789abcdef"


def spec_for(stub: Stub, server: RedisServer) -> dict[str, Any]:
    return {
        "routes": {"chat": {"targets": [{"base_url": stub.base_url, "model_name": "served"}]}},
        "api_keys": {name: {"key": key_of(name), "limits": each} for name, each in LIMITS.items()},
        "redis": {"host": "127.0.0.1", "port": server.port, "credential_name": "redis-password"},
        "replicas": 2,
        "cpu": 1,
    }


def lenient(configuration: dict[str, Any]) -> dict[str, Any]:
    configuration["redis"]["on_failure"] = "per_replica"
    return configuration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def replicas(
    running_stub: Stub, server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    spec = spec_for(running_stub, server)
    gateways = [
        # Where a machine is slow, its Redis is not away.
        Gateway(
            tmp_path_factory.mktemp(name),
            spec,
            changed=changed,
            redis_attempt_seconds=PATIENCE_SECONDS,
        )
        for name, changed in (("closed", dict), ("lenient", lenient))
    ]
    try:
        for gateway in gateways:
            gateway.write_secret("redis/password", f"{server.password}\n")
        for gateway in gateways:
            gateway.wait_until_ready()
        yield Replicas(*gateways)
    finally:
        for gateway in gateways:
            gateway.close()


def code_of(response: httpx.Response) -> str:
    return str(response.json()["error"]["code"])


def is_redis_up(gateway: Gateway) -> bool:
    lines = get(f"{gateway.internal_url}/metrics").text.splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith("modelfleet_gateway_redis_up"))
    return float(value) == 1


def test_two_replicas_together_let_through_as_many_requests_as_declared(
    replicas: Replicas, stub: Stub, server: RedisServer
) -> None:
    def minute() -> int:
        return int(time.time() // 60)

    while True:
        began_in = minute()
        answers = replicas.ask_often("requests", times=24)
        if minute() == began_in:
            break
        # A minute began in between, with nothing used.
        stub.reset()
        with server.client as client:
            client.flushall()
    assert Counter(each.status_code for each in answers) == {200: 13, 429: 11}
    assert len(stub.calls) == 13
    refused = next(each for each in answers if each.status_code == 429)
    assert code_of(refused) == "model_rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "rpm of key requests: 13 requests" in refused.json()["error"]["message"]
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
def test_tokens_of_one_replica_are_counted_at_the_other(
    replicas: Replicas, stub: Stub, is_stream: bool
) -> None:
    before = replicas.ask(replicas.lenient, "steady").headers["x-ratelimit-remaining-tokens"]
    answer = replicas.ask(replicas.closed, "steady", stream=is_stream)
    assert answer.status_code == 200
    for _ in patiently():  # the reply may be here before its tokens are there
        after = replicas.ask(replicas.lenient, "steady").headers["x-ratelimit-remaining-tokens"]
        if int(after) <= int(before) - 2 * TOKENS_OF_A_REPLY:
            return
    raise AssertionError(f"{before} tokens were left, and {after} after two replies")


@pytest.mark.parametrize(
    ("caller", "status", "code"),
    [
        ("tokens", 429, "model_rate_limit_exceeded"),
        ("quota", 402, "insufficient_quota"),
    ],
)
def test_a_used_up_budget_is_used_up_at_both(
    replicas: Replicas, stub: Stub, caller: str, status: int, code: str
) -> None:
    replicas.ask_often(caller, times=2 * 60 // TOKENS_OF_A_REPLY)
    for gateway in (replicas.closed, replicas.lenient):
        refused = replicas.ask(gateway, caller)
        assert (refused.status_code, code_of(refused)) == (status, code)
        assert ("retry-after" in refused.headers) is (status == 429)


def test_while_redis_is_away_requests_with_limits_are_refused_or_counted_alone_as_declared(
    replicas: Replicas, stub: Stub, server: RedisServer
) -> None:
    for gateway in (replicas.closed, replicas.lenient):
        assert replicas.ask(gateway, "alone").status_code == 200
        assert replicas.ask(gateway, "quota").status_code == 402
    server.stop()
    try:
        refused = replicas.ask(replicas.closed, "alone")
        assert (refused.status_code, code_of(refused)) == (503, "service_unavailable")
        assert refused.headers["retry-after"] == "1"
        assert replicas.ask(replicas.closed, "free").status_code == 200
        assert replicas.ask(replicas.lenient, "alone").status_code == 200
        assert replicas.ask(replicas.lenient, "quota").status_code == 402  # as it was last seen
        assert not is_redis_up(replicas.closed)
        assert not is_redis_up(replicas.lenient)
    finally:
        server.start()
    for _ in patiently():
        if replicas.ask(replicas.closed, "alone").status_code == 200:
            break
    assert replicas.ask(replicas.closed, "quota").status_code == 402
    assert is_redis_up(replicas.closed)
    for gateway in (replicas.closed, replicas.lenient):
        assert gateway.complaints.count("Redis is away") == 1
        assert server.password not in gateway.complaints
