"""What goes back to the caller: which headers, and a JSON body that names what was asked for. Pure.

Headers are let through by name. LiteLLM adds some fifty of its own and repeats those of upstreams,
addresses included, so that a list of what to remove would always be too short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from .usage import Usage, reported_usage

RawHeaders = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class InnerHead:
    """What LiteLLM tells in the head of a reply, for us and not for the caller.

    ``upstream_id`` is empty where LiteLLM does not say which upstream answered.
    """

    status: int
    content_type: bytes = b""
    upstream_id: str = ""
    retries: int | None = None
    is_cache_hit: bool = False
    retry_after: str | None = None

    @property
    def is_failure(self) -> bool:
        """Whether it is no answer. A redirection is none either: LiteLLM tells of it at length."""
        return self.status >= 300

    @property
    def is_events(self) -> bool:
        """Whether the body is a stream of events."""
        return self.content_type.startswith(b"text/event-stream")

    @property
    def is_json(self) -> bool:
        """Whether the body is one JSON document."""
        return self.content_type.startswith(b"application/json")


def inner_head(status: int, headers: RawHeaders) -> InnerHead:
    """The head of LiteLLM's reply."""
    found = {name.lower(): value for name, value in headers}
    retries = found.get(b"x-litellm-attempted-retries", b"")
    after = found.get(b"llm_provider-retry-after") or found.get(b"retry-after")
    return InnerHead(
        status,
        found.get(b"content-type", b""),
        found.get(b"x-litellm-model-id", b"").decode("latin-1"),
        int(retries) if retries.isdigit() else None,
        b"x-litellm-cache-key" in found,
        after.decode("latin-1") if after else None,
    )


@dataclass
class OuterHead:
    """The head that the caller gets; ``more`` are the headers of limits and of errors."""

    request_id: str
    more: dict[str, str] = field(default_factory=dict)

    def raw(
        self, *, content_type: bytes, content_length: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI takes them; values are ours or numbers, and hold no line breaks."""
        headers = [
            (b"content-type", content_type),
            (b"x-request-id", self.request_id.encode()),
            *((name.encode(), value.encode("latin-1")) for name, value in self.more.items()),
        ]
        if content_length is not None:
            headers.append((b"content-length", str(content_length).encode()))
        return headers


def renamed(body: bytes, access_name: str) -> tuple[bytes, Mapping[str, Any] | None, Usage | None]:
    """A JSON reply under the name that was asked for, the document itself, and its usage."""
    try:
        document = orjson.loads(body)
    except ValueError:
        return body, None, None
    if not isinstance(document, dict):
        return body, None, None
    usage = reported_usage(document)
    if document.get("model", access_name) != access_name:
        document["model"] = access_name
        body = orjson.dumps(document)
    return body, document, usage


def listed_models(names: Iterable[str], *, owner: str) -> bytes:
    """The reply to GET /v1/models."""
    data = [_model(name, owner) for name in sorted(names)]
    return orjson.dumps({"object": "list", "data": data})


def one_model(name: str, *, owner: str) -> bytes:
    """The reply to GET /v1/models/{name}."""
    return orjson.dumps(_model(name, owner))


def _model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
