"""Calling models through services of a real API server, with a real HTTP server as their engine.

The server records every request, so that each test sees what was sent and not what was meant.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import openai
import pytest
from fleets import desired, external
from openai.types.chat import ChatCompletion

from modelfleet.client import (
    Config,
    HTTPError,
    ModelClient,
    ModelService,
    ModelServiceUpdateInput,
    ProviderSettings,
    ResourceNotExistError,
    addresses,
)
from modelfleet.cluster.client import Client
from modelfleet.errors import ModelFleetError
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api
from tests.gateway.running import Stub

KEY: Final = "sk-of-the-engine-0001"
ASKED: Final = [{"role": "user", "content": "Who are you?"}]
ANSWER: Final = "upstream answers"
WEATHER: Final = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


CREDENTIALS = {
    "credited": "provider",
    "uncredited": "forgotten",
    "miscredited": "provider/other_key",
}


@pytest.fixture(scope="module")
def running_stub() -> Iterator[Stub]:
    stub = Stub("--name", "upstream", "--api-key", KEY)
    yield stub
    stub.close()


@pytest.fixture
def stub(running_stub: Stub) -> Stub:
    running_stub.reset()
    return running_stub


@pytest.fixture(scope="module")
def config(plane_api: Api, running_stub: Stub, fleet_kubeconfig: Path) -> Iterator[Config]:
    """Where a few services are that run at the stub."""
    namespace = f"t-{uuid.uuid4().hex[:10]}"
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": namespace}})
    plane_api.send(
        "POST",
        f"/api/v1/namespaces/{namespace}/secrets",
        json={"metadata": {"name": "provider"}, "stringData": {"api_key": KEY}},
    )
    at_the_stub = {"base_url": running_stub.base_url}
    services: dict[str, dict[str, Any]] = {
        "talker": {**at_the_stub, "model_names": ["tiny", "small"], "api_key": KEY},
        "nameless": {**at_the_stub, "api_key": KEY},
        "keyless": {**at_the_stub, "model_names": ["tiny"]},
        "credited": {**at_the_stub, "model_names": ["tiny"]},
        "uncredited": {**at_the_stub, "model_names": ["tiny"]},
        "miscredited": {**at_the_stub, "model_names": ["tiny"]},
        "rotated": {**at_the_stub, "model_names": ["tiny"], "api_key": "sk-of-another-time"},
    }

    async def applied() -> None:
        fleet = Fleet(Client.connect(kubeconfig=str(fleet_kubeconfig)))
        for name, settings in services.items():
            inputs = {**external(namespace, **settings), "model_service_name": name}
            if name in CREDENTIALS:
                inputs["credential_name"] = CREDENTIALS[name]
            await fleet.apply(desired(inputs, owner="modelfleet-client"))
        await fleet.aclose()

    asyncio.run(applied())
    yield Config(kubeconfig=fleet_kubeconfig, namespace=namespace)
    plane_api.send("DELETE", f"/api/v1/namespaces/{namespace}")


def service(config: Config, name: str = "talker") -> ModelService:
    return ModelService(model_service_name=name).set_config(config)


@pytest.fixture
def talker(config: Config) -> ModelService:
    return service(config)


def sent(stub: Stub) -> dict[str, Any]:
    """Return the body of the one request that came."""
    (call,) = stub.calls
    body: dict[str, Any] = call["body"]
    return body


# -- what is sent, and what comes back -----------------------------------------------------


def test_a_completion_is_openais_own_and_its_request_has_nothing_that_was_not_said(
    talker: ModelService, stub: Stub
) -> None:
    answer = talker.completion(ASKED)
    assert isinstance(answer, ChatCompletion)
    assert answer.choices[0].message.content == ANSWER
    assert sent(stub) == {"messages": ASKED, "model": "tiny"}
    (call,) = stub.calls
    assert call["headers"]["authorization"] == f"Bearer {KEY}"
    assert not {"openai-organization", "openai-project"} & set(call["headers"])


async def test_the_async_form_sends_and_returns_the_same(talker: ModelService, stub: Stub) -> None:
    answer = await talker.acompletion(ASKED, model="small", temperature=0)
    assert answer.choices[0].message.content == ANSWER
    assert sent(stub) == {"messages": ASKED, "model": "small", "temperature": 0}


def test_streams_tools_and_json_mode_pass_through_as_they_are(
    talker: ModelService, stub: Stub
) -> None:
    with talker.completion(ASKED, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    words = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(words) == ANSWER
    assert chunks[-1].usage is not None

    called = talker.completion(ASKED, tools=[WEATHER], tool_choice="required")
    assert called.choices[0].message.tool_calls is not None
    assert called.choices[0].message.tool_calls[0].id == "call_1"

    answer = talker.completion(ASKED, response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content or "") == {"ok": True}

    bodies = [call["body"] for call in stub.calls]
    asked = {"messages": ASKED, "model": "tiny"}
    assert bodies == [
        {**asked, "stream": True, "stream_options": {"include_usage": True}},
        {**asked, "tools": [WEATHER], "tool_choice": "required"},
        {**asked, "response_format": {"type": "json_object"}},
    ]


async def test_an_async_stream_is_awaited_and_then_gone_through(
    talker: ModelService, stub: Stub
) -> None:
    words = ""
    async with await talker.acompletion(ASKED, stream=True) as stream:
        async for chunk in stream:
            words += "".join(choice.delta.content or "" for choice in chunk.choices)
    assert words == ANSWER
    assert sent(stub)["stream"] is True


def test_the_first_generations_shape_is_positional_and_tells_of_its_age(
    talker: ModelService, stub: Stub, config: Config
) -> None:
    with pytest.warns(DeprecationWarning, match=r"completions\(\) is deprecated"):
        answer = talker.completions(ASKED, "small")
    assert answer.choices[0].message.content == ANSWER
    with pytest.warns(DeprecationWarning), talker.completions(ASKED, None, True) as stream:
        assert list(stream)
    with pytest.warns(DeprecationWarning):
        talker.completions(messages=ASKED, config=Config(headers={"x-team": "blue"}))
    assert [call["body"]["model"] for call in stub.calls] == ["small", "tiny", "tiny"]
    assert stub.calls[-1]["headers"]["x-team"] == "blue"


async def test_responses_take_input_by_both_of_its_names_and_stream(
    talker: ModelService, stub: Stub
) -> None:
    assert talker.responses("Who are you?").output_text == ANSWER
    assert talker.responses(messages=ASKED, instructions="Be brief.").output_text == ANSWER
    assert (await talker.aresponses("Who are you?", "small")).output_text == ANSWER
    with talker.responses("Who are you?", stream=True) as events:
        assert [event.type for event in events][-1] == "response.completed"
    with pytest.raises(ValueError, match="two names of one thing"):
        talker.responses("this", messages="that")
    assert [call["path"] for call in stub.calls] == ["/v1/responses"] * 4
    assert stub.calls[1]["body"] == {
        "input": ASKED,
        "model": "tiny",
        "instructions": "Be brief.",
    }


async def test_embeddings_are_numbers_whichever_way_they_were_sent(
    talker: ModelService, stub: Stub
) -> None:
    embedded = talker.embedding(["one", "three"], "vectors", dimensions=3)
    assert [each.embedding for each in embedded.data] == [[3.0, 0.5, -1.0], [5.0, 0.5, -1.0]]
    pending = talker.aembedding(input="seven", model="vectors", encoding_format="float")
    assert (await pending).data[0].embedding == [5.0, 0.5, -1.0]
    assert stub.calls[0]["body"]["dimensions"] == 3


def test_what_only_an_engine_knows_goes_into_the_body(talker: ModelService, stub: Stub) -> None:
    talker.completion(ASKED, top_k=20, extra_body={"min_p": 0.1})
    assert sent(stub) == {"messages": ASKED, "model": "tiny", "top_k": 20, "min_p": 0.1}


def test_headers_of_the_config_go_with_every_call_and_those_of_a_call_win(
    config: Config, stub: Stub
) -> None:
    asking = service(Config.with_configs(config, Config(headers={"x-team": "blue", "x-run": "1"})))
    assert asking.model_info().headers == {"x-team": "blue", "x-run": "1"}
    asking.completion(ASKED, headers={"x-run": "2"}, extra_headers={"x-last": "3"})
    asking.embedding("one", "vectors")
    told = [
        {name: call["headers"].get(name) for name in ("x-team", "x-run", "x-last")}
        for call in stub.calls
    ]
    assert told == [
        {"x-team": "blue", "x-run": "2", "x-last": "3"},
        {"x-team": "blue", "x-run": "1", "x-last": None},
    ]


# -- which model, at which address, with which key -----------------------------------------


def test_model_info_is_enough_for_any_client_and_does_not_show_its_key(
    talker: ModelService, stub: Stub
) -> None:
    info = talker.model_info()
    assert info.base_url == stub.base_url
    assert (info.model, info.api_key, info.provider) == ("tiny", KEY, "openai")
    assert info.address == "its own base_url"
    assert KEY not in repr(info)
    with openai.OpenAI(base_url=info.base_url, api_key=info.api_key) as client:
        answer = client.chat.completions.create(model=info.model or "", messages=ASKED)  # type: ignore[arg-type]
    assert answer.choices[0].message.content == ANSWER


def test_the_key_may_be_that_of_a_named_secret(config: Config, stub: Stub) -> None:
    assert service(config, "credited").completion(ASKED).model == "tiny"
    assert stub.calls[0]["headers"]["authorization"] == f"Bearer {KEY}"


def test_a_key_that_was_changed_is_used_at_once(config: Config, stub: Stub) -> None:
    rotated = service(config, "rotated")
    with pytest.raises(openai.AuthenticationError):
        rotated.completion(ASKED)
    rotated.update(ModelServiceUpdateInput(provider_settings=ProviderSettings(api_key=KEY)))
    assert rotated.completion(ASKED).choices[0].message.content == ANSWER


def test_a_key_of_the_call_goes_before_all_others(talker: ModelService, stub: Stub) -> None:
    with pytest.raises(openai.AuthenticationError):
        talker.completion(ASKED, api_key="sk-of-nobody")
    assert stub.calls[0]["headers"]["authorization"] == "Bearer sk-of-nobody"


def test_keys_that_are_for_somebody_else_are_not_sent(
    config: Config, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL"):
        monkeypatch.setenv(f"OPENAI_{variable}", "http://of-openai.example.com")
    monkeypatch.setenv("MODELFLEET_API_KEY", "sk-of-a-gateway-0001")
    with pytest.raises(openai.AuthenticationError):
        service(config, "keyless").completion(ASKED)
    (call,) = stub.calls
    assert "authorization" not in call["headers"]
    assert "of-openai" not in json.dumps(call["headers"])
    assert "of-a-gateway" not in json.dumps(call["headers"])


def test_where_no_model_is_declared_a_call_has_to_name_one(config: Config, stub: Stub) -> None:
    nameless = service(config, "nameless")
    assert nameless.model_info().model == ""
    with pytest.raises(ValueError, match=r"nameless declares no model name.*give model="):
        nameless.completion(ASKED)
    assert nameless.completion(ASKED, "any").model == "any"
    assert len(stub.calls) == 1


def test_who_is_not_there_is_told_as_agentrun_does(config: Config) -> None:
    with pytest.raises(ResourceNotExistError):
        service(config, "nobody").completion(ASKED)
    with pytest.raises(ValueError, match="model_service_name is required"):
        ModelService().completion(ASKED)


# -- what fails ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "raised"),
    [
        ({"status": 400}, openai.BadRequestError),
        ({"status": 404}, openai.NotFoundError),
        ({"status": 429}, openai.RateLimitError),
        ({"status": 500}, openai.InternalServerError),
        ({"close": True}, openai.APIConnectionError),
        ({"delay_seconds": 600}, openai.APITimeoutError),
    ],
)
async def test_what_openais_client_raises_passes_as_it_is(
    talker: ModelService, stub: Stub, told: dict[str, Any], raised: type[openai.APIError]
) -> None:
    stub.tell(always=told)
    is_late = raised is openai.APITimeoutError
    patience = {"max_retries": 0, "timeout": openai.Timeout(240, read=0.5 if is_late else 240)}
    with pytest.raises(raised) as caught:
        talker.completion(ASKED, **patience)
    assert KEY not in str(caught.value)
    with pytest.raises(raised):
        await talker.acompletion(ASKED, **patience)
    async with asyncio.timeout(240):
        # Who has no patience may be gone before it is heard.
        while len(stub.calls) < 2:  # noqa: ASYNC110 - a process, not a task
            await asyncio.sleep(0.05)
    assert len(stub.calls) == 2


def test_a_stream_that_ends_with_an_error_raises_it(talker: ModelService, stub: Stub) -> None:
    stub.tell({"error_at_event": 1})
    with talker.completion(ASKED, stream=True) as stream:
        next(stream)
        with pytest.raises(openai.APIError, match="the engine fell over"):
            list(stream)


def test_what_fails_for_a_moment_is_tried_again(talker: ModelService, stub: Stub) -> None:
    stub.tell({"status": 503, "headers": {"retry-after-ms": "1"}})
    assert talker.completion(ASKED).choices[0].message.content == ANSWER
    assert len(stub.calls) == 2


def test_a_cluster_that_refuses_is_told_with_its_status(
    config: Config, kubeconfig_of_nobody: str
) -> None:
    asking = service(Config.with_configs(config, Config(kubeconfig=kubeconfig_of_nobody)))
    with pytest.raises(HTTPError) as caught:
        asking.completion(ASKED)
    assert caught.value.status_code == 403


@pytest.fixture
def kubeconfig_of_nobody(fleet_kubeconfig: Path) -> str:
    text = fleet_kubeconfig.read_text()
    assert "as: fleet-under-test" in text
    return text.replace("as: fleet-under-test", "as: nobody-in-particular")


# -- many at once --------------------------------------------------------------------------


def test_many_threads_may_call_at_the_same_time(talker: ModelService, stub: Stub) -> None:
    stub.tell(always={"delay_seconds": 0.05})

    def answer(number: int) -> str | None:
        asked = [{"role": "user", "content": str(number)}]
        return talker.completion(asked).choices[0].message.content

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(answer, range(64))) == {ANSWER}
    said = {call["body"]["messages"][0]["content"] for call in stub.calls}
    assert said == {str(number) for number in range(64)}


def test_coroutines_call_at_the_same_time_on_any_event_loop(
    talker: ModelService, stub: Stub
) -> None:
    stub.tell(always={"delay_seconds": 0.05})

    async def all_at_once() -> int:
        answers = await asyncio.gather(*(talker.acompletion(ASKED) for _ in range(32)))
        return len({answer.choices[0].message.content for answer in answers})

    assert [asyncio.run(all_at_once()) for _ in range(2)] == [1, 1]
    assert len(stub.calls) == 64


def test_a_thousand_calls_cost_the_cluster_no_thousand_requests(
    stub: Stub,
    config: Config,
    fleet_kubeconfig: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A connection that nobody else uses, and on which five seconds are long.
    monkeypatch.setattr(addresses, "KEPT_SECONDS", 3600)
    own = tmp_path / "kubeconfig"
    own.write_text(fleet_kubeconfig.read_text())
    aside = Config.with_configs(config, Config(kubeconfig=own))
    with ModelClient(aside):
        talker = service(aside)
        talker.completion(ASKED)
        before = _requests_of(aside)
        for _ in range(20):
            talker.completion(ASKED)
        assert _requests_of(aside) - before <= 2  # a watch that is opened anew


def _requests_of(config: Config) -> int:
    from modelfleet import background
    from modelfleet.client.connections import connected

    async def counted() -> int:
        async with connected(config) as connection:
            return sum(connection.fleet.client.requests.values())

    return background.run(counted())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("uncredited", "/forgotten does not exist"),
        ("miscredited", "/provider has nothing under other_key"),
    ],
)
def test_a_key_that_is_not_where_it_should_be_is_told_before_anything_is_sent(
    config: Config, stub: Stub, name: str, told: str
) -> None:
    for call in (service(config, name).model_info, lambda: service(config, name).completion(ASKED)):
        with pytest.raises(ModelFleetError, match=told) as caught:
            call()
        assert "credential_name" in str(caught.value)
    assert not stub.calls
