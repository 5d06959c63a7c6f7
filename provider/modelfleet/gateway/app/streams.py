"""Server-sent events on their way to the caller: renamed, metered, and passed on at once.

LiteLLM hands over one event at a time, and nearly all of them go on as they are: only an event
that names another model, reports usage or is an error is taken apart. Pure; who sends is elsewhere.
"""

from __future__ import annotations

from typing import Any

import orjson

from .errors import GatewayError
from .settings import Route
from .upstream_errors import broken_off
from .usage import Usage, reported_usage

_END = b"\n\n"
_TEXTS = b'"object":"text_completion"'
_LAST = frozenset({"response.completed", "response.incomplete", "transcript.text.done"})


class EventStream:
    """Takes what LiteLLM sends of one stream and gives what the caller gets.

    ``lacks_usage``: the caller did not ask for usage, so the event with it is kept back.
    ``is_responses``: events are those of the responses protocol, typed and with a last one.
    """

    def __init__(self, route: Route, *, lacks_usage: bool, is_responses: bool) -> None:
        self._route = route
        self._lacks_usage, self._is_responses = lacks_usage, is_responses
        self._pending = b""
        self._name = route.access_name
        self._expected = b'"model":' + orjson.dumps(route.access_name)
        self.usage: Usage | None = None
        self.error: GatewayError | None = None
        self.content_events = 0
        self.is_complete = False

    def passed_on(self, data: bytes) -> bytes:
        """What the caller gets for ``data``, which may hold any part of events; often nothing."""
        if self.error is not None:
            return b""
        if self._pending:
            data = self._pending + data
            self._pending = b""
        # One whole event is the rule.
        if data.endswith(_END) and data.find(_END) == len(data) - len(_END):
            return self._event(data)
        *events, self._pending = data.replace(b"\r\n", b"\n").split(_END)
        return b"".join(self._event(event + _END) for event in events)

    def closing(self) -> bytes:
        """What the caller gets when LiteLLM has ended or failed; an error if that was too early."""
        rest = self.passed_on(_END) if self._pending.strip() else b""
        if self.is_complete or self.error is not None:
            return rest
        return rest + self.failed("")

    def failed(self, message: str) -> bytes:
        """The event of an error, after which nothing follows."""
        self.error = broken_off(message, self._route)
        fields = self.error.fields()
        if self._is_responses:
            event = {**fields, "type": "error", "error": fields}
            return b"event: error\ndata: " + orjson.dumps(event) + _END
        return b"data: " + self.error.body() + _END

    def _event(self, event: bytes) -> bytes:
        if self._is_plain(event):
            self.content_events += 1
            return event
        head, data = _parts(event)
        if data == b"[DONE]":
            self.is_complete = True
            # The responses protocol ends with an event of its own.
            return b"" if self._is_responses else event
        try:
            fields = orjson.loads(data)
        except ValueError:
            return event
        if not isinstance(fields, dict):
            return event
        return self._taken_apart(fields, head)

    def _is_plain(self, event: bytes) -> bool:
        """Whether a chunk of chat or completions goes on as it is.

        Quotes inside of a text are escaped, so that these can only be fields.
        """
        is_chunk = not self._is_responses and self._expected in event and b'"usage":' not in event
        return is_chunk and (_TEXTS not in event or b'"text":' in event)

    def _taken_apart(self, fields: dict[str, Any], head: bytes) -> bytes:
        if _is_error(fields):
            return self.failed(str(fields.get("error") or fields.get("message") or ""))
        response = fields.get("response")
        usage = reported_usage(response if isinstance(response, dict) else fields)
        if usage is not None:
            self.usage = usage
        if isinstance(response, dict):
            response["model"] = self._name
        if "type" in fields:
            return self._typed(fields, head)
        if "model" in fields:
            fields["model"] = self._name
        _mend_texts(fields)
        if not _has_content(fields):
            # The last chunk, made for the usage alone. OpenAI's has no choices.
            if self._lacks_usage:
                return b""
            fields["choices"] = []
        else:
            self.content_events += 1
            if self._lacks_usage:
                fields.pop("usage", None)
        return head + b"data: " + orjson.dumps(fields) + _END

    def _typed(self, fields: dict[str, Any], head: bytes) -> bytes:
        """An event of the responses protocol or of a transcription, which says what it is."""
        kind = str(fields["type"])
        # LiteLLM puts a model into each event, where the protocol has none.
        fields.pop("model", None)
        self.content_events += kind.endswith(".delta")
        self.is_complete = self.is_complete or kind in _LAST
        head = head or b"event: " + kind.encode() + b"\n"
        return head + b"data: " + orjson.dumps(fields) + _END


def _mend_texts(chunk: dict[str, Any]) -> None:
    """Put back the empty text of the last chunk of completions, which LiteLLM leaves out."""
    choices = chunk.get("choices") if chunk.get("object") == "text_completion" else ()
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and choice.get("text") is None:
            choice["text"] = ""


def _is_error(fields: dict[str, Any]) -> bool:
    if fields.get("type") in ("error", "response.failed"):
        return True
    return isinstance(fields.get("error"), dict) and not fields.keys() & {"choices", "type"}


def _parts(event: bytes) -> tuple[bytes, bytes]:
    """The lines before the data of an event, and the data."""
    lines = event.strip().split(b"\n")
    data = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
    head = b"".join(line + b"\n" for line in lines if not line.startswith(b"data:"))
    return head, data


def _has_content(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return True
    return any(
        isinstance(choice, dict)
        and (choice.get("delta") or choice.get("text") or choice.get("finish_reason"))
        for choice in choices
    )


def said_in(events: bytes) -> dict[str, Any]:
    """What the model says in a whole stream, as the one reply that a guardrail reads.

    Each text by itself: of several choices, and of a choice's words and calls, the pieces come in
    any order, and words would be torn apart.
    """
    texts: dict[tuple[str, str], list[str]] = {}
    for event in events.split(_END):
        try:
            fields = orjson.loads(_parts(event)[1])
        except ValueError:
            continue
        if not isinstance(fields, dict):
            continue
        if isinstance(fields.get("delta"), str):
            item = str(fields.get("item_id")), str(fields.get("type"))
            texts.setdefault(item, []).append(fields["delta"])
        choices = fields.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            for place, text in _texts(choice):
                texts.setdefault(place, []).append(text)
    return {"choices": [{"message": {"content": "".join(parts)}} for parts in texts.values()]}


def _texts(choice: Any) -> list[tuple[tuple[str, str], str]]:
    """The texts of a choice, each with its place, which is the same from chunk to chunk."""
    if not isinstance(choice, dict):
        return []
    delta = choice.get("delta")
    said: list[tuple[str, Any]] = [("text", choice.get("text"))]
    if isinstance(delta, dict):
        said += [(name, delta.get(name)) for name in ("content", "reasoning_content", "refusal")]
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                said.append((f"call {call.get('index')}", function.get("arguments")))
    number = str(choice.get("index"))
    return [((number, name), text) for name, text in said if isinstance(text, str)]
