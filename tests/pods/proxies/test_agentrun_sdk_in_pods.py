"""AgentRun's own SDK, unmodified, has a real gateway answer: through ``modelfleet serve``.

The server is outside of the cluster, so that every request goes through a port-forward to a pod.
``responses`` is left out: LiteLLM wants a package for it that AgentRun's SDK does not bring.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import openai
import pytest
from client_pods import PATIENCE_SECONDS
from proxies_in_pods import Proxy
from proxy_world import TEAM, WEIGHTS, World
from small_services import sentence

from agentrun_sdk_environment import sdk_command, sdk_environment
from serve_process import Server, serving

KEY_ID, SECRET = "key-of-pods", "not-a-real-secret-of-pods"
ASKED: Final[list[Any]] = [{"role": "user", "content": "Who are you?"}]

PROGRAM: Final = """
import asyncio
from agentrun.model import ModelProxy
from agentrun.utils.config import Config

# It takes the seconds of a time limit for milliseconds, and its own limit for 0.6 s.
config = Config(timeout=240_000)
proxy = ModelProxy.get_by_name("front", config=config)
print(proxy.model_info(config=config).base_url)
asked = [{"role": "user", "content": "Who are you?"}]
print(proxy.completion(asked, "chat").choices[0].message.content)
print(asyncio.run(proxy.acompletion(asked, "chat")).choices[0].message.content)
chunks = proxy.completion(asked, "chat", stream=True)
print("".join(it.delta.content or "" for chunk in chunks for it in chunk.choices))
print(len(proxy.embedding(["one", "two"], "vectors").data))
"""


@pytest.fixture(scope="module")
def server(
    world: World, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server whose one account reads."""
    account = {
        "name": "pods",
        "namespace": world.namespace,
        "access_keys": [{"id": KEY_ID, "secret": SECRET}],
    }
    folder = tmp_path_factory.mktemp("serve")
    with serving(folder, accounts=[account], kubeconfig=kubeconfig) as it:
        yield it


def test_agentruns_own_sdk_has_a_real_gateway_answer(
    server: Server, front: Proxy, tmp_path: Path
) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    environment = sdk_environment(
        {
            "AGENTRUN_CONTROL_ENDPOINT": server.url,
            "AGENTRUN_DATA_ENDPOINT": server.url,
            "AGENTRUN_ACCESS_KEY_ID": KEY_ID,
            "AGENTRUN_ACCESS_KEY_SECRET": SECRET,
            "SSL_CERT_FILE": str(server.authority),
            # A proxy without a credential has no key for the SDK, which then takes LiteLLM's.
            "OPENAI_API_KEY": TEAM,
        }
    )
    result = subprocess.run(
        sdk_command(script), env=environment, capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, result.stderr
    base_url, *answers, vectors = result.stdout.splitlines()
    assert base_url == f"{server.url}/models/front/v1"
    assert len(answers) == 3
    assert set(answers) <= set(map(sentence, WEIGHTS))
    assert vectors == "2"


def test_the_gateway_still_decides_who_may_do_what(server: Server, front: Proxy) -> None:
    with httpx.Client(verify=server.context, timeout=PATIENCE_SECONDS) as http:

        def client(key: str) -> openai.OpenAI:
            base_url = f"{server.url}/models/front/v1"
            return openai.OpenAI(base_url=base_url, api_key=key, http_client=http, max_retries=0)

        assert {each.id for each in client(TEAM).models.list()} >= {"chat", "one"}
        with pytest.raises(openai.AuthenticationError) as stranger:
            client("sk-of-nobody-0123456789").chat.completions.create(model="one", messages=ASKED)
        assert stranger.value.code == "incorrect_api_key"
        with pytest.raises(openai.NotFoundError) as misnamed:
            client(TEAM).chat.completions.create(model="nobody", messages=ASKED)
        assert misnamed.value.code == "model_not_found"
        with client(TEAM).chat.completions.create(
            model="chat", messages=ASKED, stream=True
        ) as stream:
            words = [each.delta.content or "" for chunk in stream for each in chunk.choices]
        assert len(words) > 2
        assert "".join(words) in map(sentence, WEIGHTS)
