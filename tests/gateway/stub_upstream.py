"""An OpenAI-compatible upstream that does what it is told: slow, failing, cut, refusing, counting.

Standard library only, one file: it runs beside a test and in a pod with nothing but ``python3``.

    python3 stub_upstream.py [--host 0.0.0.0] [--port 8000] [--control-port 8001]
                             [--name one] [--model chat ...] [--api-key sk-…]

The first line on stdout is ``{"port": …, "control_port": …}`` (ports 0 are chosen by the kernel).
Served on the port: chat/completions, completions, responses (all also as streams), embeddings,
rerank, moderations, images/generations, audio/{transcriptions,translations,speech} and models,
with or without ``/v1``. With ``--model`` any other name is a 404, with ``--api-key`` any other
bearer a 401. Token counts are words: what a test computes, it can check.

Told over the control port (JSON in, JSON out), where nothing is ever slow or refused:

    POST /script     {"model": "*", "next": [BEHAVIOUR, ...], "always": BEHAVIOUR}
                     ``next`` are used up call by call, then ``always`` holds (null: well-behaved)
    POST /go_on      what is held goes on, and nothing is held until the next script
    POST /listening  {"accept": false}    connections are refused, those open are closed
    GET  /calls      [{path, method, model, headers, body, at, status, finished, disconnected}]
    GET  /counts     {"total": 3, "by_model": {...}, "by_path": {...}, "open_connections": 1}
    POST /reset      forgets calls and scripts, listens again

A BEHAVIOUR is any of: ``status`` and ``body`` (the reply instead of the usual one), ``headers``,
``delay_seconds`` (before the first byte), ``event_delay_seconds``, ``hold`` (no first byte before
it is told to go on), ``hold_at_event`` n (no event n before that), ``text`` (what is answered),
``cut_at_event`` n (the connection closes in place of event n, counted from 0), ``error_at_event`` n
(an error event there, then the end), ``stall_at_event`` n (a minute of silence there), ``close``
(no reply at all), ``chunk_bytes`` (events are written in pieces of that size), ``usage`` (false:
none is reported), ``arguments`` (of tool calls).
"""

# The replies share one signature, whether they use all of it or not.
# ruff: noqa: ARG002
from __future__ import annotations

import argparse
import asyncio
import base64
import collections
import contextlib
import json
import struct
import time
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many"}
AUDIO = b"ID3" + bytes(range(256)) * 4


class Stub:
    """What is told, what was called, and the two servers."""

    def __init__(self, *, name: str, models: list[str], api_key: str | None) -> None:
        self.name, self.models, self.api_key = name, models, api_key
        self.calls: list[Json] = []
        self.next: dict[str, collections.deque[Json]] = {}
        self.always: dict[str, Json] = {}
        self.goes_on = asyncio.Event()
        self.writers: set[asyncio.StreamWriter] = set()
        self.server: asyncio.Server | None = None
        self.address = ("127.0.0.1", 0)

    async def listen(self, host: str, port: int) -> int:
        self.server = await asyncio.start_server(self.serve, host, port, backlog=2048)
        self.address = (host, self.server.sockets[0].getsockname()[1])
        return self.address[1]

    async def refuse(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None
        for writer in list(self.writers):
            writer.transport.abort()

    def behaviour(self, model: str) -> Json:
        """What this call is to do: its own script first, then that of every model."""
        for name in (model, "*"):
            if self.next.get(name):
                return self.next[name].popleft()
            if name in self.always:
                return self.always[name]
        return {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
            while (request := await read_request(reader)) is not None:
                if not await self.answer(request, Reply(reader, writer)):
                    break
        self.writers.discard(writer)
        writer.close()

    async def answer(self, request: Json, reply: Reply) -> bool:
        """One request; whether the connection stays open."""
        path = request["path"].split("?")[0].removeprefix("/v1").rstrip("/")
        body = request["body"] if isinstance(request["body"], dict) else {}
        model = str(body.get("model", ""))
        call: Json = {**request, "model": model, "at": time.time(), "status": None}
        call |= {"disconnected": False, "finished": False}
        if path != "/models":
            self.calls.append(call)
        told = self.behaviour(model) if path != "/models" else self.always.get("/models", {})
        status, refusal = self.refusal(request, path, model)
        try:
            await reply.pause(told.get("delay_seconds", 0))
            if told.get("hold"):
                await reply.hold(self.goes_on)
            if told.get("close"):
                return False
            call["status"] = told.get("status", status)
            if "status" in told or refusal is not None:
                content = told.get("body", refusal or error(f"told to say {call['status']}"))
                await reply.whole(call["status"], content, told.get("headers", {}))
                return True
            stays_open = await self.usual(path, model, body, told, reply)
            call["finished"] = True
            return stays_open
        except (ConnectionError, asyncio.CancelledError):
            call["disconnected"] = True
            return False

    def refusal(self, request: Json, path: str, model: str) -> tuple[int, Json | None]:
        """The status and the error of a request that an engine would not serve."""
        if self.api_key and request["headers"].get("authorization") != f"Bearer {self.api_key}":
            return 401, error("invalid api key")
        if path != "/models" and path not in REPLIES:
            return 404, error(f"no such path: {path}")
        if path != "/models" and self.models and model not in self.models:
            return 404, error(f"The model `{model}` does not exist.")
        return 200, None

    async def usual(self, path: str, model: str, body: Json, told: Json, reply: Reply) -> bool:
        headers = {
            "x-stub-name": self.name,
            "x-secret-upstream": "internal",
            **told.get("headers", {}),
        }
        if path == "/models":
            names = self.models or ["any"]
            data = [{"id": name, "object": "model", "owned_by": self.name} for name in names]
            await reply.whole(200, {"object": "list", "data": data}, headers)
            return True
        if path == "/audio/speech":
            await reply.whole(200, AUDIO, {**headers, "content-type": "audio/mpeg"})
            return True
        text = told.get("text", f"{self.name} answers")
        content = REPLIES[path](self, model, body, {**told, "text": text})
        if body.get("stream") and path in STREAMS:
            events = STREAMS[path](content, body)
            return await reply.stream(events, told, headers, goes_on=self.goes_on)
        await reply.whole(200, content, headers)
        return True

    def usage(self, body: Json, text: str) -> Json:
        """Words in, words out."""
        asked = body.get("messages") or body.get("prompt") or body.get("input") or ""
        prompt = sum(len(part.split()) for part in strings(asked)) or 1
        completion = len(text.split())
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def chat(self, model: str, body: Json, told: Json) -> Json:
        text = '{"ok": true}' if body.get("response_format") else told["text"]
        message: Json = {"role": "assistant", "content": text}
        if body.get("tools"):
            function = {
                "name": body["tools"][0]["function"]["name"],
                "arguments": told.get("arguments", '{"city": "Ulm"}'),
            }
            calls = [{"id": "call_1", "type": "function", "function": function}]
            message = {"role": "assistant", "content": None, "tool_calls": calls}
        reason = "tool_calls" if body.get("tools") else "stop"
        content = envelope("chatcmpl-stub", "chat.completion", model)
        content["choices"] = [{"index": 0, "message": message, "finish_reason": reason}]
        return self.with_usage(content, body, told)

    def completion(self, model: str, body: Json, told: Json) -> Json:
        content = envelope("cmpl-stub", "text_completion", model)
        choice = {"index": 0, "text": told["text"], "finish_reason": "stop", "logprobs": None}
        content["choices"] = [choice]
        return self.with_usage(content, body, told)

    def with_usage(self, content: Json, body: Json, told: Json) -> Json:
        if told.get("usage", True):
            content["usage"] = self.usage(body, told["text"])
        return content

    def response(self, model: str, body: Json, told: Json) -> Json:
        usage = self.usage(body, told["text"])
        part = {"type": "output_text", "text": told["text"], "annotations": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        return {
            "id": "resp_stub",
            "object": "response",
            "created_at": 1_700_000_000,
            "model": model,
            "status": "completed",
            "error": None,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "metadata": body.get("metadata") or {},
            "output": [{**message, "content": [part]}],
            "usage": {
                "input_tokens": usage["prompt_tokens"],
                "output_tokens": usage["completion_tokens"],
                "total_tokens": usage["total_tokens"],
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }

    def embeddings(self, model: str, body: Json, told: Json) -> Json:
        given = body.get("input", "")
        texts = given if isinstance(given, list) else [given]
        vectors: list[Any] = [[float(len(str(text))), 0.5, -1.0] for text in texts]
        if body.get("encoding_format") == "base64":
            vectors = [base64.b64encode(struct.pack("<3f", *vector)).decode() for vector in vectors]
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ]
        prompt = self.usage(body, "")["prompt_tokens"]
        usage = {"prompt_tokens": prompt, "total_tokens": prompt}
        return {"object": "list", "model": model, "data": data, "usage": usage}

    def rerank(self, model: str, body: Json, told: Json) -> Json:
        documents = body.get("documents", [])
        results = [
            {
                "index": index,
                "relevance_score": 1 / (1 + index),
                "document": {"text": str(document)},
            }
            for index, document in enumerate(documents)
        ]
        total = self.usage({"input": [body.get("query", ""), *documents]}, "")["prompt_tokens"]
        return {
            "id": "rerank-stub",
            "model": model,
            "results": results[: body.get("top_n")],
            "usage": {"prompt_tokens": total, "total_tokens": total},
        }

    def transcription(self, model: str, body: Json, told: Json) -> Json:
        return {"text": told["text"], "usage": {"type": "duration", "seconds": 1}}

    def moderation(self, model: str, body: Json, told: Json) -> Json:
        result = {"flagged": False, "categories": {}, "category_scores": {}}
        return {"id": "modr-stub", "model": model, "results": [result]}

    def image(self, model: str, body: Json, told: Json) -> Json:
        return {"created": 1_700_000_000, "data": [{"b64_json": base64.b64encode(AUDIO).decode()}]}


class Reply:
    """Writes one answer, as slowly and as brokenly as told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def pause(self, seconds: float) -> None:
        """Waits; ConnectionError as soon as the caller has gone."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.02))
            if self.reader.at_eof() or self.writer.is_closing():
                raise ConnectionResetError

    async def hold(self, until: asyncio.Event) -> None:
        """Waits for as long as it takes; ConnectionError as soon as the caller has gone."""
        while not until.is_set():
            await self.pause(0.02)

    async def whole(self, status: int, content: Json | bytes | str, headers: Json) -> None:
        kinds = {bytes: "application/octet-stream", str: "text/plain"}
        kind = kinds.get(type(content), "application/json")
        data = content if isinstance(content, bytes) else as_text(content).encode()
        self.head(status, {"content-type": kind, "content-length": len(data), **headers})
        self.writer.write(data)
        await self.writer.drain()

    async def stream(
        self, events: list[str], told: Json, headers: Json, *, goes_on: asyncio.Event
    ) -> bool:
        """Sends server-sent events; whether the connection may be used again."""
        self.head(
            200, {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers}
        )
        for position, event in enumerate(events):
            stalls = told.get("stall_at_event") == position
            await self.pause(60 if stalls else told.get("event_delay_seconds", 0))
            if told.get("hold_at_event") == position:
                await self.hold(goes_on)
            if told.get("cut_at_event") == position:
                # Not aborted: a reset would also take what the other side has yet to read.
                self.writer.close()
                return False
            if told.get("error_at_event") == position:
                await self.pieces(f"data: {json.dumps(error('the engine fell over'))}\n\n", told)
                break
            await self.pieces(event, told)
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        return True

    async def pieces(self, event: str, told: Json) -> None:
        data = event.encode()
        size = told.get("chunk_bytes") or len(data)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self.writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await self.writer.drain()
            if told.get("chunk_bytes"):
                await asyncio.sleep(0)

    def head(self, status: int, headers: Json) -> None:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Told So')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())


async def read_request(reader: asyncio.StreamReader) -> Json | None:
    """The next request of a connection, its body as JSON, form fields or text; None at its end."""
    start = await reader.readline()
    if not start.strip():
        return None
    method, path, _version = start.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        data = b""
        while size := int(await reader.readline(), 16):
            data += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        data = await reader.readexactly(int(headers.get("content-length", 0)))
    return {"method": method, "path": path, "headers": headers, "body": parsed(data, headers)}


def parsed(data: bytes, headers: dict[str, str]) -> Any:
    kind = headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        boundary = kind.split("boundary=")[1].strip('"').encode()
        fields: Json = {}
        for part in data.split(b"--" + boundary)[1:-1]:
            head, _, value = part.strip(b"\r\n").partition(b"\r\n\r\n")
            name = head.split(b'name="')[1].split(b'"')[0].decode()
            fields[name] = f"<{len(value)} bytes>" if b"filename=" in head else value.decode()
        return fields
    with contextlib.suppress(ValueError):
        return json.loads(data)
    return data.decode("utf-8", "replace")


def strings(value: Any) -> list[str]:
    """Every text in what was asked, however nested; what an image is made of does not count."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return strings(value.get("content") or value.get("text") or "")
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


def envelope(identifier: str, kind: str, model: str) -> Json:
    return {"id": identifier, "object": kind, "created": 1_700_000_000, "model": model}


def error(message: str) -> Json:
    return {"error": {"message": message, "type": "stub_error", "param": None, "code": None}}


def as_text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)


def deltas(message: Json) -> list[Json]:
    """A message in the pieces an engine would stream it in."""
    if "tool_calls" not in message:
        words = str(message["content"]).split(" ")
        pieces = [word if not n else f" {word}" for n, word in enumerate(words)]
        return [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    (call,) = message["tool_calls"]
    arguments = call["function"]["arguments"]
    opening = {"index": 0, **call, "function": {**call["function"], "arguments": ""}}
    halves = (arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :])
    return [
        {"role": "assistant", "content": None, "tool_calls": [opening]},
        *({"tool_calls": [{"index": 0, "function": {"arguments": half}}]} for half in halves),
    ]


def chat_events(content: Json, body: Json) -> list[str]:
    (choice,) = content["choices"]
    if "message" in choice:
        kind = "chat.completion.chunk"
        parts = [{"delta": delta, "finish_reason": None} for delta in deltas(choice["message"])]
        last: Json = {"delta": {}, "finish_reason": choice["finish_reason"]}
    else:
        kind = content["object"]
        parts = [{"text": f"{word} ", "finish_reason": None} for word in choice["text"].split()]
        last = {"text": "", "finish_reason": "stop"}
    base = {**content, "object": kind}
    usage = base.pop("usage", None)
    chunks: list[Json] = [{**base, "choices": [{"index": 0, **part}]} for part in [*parts, last]]
    if usage and (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**base, "choices": [], "usage": usage})
    return [*(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]


def response_events(content: Json, body: Json) -> list[str]:
    opened = {**content, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    words = content["output"][0]["content"][0]["text"].split(" ")
    events: list[Json] = [{"type": "response.created", "response": opened}]
    for number, word in enumerate(words):
        delta = f" {word}" if number else word
        events.append({"type": "response.output_text.delta", **place, "delta": delta})
    events.append({"type": "response.completed", "response": content})
    return [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    ]


REPLIES: dict[str, Callable[[Stub, str, Json, Json], Json]] = {
    "/chat/completions": Stub.chat,
    "/completions": Stub.completion,
    "/responses": Stub.response,
    "/embeddings": Stub.embeddings,
    "/rerank": Stub.rerank,
    "/moderations": Stub.moderation,
    "/images/generations": Stub.image,
    "/audio/transcriptions": Stub.transcription,
    "/audio/translations": Stub.transcription,
    "/audio/speech": Stub.chat,
}
STREAMS: dict[str, Callable[[Json, Json], list[str]]] = {
    "/chat/completions": chat_events,
    "/completions": chat_events,
    "/responses": response_events,
}


class Control:
    """The second port: tells the stub what to do, and what it saw."""

    def __init__(self, stub: Stub) -> None:
        self.stub = stub

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
            while (request := await read_request(reader)) is not None:
                answer = await self.told(request["path"], request["body"] or {})
                status = 404 if answer is None else 200
                await Reply(reader, writer).whole(status, json.dumps(answer), {})
        writer.close()

    async def told(self, path: str, body: Json) -> Any:
        """What is answered to one order; None where there is no such order."""
        stub = self.stub
        if path == "/calls":
            return stub.calls
        if path == "/counts":
            return {
                "total": len(stub.calls),
                "by_model": dict(collections.Counter(call["model"] for call in stub.calls)),
                "by_path": dict(collections.Counter(call["path"] for call in stub.calls)),
                "open_connections": len(stub.writers),
            }
        if path == "/script":
            name = body.get("model", "*")
            stub.next[name] = collections.deque(body.get("next") or [])
            stub.always.pop(name, None)
            if body.get("always") is not None:
                stub.always[name] = body["always"]
            stub.goes_on.clear()
        elif path == "/go_on":
            stub.goes_on.set()
        elif path == "/reset":
            stub.calls, stub.next, stub.always = [], {}, {}
            stub.goes_on.set()
        if path in ("/reset", "/listening"):
            if not body.get("accept", True):
                await stub.refuse()
            elif stub.server is None:
                await stub.listen(*stub.address)
        return {"ok": True} if path in ("/script", "/go_on", "/reset", "/listening") else None


async def run(options: argparse.Namespace) -> None:
    stub = Stub(name=options.name, models=options.model, api_key=options.api_key)
    port = await stub.listen(options.host, options.port)
    control = await asyncio.start_server(Control(stub).serve, options.host, options.control_port)
    control_port = control.sockets[0].getsockname()[1]
    print(json.dumps({"port": port, "control_port": control_port}), flush=True)
    await control.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--control-port", type=int, default=8001)
    parser.add_argument("--name", default="stub")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--api-key")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
