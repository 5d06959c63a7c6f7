"""Load on a model, from inside the cluster: streams and plain requests until it is told to end.

Runs in a pod with nothing but Python: ``python3 load.py URL TEXT [MODEL [KEY]]``. ``TEXT`` is what
the model answers; every reply is a beginning of it, of a known number of tokens, and anything else
is a failure: another status, a broken connection, a stream without its ``[DONE]``. Prints a line
when every worker has had an answer. On SIGTERM requests that run are finished, and one line of JSON
says what there was.

Some workers open a connection for each request, others keep theirs, as clients with a pool do: for
``KEPT_SECONDS``, and unless the server has closed it meanwhile.
"""

from __future__ import annotations

import http.client
import json
import select
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

STREAM_TOKENS = 8
PLAIN_TOKENS = 4
KEPT_SECONDS = 3.0
PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = 300.0


@dataclass
class Counts:
    """What happened; ``requests`` and ``seconds`` (the longest) by kind of worker."""

    requests: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    connections: int = 0
    failures: list[str] = field(default_factory=list)


class WrongReplyError(Exception):
    """A reply that is not what was asked for."""


FAILURES = (OSError, http.client.HTTPException, ValueError, KeyError, WrongReplyError)


class Worker(threading.Thread):
    """Sends one request after the other: streamed or not, on kept connections or new ones."""

    def __init__(
        self, url: str, text: str, *more: str, streams: bool, keeps: bool, counts: Counts
    ) -> None:
        super().__init__()
        self.kind = f"{'streamed' if streams else 'plain'}, {'kept' if keeps else 'new'} connection"
        self._address = urlsplit(url)
        self._text = text
        self._model, self._key = [*more, "", ""][:2]
        self._streams = streams
        self._keeps = keeps
        self._counts = counts
        self._connection: http.client.HTTPConnection | None = None
        self._opened = 0.0

    def run(self) -> None:
        while not ENDING.is_set():
            started = time.monotonic()
            try:
                self._ask()
            except FAILURES as error:
                lasted = time.monotonic() - started
                told = f"{self.kind}, after {lasted:.2f} s: {type(error).__name__}: {error}"
                self._counts.failures.append(f"{time.strftime('%H:%M:%S')} {told}")
                self._close()
            else:
                self._counts.requests[self.kind] += 1
                lasted = time.monotonic() - started
                self._counts.seconds[self.kind] = round(
                    max(lasted, self._counts.seconds.get(self.kind, 0)), 2
                )
            ENDING.wait(PAUSE_SECONDS)
        self._close()

    def _ask(self) -> None:
        tokens = STREAM_TOKENS if self._streams else PLAIN_TOKENS
        asked = {
            "messages": [{"role": "user", "content": "Who are you?"}],
            "max_tokens": tokens,
            "temperature": 0,
        }
        if self._streams:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        if self._model:
            asked["model"] = self._model
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        connection = self._ready_connection()
        path = f"{self._address.path}/v1/chat/completions"
        connection.request("POST", path, json.dumps(asked), headers)
        with connection.getresponse() as response:
            if response.status != 200:
                raise WrongReplyError(f"status {response.status}: {response.read(200)!r}")
            text, received = _streamed(response) if self._streams else _plain(response)
        if received != tokens or not text or not self._text.startswith(text):
            raise WrongReplyError(f"{received} tokens of {tokens}: {text!r}")

    def _ready_connection(self) -> http.client.HTTPConnection:
        """Return a new connection, or the kept one unless it is old, or closed by the server."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            is_young = time.monotonic() - self._opened < KEPT_SECONDS
            has_end, _, _ = select.select([connection.sock], [], [], 0)
            if self._keeps and is_young and not has_end:
                return connection
        self._close()
        host, port = self._address.hostname or "", self._address.port
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        self._opened = time.monotonic()
        self._counts.connections += 1
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _plain(response: http.client.HTTPResponse) -> tuple[str, int]:
    """Return the text of a completion, and how many tokens it is said to have."""
    completion = json.loads(response.read())
    text = completion["choices"][0]["message"]["content"]
    return text, completion["usage"]["completion_tokens"]


def _streamed(response: http.client.HTTPResponse) -> tuple[str, int]:
    """Return the same of a stream that has ended as a stream does."""
    text, tokens = "", 0
    for line in response:
        data = line.decode().strip().removeprefix("data: ")
        if data == "[DONE]":
            response.read()  # up to the last chunk: the connection is free for the next request
            return text, tokens
        if data:
            event = json.loads(data)
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
            for choice in event["choices"]:
                text += choice["delta"].get("content") or ""
    raise WrongReplyError(f"a stream that stops after {text!r}")


ENDING = threading.Event()


def main(url: str, text: str, *more: str) -> None:
    """Run one worker of each kind until SIGTERM, and print the counts."""
    signal.signal(signal.SIGTERM, lambda *_: ENDING.set())
    counts = Counts()
    workers = [
        Worker(url, text, *more, streams=streams, keeps=keeps, counts=counts)
        for streams in (True, False)
        for keeps in (True, False)
    ]
    for worker in workers:
        worker.start()
    while len(counts.requests) + len(counts.failures) < len(workers):
        time.sleep(0.05)
    print("at work", flush=True)
    for worker in workers:
        worker.join()
    print(json.dumps(vars(counts)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
