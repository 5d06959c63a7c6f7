"""modelfleet.client calls what really runs: engines and a gateway in pods, from outside of them.

What it counts as used is what the replies said of themselves.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import openai
import pytest
from client_pods import PATIENCE_SECONDS
from proxies_in_pods import Proxy
from proxy_world import KEYS, TEAM, WEIGHTS, World
from small_services import sentence
from stub_pod import StubPod

from modelfleet.client import Config, ModelProxy, ModelService
from modelfleet.client.usage import Price, Tally
from modelfleet.errors import NotReadyError

ASKED: Final = [{"role": "user", "content": "Who are you?"}]
COUNTED: Final = "same-rights"
TOKENS: Final = ("prompt_tokens", "completion_tokens")


@pytest.fixture(scope="module")
def config(world: World, kubeconfig: Path) -> Config:
    return Config(kubeconfig=kubeconfig, namespace=world.namespace, api_key=TEAM)


@pytest.fixture
def gateway(config: Config, front: Proxy) -> ModelProxy:
    return ModelProxy(model_proxy_name=front.name).set_config(config)


def engine(config: Config, name: str) -> ModelService:
    return ModelService(model_service_name=name).set_config(config)


def test_a_real_engine_answers_under_its_own_name(config: Config) -> None:
    tiny = engine(config, "tiny-chat")
    assert tiny.completion(ASKED).choices[0].message.content == sentence("tiny-chat")
    with tiny.completion(ASKED, stream=True) as stream:
        words = [choice.delta.content or "" for chunk in stream for choice in chunk.choices]
    assert "".join(words) == sentence("tiny-chat")
    assert (tiny.model_info().base_url or "").startswith("http://127.0.0.1:")


def test_a_real_gateway_answers_with_a_key_and_refuses_without(
    gateway: ModelProxy, a: StubPod
) -> None:
    answer = gateway.completion(ASKED, "chat")
    assert answer.choices[0].message.content in map(sentence, WEIGHTS)
    assert len(gateway.embedding("one").data) == 1  # the only route that embeds
    assert gateway.responses("hello", "one").output_text
    with pytest.raises(openai.AuthenticationError) as stranger:
        gateway.completion(ASKED, "chat", api_key="sk-of-nobody-0123456789")
    with pytest.raises(openai.NotFoundError) as misnamed:
        gateway.completion(ASKED, "nobody")
    codes = [caught.value.code for caught in (stranger, misnamed)]
    assert codes == ["incorrect_api_key", "model_not_found"]


async def test_threads_and_coroutines_share_one_way_to_a_real_gateway(gateway: ModelProxy) -> None:
    def answer(_: int) -> str | None:
        return gateway.completion(ASKED, "chat").choices[0].message.content

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(answer, range(16))) <= set(map(sentence, WEIGHTS))
    answers = await asyncio.gather(*(gateway.acompletion(ASKED, "chat") for _ in range(8)))
    assert {each.model for each in answers} == {"chat"}


def test_usage_is_what_the_replies_said_by_key_by_model_and_by_service(
    config: Config, gateway: ModelProxy, a: StubPod
) -> None:
    key = KEYS[COUNTED]["key"]
    before = datetime.now(UTC) - timedelta(seconds=1)  # a record's time is of milliseconds
    counted = Config.with_configs(config, Config(api_key=key))
    chats = [gateway.completion(ASKED, "chat", config=counted) for _ in range(6)]
    other = gateway.completion(ASKED, "one", config=counted)
    prices = {"chat": Price(1.0, 2.0), "one": Price(0.0, 0.0)}

    def usage() -> Any:
        return gateway.usage(since=before, prices=prices)

    def sums(*answers: Any) -> tuple[int, int]:
        said = [answer.usage for answer in answers]
        prompt, completion = ([getattr(each, name) for each in said] for name in TOKENS)
        return sum(prompt), sum(completion)

    of_key = until(lambda: usage().by_key.get(COUNTED), lambda tally: tally and tally.requests == 7)
    assert tuple(getattr(of_key, name) for name in TOKENS) == sums(*chats, other)
    prompt, completion = sums(*chats)
    assert of_key.cost == pytest.approx((prompt + 2 * completion) / 1_000_000)
    assert usage().by_model["chat"].requests >= 6
    assert of_key.failed_requests == 0
    assert usage().proxies == (f"{config.get_namespace()}/{gateway.model_proxy_name}",)
    assert usage().is_complete

    of_services = [engine(config, name).usage(since=before) for name in WEIGHTS]
    assert sum(each.by_key.get(COUNTED, Tally()).requests for each in of_services) == 6
    assert gateway.usage(until=before - timedelta(days=1)).total.requests == 0


def until(look: Any, is_so: Any) -> Any:
    """Return what ``look`` finds once ``is_so``; fails after a while with the last of it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_a_program_goes_on_when_the_pod_it_was_connected_to_dies(
    world: World, config: Config
) -> None:
    mortal = engine(config, "tiny-chat-b")
    told = sentence("tiny-chat-b")
    assert mortal.completion(ASKED).choices[0].message.content == told
    before = mortal.model_info().base_url
    path = f"/api/v1/namespaces/{world.namespace}/pods"
    of_it = {"labelSelector": "modelfleet.dev/name=tiny-chat-b"}

    def pods() -> set[str]:
        return {
            each["metadata"]["uid"] for each in world.api.send("GET", path, params=of_it)["items"]
        }

    killed = pods()
    world.api.send("DELETE", path, params=of_it)
    until(pods, killed.isdisjoint)

    def answered() -> str | None:
        try:
            return mortal.completion(ASKED).choices[0].message.content
        except (NotReadyError, openai.APIConnectionError):  # until the next pod serves
            return None

    assert until(answered, bool) == told
    assert mortal.model_info().base_url == before
