"""One gateway in front of one stub for all tests here: it takes ten seconds to start.

Each test has access names of its own where it changes what the stub does, and finds it reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.gateway.running import NO_TLS, PATIENCE_SECONDS, Client, Gateway, Stub, free_port

KEYS = {
    "all": "sk-everything-0000000001",
    "team": "sk-of-one-team-000000001",
    "late": "sk-expired-long-ago-0001",
    "few": "sk-two-requests-00000001",
}
CREDENTIAL = "sk-of-the-upstream-00001"


def spec_for(stub: Stub) -> dict[str, Any]:
    """Access names for all that is tried; ``served-…`` is what the stub is asked for.

    None gives up on what is slow but ``hasty``, which never gets an answer, and ``brisk``, which
    gets the beginning of one.
    """

    def target(name: str, **more: Any) -> dict[str, Any]:
        return {"base_url": stub.base_url, "model_name": f"served-{name}", **more}

    def route(name: str, *, policies: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        given = {"num_retries": 1, "request_timeout": PATIENCE_SECONDS, **(policies or {})}
        return {"targets": [target(name)], "policies": given, **more}

    guard = {"check_request": True, "check_response": True, "blocked_words": ["forbidden"]}
    return {
        "routes": {
            "chat": route("chat"),
            "team/chat": route("team"),
            "once": route("once", policies={"num_retries": 0}),
            "hasty": route("hasty", policies={"num_retries": 0, "request_timeout": 1}),
            "brisk": route("brisk", policies={"num_retries": 0, "request_timeout": 5}),
            "backed": route("backed", policies={"num_retries": 2}, fallbacks=["once"]),
            "split": {
                "targets": [target("a", weight=80), target("b", weight=20)],
                "policies": {"num_retries": 1, "request_timeout": PATIENCE_SECONDS},
            },
            "gone": {
                "targets": [
                    {"base_url": f"http://127.0.0.1:{free_port()}/v1", "model_name": "gone"}
                ],
                "policies": {"num_retries": 2, "request_timeout": PATIENCE_SECONDS},
            },
            "locked": {"targets": [target("locked", credential_name="upstream-key")]},
            "cached": route("cached", policies={"cache": True}),
            "guarded": route("guarded", policies={"ai_guardrail_config": guard}),
            "narrow": route("narrow", policies={"concurrency_limit": 1}),
            "counted": route("counted", policies={"token_rate_limiter": {"tpd": 5}}),
            "vectors": route("vectors", model_type="text-embedding"),
            "order": route("order", model_type="rerank"),
            "ears": route("ears", model_type="speech2text"),
            "voice": route("voice", model_type="tts"),
        },
        "api_keys": {
            "all": {"key": KEYS["all"]},
            "team": {
                "key": KEYS["team"],
                "models": {"allow": ["team/*", "cached", "locked"], "deny": ["lock*"]},
            },
            "late": {"key": KEYS["late"], "expires_at": "2020-01-01T00:00:00Z"},
            "few": {"key": KEYS["few"], "limits": {"rpm": 2}},
        },
    }


@pytest.fixture(scope="session")
def running_stub() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.close()


@pytest.fixture(scope="session")
def gateway(running_stub: Stub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    gateway = Gateway(folder, spec_for(running_stub), credentials={0: CREDENTIAL})
    try:
        gateway.wait_until_ready()
        yield gateway
    finally:
        gateway.close()


@pytest.fixture
def stub(running_stub: Stub) -> Stub:
    running_stub.reset()
    return running_stub


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai_client(gateway, KEYS["all"]) as client:
        yield client


def openai_client(gateway: Gateway, key: str) -> openai.OpenAI:
    """OpenAI's own client, which is told to give up at the first error."""
    return openai.OpenAI(
        base_url=f"{gateway.url}/v1",
        api_key=key,
        max_retries=0,
        timeout=PATIENCE_SECONDS,
        http_client=openai.DefaultHttpxClient(verify=NO_TLS),
    )


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {KEYS['all']}"}
    with Client(base_url=gateway.url, headers=headers) as http:
        yield http
