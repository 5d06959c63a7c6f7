"""How the gateway's processes start, share their work and end; the last test ends them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.gateway.running import (
    PATIENCE_SECONDS,
    Client,
    Gateway,
    Json,
    Stub,
    get,
    patiently,
    post,
)

pytestmark = [pytest.mark.gateway, pytest.mark.xdist_group("gateway")]

ASKED: Json = {"model": "chat", "messages": [{"role": "user", "content": "one two three"}]}
DRAIN_SECONDS = 10
"""Long enough to be met while it lasts, on a slow machine as well."""


def spec_for(stub: Stub) -> Json:
    return {"routes": {"chat": {"targets": [{"base_url": stub.base_url, "model_name": "chat"}]}}}


@pytest.fixture(scope="module")
def workers(running_stub: Stub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    def with_workers(configuration: Json) -> Json:
        return {**configuration, "workers": 2}

    folder = tmp_path_factory.mktemp("workers")
    gateway = Gateway(
        folder,
        spec_for(running_stub),
        changed=with_workers,
        environment={"MODELFLEET_DRAIN_SECONDS": str(DRAIN_SECONDS)},
    )
    try:
        gateway.wait_until_ready()
        yield gateway
    finally:
        gateway.close()


def ask(gateway: Gateway, **more: Any) -> httpx.Response:
    url = f"{gateway.url}/v1/chat/completions"
    return post(url, json={**ASKED, **more})


def test_a_proxy_without_keys_takes_any_key_or_none(workers: Gateway, stub: Stub) -> None:
    assert ask(workers).status_code == 200
    headers = {"authorization": "Bearer whatever"}
    assert get(f"{workers.url}/v1/models", headers=headers).status_code == 200
    assert {record["key_name"] for record in workers.records} == {""}
    assert "whatever" not in workers.output


def test_workers_share_one_port_and_count_together(workers: Gateway, stub: Stub) -> None:
    with ThreadPoolExecutor(8) as executor:
        replies = list(executor.map(lambda _: ask(workers), range(40)))
    assert {reply.status_code for reply in replies} == {200}
    records = [workers.record(reply.headers["x-request-id"]) for reply in replies]
    assert {record["status"] for record in records} == {200}
    ids = [record["request_id"] for record in workers.records]
    assert len(set(ids)) == len(ids)
    answered = sum(record["path"] == "chat/completions" for record in workers.records)
    expected = 'modelfleet_gateway_requests_total{key="",model="chat",status="200"}'
    for _ in patiently():  # a request is counted behind its record
        metrics = get(f"{workers.internal_url}/metrics").text
        if f"{expected} {answered}.0" in metrics:
            break
    assert f"{expected} {answered}.0" in metrics
    assert "modelfleet_gateway_in_flight 0.0" in metrics


def test_a_worker_that_dies_is_started_anew(workers: Gateway, stub: Stub) -> None:
    first, second = workers.process.children()
    first.kill()
    assert any(not workers.is_ready for _ in patiently())
    assert ask(workers).status_code == 200
    workers.wait_until_ready()
    now = [each.pid for each in workers.process.children()]
    assert second.pid in now
    assert (len(now), first.pid in now) == (2, False)


def late(gateway: Gateway) -> tuple[int, str | None]:
    reply = get(f"{gateway.url}/v1/models")
    return reply.status_code, reply.headers.get("connection")


def test_what_runs_is_finished_when_the_gateway_is_to_end(workers: Gateway, stub: Stub) -> None:
    stub.tell(always={"hold_at_event": 1})
    url = f"{workers.url}/v1/chat/completions"
    asked = {**ASKED, "stream": True}
    with Client() as client, client.stream("POST", url, json=asked) as reply:
        lines = reply.iter_lines()
        next(lines)
        workers.process.terminate()
        told_at = time.monotonic()
        # While it drains it still answers, and asks to connect elsewhere.
        assert any(late(workers) == (200, "close") for _ in patiently())
        assert not workers.is_ready
        time.sleep(max(0.0, told_at + DRAIN_SECONDS + 1 - time.monotonic()))
        assert workers.process.poll() is None
        stub.go_on()
        rest = list(lines)
    assert rest[-2:] == ["data: [DONE]", ""]
    assert workers.process.wait(PATIENCE_SECONDS) == 0
    assert workers.record(reply.headers["x-request-id"])["status"] == 200
