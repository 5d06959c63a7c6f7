"""A proxy that changes while it is used: keys without a restart, its configuration without loss.

Keys are timed inside the pod, from the moment on that the mounted file has changed. The kubelet may
take its time to bring it, which is none of the gateway's.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from client_pods import PATIENCE_SECONDS, Load, wait_until
from proxies_in_pods import Proxy, ask, code, refused_when_used_up
from proxy_world import KEYS, TEAM, World
from small_services import sentence
from stub_pod import StubPod

ADDED = "sk-added-0123456789abcdef"
REVOKED = str(KEYS["same-rights"]["key"])

WATCH = """
import hashlib, json, sys, time, urllib.error, urllib.request
key, wanted, moment = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
digest = hashlib.sha256(key.encode()).hexdigest()
def entry():
    return json.load(open("/etc/modelfleet/keys/keys.json"))["keys"].get(digest)
def status():
    url = "http://127.0.0.1:4000/v1/models"
    request = urllib.request.Request(url, headers={"authorization": "Bearer " + key})
    try:
        return urllib.request.urlopen(request, timeout=240).status
    except urllib.error.HTTPError as error:
        return error.code
before = entry()
print(status(), flush=True)
while entry() == before:
    time.sleep(0.05)
changed = last = max(time.time(), moment)
while (asked := time.time()) and status() != wanted:
    last = asked
    time.sleep(0.05)
print(round(last - changed, 2))
"""
"""Prints what a key's status is, and how long after a change of its entry the last request began
that did not find the wanted one: after a later ``moment``, where it is to be in force only then.

How long an answer takes does not count: that is not the keys' doing."""


class Watched:
    """A key that is watched from inside of a gateway's pod, while it changes."""

    def __init__(self, proxy: Proxy, key: str, wanted: int, *, moment: float = 0) -> None:
        pod = proxy.inside()
        program = ["python", "-c", WATCH, key, str(wanted), str(moment)]
        self._process = subprocess.Popen(
            ["kubectl", "exec", "--namespace", pod.namespace, pod.name, "--", *program],
            env=pod.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._printed = self._process.stdout
        self.status_before = int(self._printed.readline())

    @property
    def lag_seconds(self) -> float:
        """How long after the change a request began for which it was not yet in force."""
        with self._process:
            return float(self._printed.readline())


@contextmanager
def asked_all_the_time(proxy: Proxy, key: str) -> Iterator[list[int]]:
    """Ask with a key over and over; gives the statuses of the answers."""
    statuses: list[int] = []
    is_over = threading.Event()

    def go_on() -> None:
        with proxy.http(key) as http:
            while not is_over.is_set():
                statuses.append(ask(http, "one").status_code)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield statuses
    finally:
        is_over.set()
        thread.join()


def test_keys_come_and_go_within_two_seconds_of_their_file_and_others_notice_nothing(
    front: Proxy,
) -> None:
    pods = front.pods
    keys = {name: each for name, each in KEYS.items() if name != "same-rights"}
    with asked_all_the_time(front, TEAM) as statuses:
        added, revoked = Watched(front, ADDED, 200), Watched(front, REVOKED, 401)
        assert (added.status_before, revoked.status_before) == (401, 200)
        began = time.monotonic()
        front.up(api_keys={**keys, "added": {"key": ADDED}})
        took = time.monotonic() - began
        # An up ends when the keys are in force, and not before.
        for key, expected in ((ADDED, 200), (REVOKED, 401)):
            with front.http(key) as http:
                assert ask(http, "one").status_code == expected
        lags = (added.lag_seconds, revoked.lag_seconds)
        print(f"an up with other keys took {took:.1f} s; in force {lags} s after the file changed")
        assert max(lags) <= 2

        # Behind the end of the next up, so that nothing but time makes it expire.
        expiry = time.time() + 3 + 1.5 * took
        expired = Watched(front, ADDED, 401, moment=expiry)
        expires_at = datetime.fromtimestamp(expiry, UTC).isoformat()
        front.up(api_keys={**KEYS, "added": {"key": ADDED, "expires_at": expires_at}})
        assert expired.status_before == 200
        assert expired.lag_seconds <= 2
    assert set(statuses) == {200}
    assert len(statuses) > 5
    assert front.pods == pods


@pytest.fixture(scope="module")
def lone(world: World) -> Proxy:
    """A proxy of one replica that whoever can connect may use."""

    def to(base_url: str, **more: Any) -> dict[str, Any]:
        return {"targets": [{"base_url": base_url, **more}], "policies": {"num_retries": 0}}

    routes = {
        "steady": {"targets": [{"service": "tiny-chat"}], "policies": {"num_retries": 0}},
        "one": to(world.a.base_url, model_name="one"),
    }
    proxy = world.proxy("lone", routes=routes)
    proxy.up()
    return proxy


def test_a_new_configuration_under_load_fails_no_request_and_cuts_no_stream(
    world: World, lone: Proxy, a: StubPod
) -> None:
    before = lone.pods
    load = Load(world.api, world.namespace, environment=world.environment)
    load.start(url=lone.base_url.removesuffix("/v1"), text=sentence("tiny-chat"), model="steady")
    a.script(hold_at_event=2, text="word " * 39 + "end")

    def long_stream() -> str:
        with lone.http() as http:
            return ask(http, "one", stream=True).text

    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(long_stream)
        wait_until(lambda: a.count("one") == 1)
        lone.up(policies={"token_rate_limiter": {"tph": 1_000_000}})
        assert set(before).isdisjoint(lone.pods)
        a.go_on()
        with lone.http() as http:
            assert http.post("/v1/embeddings", json={}).status_code == 404
        told = stream.result(PATIENCE_SECONDS)
    time.sleep(1)
    counts = load.end()
    print(f"load: {counts}\n", *counts.failures, sep="\n")
    assert counts.failures == []
    assert all(count > 0 for count in counts.requests.values())
    assert told.count("word") == 39
    assert told.rstrip().endswith("data: [DONE]")


def test_tokens_of_a_whole_proxy_are_refused_to_everybody_once_they_are_used_up(
    lone: Proxy, a: StubPod
) -> None:
    def refusal(unit: str, tokens: int) -> httpx.Response:
        a.script(text="w " * tokens)
        with lone.http() as http:
            return refused_when_used_up(http, "one", unit=unit, then="steady")

    refused = refusal("tph", 1_000_000)
    assert code(refused) == (429, "model_rate_limit_exceeded")
    assert "tph of the proxy" in refused.text

    lone.up(policies={"token_rate_limiter": {"tps": 10, "tpm": 1_000_000}})
    refused = refusal("tps", 10)
    assert "tps of the proxy" in refused.text
    time.sleep(int(refused.headers["retry-after"]))
    refused = refusal("tpm", 1_000_000)
    assert "tpm of the proxy" in refused.text
    assert 0 < int(refused.headers["retry-after"]) <= 60
