"""Sees when what happens to one service on real nodes: watches, logs and the first answer.

Notes each instant once, as early as it is told of.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from benchmarks.errors import BenchmarkError
from benchmarks.timeline import (
    ANSWERED,
    LISTENING,
    instants_of_event,
    instants_of_pod,
    listening_at,
    text_in,
)
from modelfleet.cluster.access import Access
from modelfleet.cluster.tls import tls_context
from modelfleet.labels import ENGINE_CONTAINER

_QUESTION = "Who are you?"


class Witness:
    """Looks at one namespace, in which one service comes up; made by :func:`witness`."""

    def __init__(self, http: httpx.AsyncClient, *, namespace: str) -> None:
        self.instants: dict[str, float] = {}
        self.answer = ""
        self._http = http
        self._path = f"/api/v1/namespaces/{namespace}"
        self._pod = ""

    def note(self, *names: str, at: float | None = None) -> None:
        """Keep that these instants are past, unless that is known."""
        at = time.time() if at is None else at
        for name in names:
            self.instants.setdefault(name, at)

    def take_pod(self, pod: Mapping[str, Any]) -> None:
        """Note what the pod is past."""
        self._pod = str(pod["metadata"]["name"])
        self.note(*instants_of_pod(pod))

    def take_event(self, event: Mapping[str, Any]) -> None:
        """Note what an event tells of."""
        self.note(*instants_of_event(event))

    async def read_log(self) -> None:
        """Note when the engine began to listen, by its own log; it is ready by now."""
        parameters = {"container": ENGINE_CONTAINER, "timestamps": "true"}
        reply = await self._http.get(f"{self._path}/pods/{self._pod}/log", params=parameters)
        at = listening_at(reply.raise_for_status().text.splitlines())
        if at is None:
            raise BenchmarkError(f"The log of pod {self._pod} does not say that it listens.")
        self.note(LISTENING, at=at)

    async def ask(self, base_url: str, *, model: str) -> None:
        """Have the model answer, and note when its first token came."""
        question = {"role": "user", "content": _QUESTION}
        body = {"model": model, "messages": [question], "stream": True, "max_tokens": 32}
        async with (
            httpx.AsyncClient(trust_env=False, timeout=60) as http,
            http.stream("POST", f"{base_url}/chat/completions", json=body) as reply,
        ):
            reply.raise_for_status()
            async for line in reply.aiter_lines():
                if text := text_in(line):
                    self.note(ANSWERED)
                    self.answer += text
        if not self.answer:
            raise BenchmarkError(f"{base_url} answered nothing.")


@asynccontextmanager
async def witness(access: Access, *, namespace: str) -> AsyncIterator[Witness]:
    """Hand out a witness whose watches are open; they end with the block."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=access.server,
                headers={"Authorization": f"Bearer {access.token}"},
                verify=tls_context(access),
                timeout=httpx.Timeout(60, read=None),
                trust_env=False,
            )
        )
        seen = Witness(http, namespace=namespace)
        for resource, take in (("pods", seen.take_pod), ("events", seen.take_event)):
            path = f"/api/v1/namespaces/{namespace}/{resource}"
            request = http.stream("GET", path, params={"watch": "true"})
            reply = await stack.enter_async_context(request)
            reply.raise_for_status()
            reading = asyncio.create_task(_hand_on(reply, take))
            stack.push_async_callback(_end, reading)
        yield seen


async def _hand_on(reply: httpx.Response, take: Callable[[Mapping[str, Any]], None]) -> None:
    async for line in reply.aiter_lines():
        take(json.loads(line)["object"])


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
