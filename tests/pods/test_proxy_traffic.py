"""What a proxy does with requests: shares, fallbacks, retries, times, all with OpenAI's clients.

``front`` runs in a pod, over llama.cpp and over stubs that count what reaches them.
"""

from __future__ import annotations

import openai
import pytest
from proxies import Proxy, ask, code, many, question, said
from proxy_world import TEAM, WEIGHTS, World
from small_services import sentence


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_openais_client_for_python_is_served_by_real_models(front: Proxy, path: str) -> None:
    with front.client(TEAM, path=path) as client:
        completion = client.chat.completions.create(**question("chat"))
        assert completion.choices[0].message.content in map(sentence, WEIGHTS)
        assert completion.model == "chat"
