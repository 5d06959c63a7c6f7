"""One line of JSON per request on stdout: who used what, and how it went. Never content or keys."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from .usage import Usage


@dataclass
class UsageRecord:
    """What is known of one request, filled in as it becomes known.

    ``model`` is the access name that was asked for and ``served_by`` the upstream's name;
    ``fallback`` is the access name that answered in its place. Unknown models are left empty, as
    their names come from the caller.
    """

    request_id: str
    path: str
    key_name: str = ""
    model: str = ""
    served_by: str = ""
    fallback: str = ""
    status: int = 0
    error_code: str | None = None
    usage: Usage = field(default_factory=Usage)
    latency_ms: float = 0.0
    first_byte_ms: float | None = None
    is_stream: bool = False
    is_cache_hit: bool = False
    retries: int | None = None

    def line(self) -> bytes:
        """The record as it is printed."""
        document = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "request_id": self.request_id,
            "path": self.path,
            "key_name": self.key_name,
            "model": self.model,
            "served_by": self.served_by,
            "status": self.status,
            "error_code": self.error_code,
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "total_tokens": self.usage.total_tokens,
            "is_estimated": self.usage.is_estimated,
            "latency_ms": round(self.latency_ms, 1),
            "first_byte_ms": None if self.first_byte_ms is None else round(self.first_byte_ms, 1),
            "stream": self.is_stream,
            "cache_hit": self.is_cache_hit,
            "retries": self.retries,
            "fallback": self.fallback or None,
        }
        return orjson.dumps(document) + b"\n"


class RecordWriter:
    """Has stdout to itself: what LiteLLM prints goes to stderr from then on."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    def write(self, record: UsageRecord) -> None:
        """Print a record; nobody reading it is no reason to fail a request."""
        try:
            os.write(self._descriptor, record.line())
        except OSError:
            return
