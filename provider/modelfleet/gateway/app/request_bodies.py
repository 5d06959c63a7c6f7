"""The body of a request: read within bounds, understood, and made what LiteLLM is to get."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from .asgi import Receive
from .errors import GatewayError, invalid_json, missing_model, request_too_large
from .forms import Form, form_body, read_form
from .paths import FORMS
from .settings import Route
from .steering import Steering

_STREAMS_WITH_USAGE = frozenset({"chat/completions", "completions"})
_CACHED = frozenset({"chat/completions", "completions"})
_KEEPS_METADATA = frozenset({"responses"})


class CallerGoneError(Exception):
    """The caller closed the connection before its request was whole."""


@dataclass(frozen=True)
class Request:
    """What a caller asks of a model.

    ``fields`` are those of the JSON body, or the texts of a form; ``form`` is that form, if any.
    """

    path: str
    model: str
    fields: dict[str, Any]
    form: Form | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the reply is to come as events."""
        return self.fields.get("stream") in (True, "true")

    @property
    def lacks_usage(self) -> bool:
        """Whether the caller did not ask for the usage of its stream, and so must not get it."""
        options = self.fields.get("stream_options")
        asks = isinstance(options, dict) and options.get("include_usage") is True
        return self.is_stream and self.path in _STREAMS_WITH_USAGE and not asks


async def read_body(
    receive: Receive,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    max_bytes: int,
    grow: Callable[[int], None],
) -> bytes:
    """The whole body, of whose size ``grow`` is told. Raises GatewayError and CallerGoneError."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise request_too_large(max_bytes)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise request_too_large(max_bytes)
        grow(size)
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def request_of(path: str, body: bytes, *, content_type: bytes) -> Request:
    """What ``body`` asks for. Raises GatewayError: 400 for a body that is none, missing_model."""
    if path in FORMS:
        form = await read_form(body, content_type)
        return Request(path, _model(form.texts), dict(form.texts), form)
    try:
        fields = orjson.loads(body)
    except ValueError as error:
        raise invalid_json("it is not JSON") from error
    if not isinstance(fields, dict):
        raise invalid_json("it is not a JSON object")
    if not isinstance(fields.get("stream", False), bool | None):
        raise GatewayError(400, "invalid_request", "`stream` must be true or false.", "stream")
    return Request(path, _model(fields), fields)


def _model(fields: Mapping[str, Any]) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise missing_model()
    return model


def inner_body(
    request: Request, route: Route, steering: Steering, *, namespace: str
) -> tuple[bytes, bytes]:
    """The body for LiteLLM and its content type.

    ``namespace`` keeps cached replies apart that belong to callers with different rights.
    """
    if request.form is not None:
        return form_body(request.form.without(steering.is_order))
    fields = steering.without_orders(request.fields, keeps_metadata=request.path in _KEEPS_METADATA)
    if request.lacks_usage:
        options = fields.get("stream_options")
        asked = options if isinstance(options, dict) else {}
        fields["stream_options"] = {**asked, "include_usage": True}
    if route.is_cached and request.path in _CACHED:
        fields["cache"] = {
            "use-cache": True,
            "ttl": route.cache_ttl_seconds,
            "namespace": f"{namespace}/{_digest(fields)}",
        }
    return _dumped(fields), b"application/json"


def _digest(fields: Mapping[str, Any]) -> str:
    """Tells requests apart that LiteLLM takes for one: it leaves out what it does not know.

    Whoever sends a ``chat_template`` would otherwise choose the answer of those who send none.
    """
    return hashlib.sha256(_dumped(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _dumped(fields: Mapping[str, Any], *, option: int = 0) -> bytes:
    try:
        return orjson.dumps(fields, option=option)
    except TypeError as error:
        raise invalid_json("it is nested too deeply") from error
