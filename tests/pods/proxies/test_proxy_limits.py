"""Limits that replicas share: exact in Redis, and what happens while that is away.

``shared`` has two replicas, each called on its own, and a Redis beside it with a disk. The tests go
on where the one before has ended, in this order.

A Redis that needs longer than half a second is away, to a gateway; on a slow machine any may, and
then less is counted. What is exact is tried with other keys until Redis was there all the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import httpx
import pytest
from client_pods import PATIENCE_SECONDS, wait_until
from proxies_in_pods import (
    INTERNAL_PORT,
    NO_TLS,
    WINDOW_SECONDS,
    Proxy,
    ask,
    code,
    in_one_window,
    kubectl,
    many,
)
from proxy_world import TEAM, World
from redis_disk import redis_disk
from stub_pod import StubPod

from modelfleet.local import Plane

ATTEMPTS: Final = 5
EXACT: Final[Mapping[str, Mapping[str, int]]] = {
    "rpm": {"rpm": 10},
    "tpm": {"tpm": 50},
    "tph": {"tph": 50},
    "tpd": {"tpd": 50},
    "quota": {"token_quota": 50},
}
"""Limits that are looked at request by request: a key of each for each attempt."""

KEYS: Mapping[str, Mapping[str, Any]] = {
    name: {"key": f"sk-shared-{name}-0123456789", "limits": limits}
    for name, limits in {
        "free": {},
        "tps": {"tps": 10},
        "spent": {"token_quota": 10},
        "spent-today": {"tpd": 10},
        "three": {"rpm": 3},
        **{f"{name}-{n}": limits for name, limits in EXACT.items() for n in range(ATTEMPTS)},
    }.items()
}
LIMITED: Final = (429, "model_rate_limit_exceeded")
USED_UP: Final = (402, "insufficient_quota")
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
        kubectl(world.environment, "rollout", "status", space, name, "--timeout=600s")
    else:
        gone = ("pod/shared-redis-0", "--for=delete", "--timeout=600s")
        kubectl(world.environment, "wait", space, *gone)


def while_redis_is_there(shared: Proxy, *, kind: str, attempt: Callable[[str], None]) -> None:
    """Have ``attempt`` pass with a key of a kind, the first time that Redis is there all the while.

    What it finds in one window is looked at in that window, or again with the next key.
    """

    def times_away() -> int:
        return shared.logs.count("Redis is away")

    before = times_away()
    for number in range(ATTEMPTS):
        window = time.time() // WINDOW_SECONDS.get(kind, math.inf)
        try:
            return attempt(f"{kind}-{number}")
        except (AssertionError, KeyError):
            after = times_away()
            is_over = time.time() // WINDOW_SECONDS.get(kind, math.inf) != window
            if after == before and not is_over:
                raise
            before = after
    raise AssertionError(f"Redis was away in each of {ATTEMPTS} attempts")


def is_refused(http: httpx.Client, name: str, *, as_: tuple[int, str]) -> bool:
    """Whether a key is; Redis may need a while to be seen again, and nothing passes meanwhile."""
    answer = ask_as(http, name)
    assert answer.status_code in (503, as_[0]), answer.text
    return code(answer) == as_


def test_two_replicas_let_exactly_as_many_requests_pass_as_one_would(
    shared: Proxy, replicas: list[httpx.Client], a: StubPod
) -> None:
    def attempt(key: str) -> None:
        a.reset()
        answers = many(lambda number: ask_as(replicas[number % 2], key), 40, at_a_time=16)
        assert sorted(each.status_code for each in answers) == [200] * 10 + [429] * 30
        assert a.count("one") == 10
        refusals = {code(each)[1] for each in answers if each.status_code == 429}
        assert refusals == {"model_rate_limit_exceeded"}

    while_redis_is_there(shared, kind="rpm", attempt=attempt)


@pytest.mark.parametrize("unit", ["tpm", "tph", "tpd", "quota"])
def test_two_replicas_let_exactly_as_many_tokens_pass_as_one_would(
    shared: Proxy, replicas: list[httpx.Client], a: StubPod, unit: str
) -> None:
    expected = USED_UP if unit == "quota" else LIMITED

    def attempt(key: str) -> None:
        before = a.count("one")
        answers = [ask_as(replicas[number % 2], key) for number in range(8)]
        assert [each.status_code for each in answers[:5]] == [200] * 5
        assert [code(each) for each in answers[5:]] == [expected] * 3
        assert a.count("one") == before + 5

    while_redis_is_there(shared, kind=unit, attempt=attempt)


def test_tokens_of_a_second_used_at_one_replica_are_refused_at_the_other(
    replicas: list[httpx.Client],
) -> None:
    here, there = replicas
    refused: list[httpx.Response] = []

    def is_refused_there() -> bool:
        if ask_as(here, "tps").status_code == 200:
            refused.append(ask_as(there, "tps"))
        return bool(refused) and refused[-1].status_code == 429

    wait_until(is_refused_there)  # where a machine is slow, the next second may have begun
    assert "tps of key tps" in refused[-1].text
    time.sleep(int(refused[-1].headers["retry-after"]))
    wait_until(lambda: ask_as(there, "tps").status_code != 503)


def test_a_key_of_one_proxy_opens_no_other(world: World, shared: Proxy, front: Proxy) -> None:
    for proxy, key in ((front, str(KEYS["free"]["key"])), (shared, TEAM)):
        with proxy.http(key) as http:
            for answer in (ask(http, "one"), http.get("/v1/models")):
                assert code(answer) == (401, "incorrect_api_key")


def test_without_its_redis_a_proxy_refuses_what_has_limits_and_serves_what_has_none(
    world: World, replicas: list[httpx.Client], a: StubPod
) -> None:
    spent = {"spent": USED_UP, "spent-today": LIMITED}
    for name, expected in spent.items():
        wait_until(lambda name=name: ask_as(replicas[0], name).status_code == 200)
        for http in replicas:
            wait_until(lambda http=http, name=name: ask_as(http, name).status_code != 200)
            wait_until(lambda http=http, name=name, it=expected: is_refused(http, name, as_=it))
    a.reset()
    scale_redis(world, 0)
    for http in replicas:
        began = time.monotonic()
        assert code(ask_as(http, "spent")) == (503, "service_unavailable")
        refused = time.monotonic()
        assert ask_as(http, "free").status_code == 200
        answered = time.monotonic()
        assert refused - began < 10 + 5 * (answered - refused)
    assert a.count("one") == 2

    scale_redis(world, 1)
    # What was used before is on its disk.
    for name, expected in spent.items():
        for http in replicas:
            wait_until(lambda http=http, name=name, it=expected: is_refused(http, name, as_=it))


def test_counts_outlive_all_pods_of_a_gateway_and_hold_for_the_whole_proxy(
    shared: Proxy, a: StubPod
) -> None:
    before = set(shared.pods)
    limits = {"token_rate_limiter": {"tpd": 10_000}}
    shared.up(redis={"managed": True, "on_failure": "per_replica"}, policies=limits)
    assert before.isdisjoint(shared.pods)
    for number in range(2):
        with shared.http(replica=number) as http:
            wait_until(lambda http=http: is_refused(http, "spent", as_=USED_UP))


def test_as_declared_replicas_count_alone_while_their_redis_is_away_and_then_together_again(
    world: World, shared: Proxy, replicas: list[httpx.Client], a: StubPod
) -> None:
    scale_redis(world, 0)

    def answers() -> list[list[int]]:
        return [[ask_as(http, "three").status_code for _ in range(5)] for http in replicas]

    assert in_one_window("rpm", answers) == [[200, 200, 200, 429, 429]] * 2

    scale_redis(world, 1)
    for number in range(2):
        metrics = f"{shared.url(number, port=INTERNAL_PORT)}/metrics"

        def is_back(number: int = number, metrics: str = metrics) -> bool:
            ask_as(replicas[number], "tpd-0")
            told = httpx.get(metrics, verify=NO_TLS, timeout=PATIENCE_SECONDS).text
            return "modelfleet_gateway_redis_up 1.0" in told

        wait_until(is_back)
    a.script(text="w " * 10_000)
    here, there = replicas
    assert ask_as(here, "free").status_code == 200
    for name in ("free", "three"):
        wait_until(lambda name=name: "tpd of the proxy" in ask_as(there, name).text)
        assert code(ask_as(there, name)) == LIMITED
