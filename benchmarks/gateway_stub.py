"""The upstream that gateways are measured in front of: answers at once, streams at a fixed pace.

    python -m benchmarks.gateway_stub        # prints its port, serves until it is ended

Speaks as much of chat/completions as a load generator and LiteLLM need. Everything it says is made
before it is asked, so that what is measured is what stands in front of it. A stream is
``max_tokens`` events, one every 20 ms, whatever a caller does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

TOKENS_PER_SECOND = 50
WORD = "token "
SERVED = "served"

_USAGE = {"prompt_tokens": 40, "completion_tokens": 60, "total_tokens": 100}
_HEAD = {"id": "chatcmpl-stub", "created": 1_700_000_000, "model": SERVED}


def whole_reply() -> bytes:
    """Return the answer to a request that is not streamed, with its head."""
    message = {"role": "assistant", "content": WORD * 60}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    document = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def event(delta: dict[str, Any] | None, *, finish_reason: str | None = None) -> bytes:
    """Return one part of a stream as a chunk of HTTP; without a delta, the one with the usage."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    usage = {"usage": _USAGE} if delta is None else {}
    choices = [] if delta is None else [choice]
    chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **usage}
    return _chunk(f"data: {json.dumps(chunk)}\n\n".encode())


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


_WHOLE = whole_reply()
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_TOKEN = event({"content": WORD})
_STOP = event({}, finish_reason="stop")
_WITH_USAGE = event(None)
_END = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, length = head.lower().partition(b"content-length:")
            size = int(length.split(b"\r\n", 1)[0] or 0)
            # A question without a body is whether anybody is here.
            body = json.loads(await reader.readexactly(size)) if size else {}
            if body.get("stream"):
                await _stream(writer, body)
            else:
                writer.write(_WHOLE)
    writer.close()


async def _stream(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    """Send each event at its time, counted from the first: a late one delays no other."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.write(_STREAM_HEAD)
    for number in range(body["max_tokens"]):
        await asyncio.sleep(began + number / TOKENS_PER_SECOND - loop.time())
        if writer.is_closing():
            return
        writer.write(_TOKEN)
    asks = (body.get("stream_options") or {}).get("include_usage")
    writer.write(_STOP + (_WITH_USAGE if asks else b"") + _END)


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
