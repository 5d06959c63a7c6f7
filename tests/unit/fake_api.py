"""An API server at the HTTP transport: lists, watches, and everything that goes wrong with them.

It keeps objects and their history by resource version as a real one does, so that a watch resumes
where it should or is told that it cannot. Only what the live copies ask for is spoken.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import Kind, Object
from modelfleet.cluster.retry import RetryPolicy

SOON = RetryPolicy(first_delay_seconds=0.001, longest_delay_seconds=0.001, budget_seconds=0.02)


class FakeApi(httpx.AsyncBaseTransport):
    """A cluster's API server. ``trouble`` answers requests while it is not empty."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[tuple[str, str], Object] = {}
        self.history: list[tuple[int, str, str, Object]] = []
        self.forgotten = 0
        self.streams: set[Stream] = set()
        self._opened = asyncio.Event()
        self.asked: list[httpx.Request] = []
        self.trouble: list[httpx.Response | Exception] = []
        self.down = False
        self.list_delay_seconds = 0.0

    def client(self) -> Client:
        access = Access(server="https://api:6443", source="a test")
        return Client(access, retry=SOON, http=self)

    def put(self, kind: Kind, name: str, **fields: Any) -> Object:
        """Create or change an object and tell the watches. Returns it as the server has it."""
        key = (kind.plural, name)
        known = self.objects.get(key)
        self.version += 1
        metadata = {
            "name": name,
            "namespace": "models",
            "uid": known["metadata"]["uid"] if known else f"uid-{self.version}",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **fields.pop("metadata", {}),
            "resourceVersion": str(self.version),
        }
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}
        self.objects[key] = obj
        self._tell(kind.plural, "MODIFIED" if known else "ADDED", obj)
        return copy.deepcopy(obj)

    def remove(self, kind: Kind, name: str) -> None:
        """Delete an object and tell the watches."""
        self.version += 1
        obj = copy.deepcopy(self.objects.pop((kind.plural, name)))
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._tell(kind.plural, "DELETED", obj)

    def bookmark(self) -> None:
        """Tell all watches how far they are."""
        self.version += 1
        for stream in self.streams:
            stream.send("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def forget(self) -> None:
        """Compact the history: nobody can resume from before now."""
        self.history.clear()
        self.forgotten = self.version

    def end_watches(self, error: Exception | None = None) -> None:
        """End all watches as a server does after some minutes, or break them with ``error``."""
        for stream in list(self.streams):
            stream.end(error)

    def expire_watches(self) -> None:
        """Tell all watches, in the stream, that their version is too old."""
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        for stream in self.streams:
            stream.send("ERROR", gone)

    def requests(self, verb: str, kind: Kind) -> int:
        """Return how many LISTs or WATCHes of a kind were asked for."""
        return sum(self._verb(each) == (verb, kind.plural) for each in self.asked)

    async def watched(self, *kinds: Kind) -> None:
        """Return once watches of all these kinds are open."""
        wanted = {kind.plural for kind in kinds}
        while not wanted <= {stream.plural for stream in self.streams}:
            await self._opened.wait()
            self._opened.clear()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        verb, plural = self._verb(request)
        if self.down:
            raise httpx.ConnectError("connection refused")
        if self.trouble:
            answer = self.trouble.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if verb == "list":
            return await self._listed(plural)
        since = int(request.url.params["resourceVersion"])
        if since < self.forgotten:
            return httpx.Response(410, json={"kind": "Status", "reason": "Expired"})
        stream = Stream(self, plural)
        for version, of, type_, obj in self.history:
            if of == plural and version > since:
                stream.send(type_, obj)
        self.streams.add(stream)
        self._opened.set()
        return httpx.Response(200, stream=stream)

    async def _listed(self, plural: str) -> httpx.Response:
        # As of when it was asked: what happens during a slow answer is not in it.
        items = [copy.deepcopy(obj) for (of, _), obj in self.objects.items() if of == plural]
        body = {"metadata": {"resourceVersion": str(self.version)}, "items": items}
        await asyncio.sleep(self.list_delay_seconds)
        return httpx.Response(200, json=body)

    def _tell(self, plural: str, type_: str, obj: Object) -> None:
        self.history.append((self.version, plural, type_, copy.deepcopy(obj)))
        for stream in self.streams:
            if stream.plural == plural:
                stream.send(type_, obj)

    @staticmethod
    def _verb(request: httpx.Request) -> tuple[str, str]:
        verb = "watch" if request.url.params.get("watch") else "list"
        return verb, request.url.path.rsplit("/", 1)[1]


class Stream(httpx.AsyncByteStream):
    """The body of one watch."""

    def __init__(self, api: FakeApi, plural: str) -> None:
        self.plural = plural
        self._api = api
        self._lines: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def send(self, type_: str, obj: Object) -> None:
        line = json.dumps({"type": type_, "object": obj})
        self._lines.put_nowait(line.encode() + b"\n")

    def end(self, error: Exception | None = None) -> None:
        self._lines.put_nowait(error)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            line = await self._lines.get()
            if line is None:
                return
            if isinstance(line, Exception):
                raise line
            yield line

    async def aclose(self) -> None:
        self._api.streams.discard(self)
