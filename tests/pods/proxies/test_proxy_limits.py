"""Limits that replicas share: exact in Redis, and what happens while that is away.

``shared`` has two replicas, each called on its own, and a Redis beside it with a disk. The tests go
on where the one before has ended, in this order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from client_pods import wait_until
from proxies_in_pods import INTERNAL_PORT, Proxy, ask, code, kubectl, many, said
from proxy_world import TEAM, World
from redis_disk import redis_disk
from stub_pod import StubPod
from test_proxy_refusals import early_in

from modelfleet.local import Plane

KEYS: Mapping[str, Mapping[str, Any]] = {
    name: {"key": f"sk-shared-{name}-0123456789", "limits": limits}
    for name, limits in {
        "free": {},
        "rpm": {"rpm": 10},
        "tps": {"tps": 10},
        "tpm": {"tpm": 50},
        "tph": {"tph": 50},
        "tpd": {"tpd": 50},
        "quota": {"token_quota": 50},
        "three": {"rpm": 3},
    }.items()
}
TEN_TOKENS = "a b c d e f g"
"""An answer that makes ten tokens of a question of three words."""


@pytest.fixture(scope="module")
def made(world: World, real_plane: Plane) -> Iterator[Proxy]:
    """A proxy with two replicas that count in a Redis of its own."""
    route = {
        "targets": [{"base_url": world.a.base_url, "model_name": "one"}],
        "policies": {"num_retries": 0},
    }
    proxy = world.proxy(
        "shared", routes={"one": route}, api_keys=KEYS, replicas=2, redis={"managed": True}
    )
    with redis_disk(real_plane, world.api, namespace=world.namespace, proxy="shared"):
        proxy.up()
        yield proxy


@pytest.fixture
def shared(made: Proxy, a: StubPod) -> Proxy:
    a.script(text=TEN_TOKENS)
    return made


@pytest.fixture
def replicas(shared: Proxy) -> Iterator[list[httpx.Client]]:
    """A client without a key for each replica."""
    clients = [shared.http(replica=number) for number in range(2)]
    yield clients
    for each in clients:
        each.close()


def ask_as(http: httpx.Client, name: str) -> httpx.Response:
    return http.post(
        "/v1/chat/completions",
        json={"model": "one", "messages": [{"role": "user", "content": "Who are you?"}]},
        headers={"authorization": f"Bearer {KEYS[name]['key']}"},
    )


def scale_redis(world: World, count: int) -> None:
    """Stop the Redis, or start it, and wait until that is done."""
    name, space = "statefulset/shared-redis", f"--namespace={world.namespace}"
    kubectl(world.environment, "scale", space, name, f"--replicas={count}")
    if count:
        kubectl(world.environment, "rollout", "status", space, name, "--timeout=90s")
    else:
        kubectl(world.environment, "wait", space, "pod/shared-redis-0", "--for=delete")


def test_two_replicas_let_exactly_as_many_requests_pass_as_one_would(
    replicas: list[httpx.Client], a: StubPod
) -> None:
    early_in("rpm")
    answers = many(lambda number: ask_as(replicas[number % 2], "rpm"), 40, at_a_time=16)
    assert sorted(each.status_code for each in answers) == [200] * 10 + [429] * 30
    assert a.count("one") == 10
    assert {code(each)[1] for each in answers if each.status_code == 429} == {
        "model_rate_limit_exceeded"
    }


@pytest.mark.parametrize("unit", ["tpm", "tph", "tpd", "quota"])
def test_two_replicas_let_exactly_as_many_tokens_pass_as_one_would(
    replicas: list[httpx.Client], a: StubPod, unit: str
) -> None:
    if unit != "quota":
        early_in(unit)
    answers = [ask_as(replicas[number % 2], unit) for number in range(8)]
    assert [each.status_code for each in answers[:5]] == [200] * 5
    expected = (402, "insufficient_quota")
    if unit != "quota":
        expected = (429, "model_rate_limit_exceeded")
    assert [code(each) for each in answers[5:]] == [expected] * 3
    assert a.count("one") == 5


def test_tokens_of_a_second_used_at_one_replica_are_refused_at_the_other(
    replicas: list[httpx.Client],
) -> None:
    here, there = replicas
    for _ in range(20):
        assert said(ask_as(here, "tps")) == TEN_TOKENS
        if (refused := ask_as(there, "tps")).status_code == 429:
            break
    assert "tps of key tps" in refused.text
    time.sleep(int(refused.headers["retry-after"]))
    assert said(ask_as(there, "tps")) == TEN_TOKENS


def test_a_key_of_one_proxy_opens_no_other(world: World, shared: Proxy, front: Proxy) -> None:
    for proxy, key in ((front, str(KEYS["free"]["key"])), (shared, TEAM)):
        with proxy.http(key) as http:
            for answer in (ask(http, "one"), http.get("/v1/models")):
                assert code(answer) == (401, "incorrect_api_key")


def test_without_its_redis_a_proxy_refuses_what_has_limits_and_serves_what_has_none(
    world: World, replicas: list[httpx.Client], a: StubPod
) -> None:
    scale_redis(world, 0)
    for http in replicas:
        began = time.monotonic()
        assert code(ask_as(http, "tph")) == (503, "service_unavailable")
        assert time.monotonic() - began < 10
        assert said(ask_as(http, "free")) == TEN_TOKENS
    assert a.count("one") == 2

    scale_redis(world, 1)
    for http in replicas:
        wait_until(lambda http=http: ask_as(http, "quota").status_code != 503)
        # What was used before is on its disk.
        assert code(ask_as(http, "quota")) == (402, "insufficient_quota")
        assert code(ask_as(http, "tpd")) == (429, "model_rate_limit_exceeded")


def test_counts_outlive_all_pods_of_a_gateway_and_hold_for_the_whole_proxy(
    shared: Proxy, a: StubPod
) -> None:
    before = set(shared.pods)
    limits = {"token_rate_limiter": {"tpd": 10_000}}
    shared.up(redis={"managed": True, "on_failure": "per_replica"}, policies=limits)
    assert before.isdisjoint(shared.pods)
    for number in range(2):
        with shared.http(replica=number) as http:
            assert code(ask_as(http, "quota")) == (402, "insufficient_quota")


def test_as_declared_replicas_count_alone_while_their_redis_is_away_and_then_together_again(
    world: World, shared: Proxy, replicas: list[httpx.Client], a: StubPod
) -> None:
    scale_redis(world, 0)
    early_in("rpm", needed_seconds=8)
    for http in replicas:
        answers = [ask_as(http, "three").status_code for _ in range(5)]
        assert answers == [200, 200, 200, 429, 429]

    scale_redis(world, 1)
    for number in range(2):
        metrics = f"{shared.url(number, port=INTERNAL_PORT)}/metrics"

        def is_back(number: int = number, metrics: str = metrics) -> bool:
            ask_as(replicas[number], "rpm")
            return "modelfleet_gateway_redis_up 1.0" in httpx.get(metrics).text

        wait_until(is_back)
    a.script(text="w " * 10_000)
    here, there = replicas
    assert ask_as(here, "free").status_code == 200
    for name in ("free", "three"):
        refused = ask_as(there, name)
        assert code(refused) == (429, "model_rate_limit_exceeded")
        assert "tpd of the proxy" in refused.text
