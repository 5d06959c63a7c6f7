"""Counts and times for Prometheus. Labels are names from the configuration, and so bounded.

With several processes each keeps its own in files, which the one that is asked adds up.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from .records import UsageRecord

SHARED_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the directory that several processes share. Read when prometheus_client is imported."""

_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_UPSTREAM_CODES = frozenset({"bad_gateway", "service_unavailable", "upstream_timeout"})


class Metrics:
    """What the requests of this process add up to; ``has_redis``: whether limits count in one."""

    def __init__(self, *, has_redis: bool) -> None:
        self._requests = Counter(
            "modelfleet_gateway_requests",
            "Requests by access name, name of the key and HTTP status.",
            ("model", "key", "status"),
        )
        self._tokens = Counter(
            "modelfleet_gateway_tokens",
            "Tokens by access name, name of the key and kind (prompt, completion).",
            ("model", "key", "kind"),
        )
        self._latency = Histogram(
            "modelfleet_gateway_request_seconds",
            "Time to the end of the reply.",
            ("model",),
            buckets=_SECONDS,
        )
        self._first_byte = Histogram(
            "modelfleet_gateway_first_byte_seconds",
            "Time to the first part of a streamed reply.",
            ("model",),
            buckets=_SECONDS,
        )
        self._limited = Counter(
            "modelfleet_gateway_rate_limited",
            "Requests refused by a limit.",
            ("model", "key"),
        )
        self._failures = Counter(
            "modelfleet_gateway_upstream_failures",
            "Requests that no upstream answered, by error code.",
            ("model", "code"),
        )
        self._hits = Counter("modelfleet_gateway_cache_hits", "Replies from the cache.", ("model",))
        self.in_flight = Gauge(
            "modelfleet_gateway_in_flight",
            "Requests under way.",
            multiprocess_mode="livesum",
        )
        self._redis_up: Gauge | None = None
        if has_redis:
            self._redis_up = Gauge(
                "modelfleet_gateway_redis_up",
                "Whether the Redis that limits are counted in answered when it was last asked.",
                multiprocess_mode="livemin",
            )
            self.note_redis(is_up=True)

    def note_redis(self, *, is_up: bool) -> None:
        """Tell how it was when it was last asked; nothing where there is none."""
        if self._redis_up is not None:
            self._redis_up.set(is_up)

    def observe(self, record: UsageRecord) -> None:
        """Count a request that is over."""
        model, key, usage = record.model, record.key_name, record.usage
        self._requests.labels(model, key, str(record.status)).inc()
        if usage.total_tokens:
            self._tokens.labels(model, key, "prompt").inc(usage.prompt_tokens)
            self._tokens.labels(model, key, "completion").inc(usage.completion_tokens)
        if not model:
            return
        self._latency.labels(model).observe(record.latency_ms / 1000)
        if record.first_byte_ms is not None and record.is_stream:
            self._first_byte.labels(model).observe(record.first_byte_ms / 1000)
        if record.status in (402, 429):
            self._limited.labels(model, key).inc()
        if record.error_code in _UPSTREAM_CODES:
            self._failures.labels(model, record.error_code).inc()
        if record.is_cache_hit:
            self._hits.labels(model).inc()


def exposition() -> bytes:
    """The metrics of all processes of this pod, in Prometheus' text format."""
    if SHARED_VARIABLE not in os.environ:
        return bytes(generate_latest())
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return bytes(generate_latest(registry))


def forget_process(pid: int) -> None:
    """Take what only living processes have (requests under way) out of the sums."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]
