"""One request of a model, from its body to its usage record: refused somewhere, or answered.

The order of refusals is that of their cost, and of what a caller should learn first: the body, the
model, access, concurrency, limits, the guardrail. Only then is anything sent to an upstream.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .asgi import Message, Receive, Send
from .concurrency import Slots
from .engine import Engine
from .errors import error_of, model_access_denied, model_not_found
from .guardrails import Guardrail
from .keys import Caller
from .large_bodies import LargeBodies
from .limits import Limiter
from .records import UsageRecord
from .relay import Relay
from .replies import InnerHead, OuterHead
from .request_bodies import CallerGoneError, Request, inner_body, read_body, request_of
from .settings import Gateway, Route, Settings
from .steering import Steering
from .windows import Scope

CALLER_GONE_STATUS = 499
"""What records say, as nobody is there to be told."""


@dataclass(frozen=True)
class Parts:
    """What serves every request of a process."""

    settings: Settings
    gateway: Gateway
    engine: Engine
    steering: Steering
    limiter: Limiter
    slots: Slots
    bodies: LargeBodies
    guardrails: Mapping[str, Guardrail]


class Exchange:
    """One request of a caller whose key has been checked."""

    def __init__(
        self,
        parts: Parts,
        caller: Caller,
        *,
        record: UsageRecord,
        head: OuterHead,
        started_at: float,
    ) -> None:
        self._parts, self._caller = parts, caller
        self._record, self._head, self._started_at = record, head, started_at
        self._is_caller_gone = False
        self._slots: tuple[str, ...] = ()

    async def run(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer the request. Raises GatewayError while it is refused, and CallerGoneError."""
        with self._parts.bodies.room() as grow:
            await self._run(scope, receive, send, grow=grow)

    async def _run(
        self, scope: Message, receive: Receive, send: Send, *, grow: Callable[[int], None]
    ) -> None:
        parts = self._parts
        headers, max_bytes = scope["headers"], parts.settings.max_body_bytes
        content_type = next((v for n, v in headers if n == b"content-type"), b"")
        body = await read_body(receive, headers, max_bytes=max_bytes, grow=grow)
        request = await request_of(self._record.path, body, content_type=content_type)
        route = self._route(request.model)
        self._record.model, self._record.is_stream = route.access_name, request.is_stream
        names = ("proxy", f"route:{route.access_name}")
        if refusal := parts.slots.take(names):
            raise error_of(refusal)
        self._slots = names
        try:
            await self._admitted(request, route, scope, receive, send)
        finally:
            self._give_back_slots()

    def _give_back_slots(self) -> None:
        names, self._slots = self._slots, ()
        self._parts.slots.give_back(names)

    def _route(self, access_name: str) -> Route:
        route = self._parts.gateway.routes.get(access_name)
        verdict = self._caller.access.verdict(access_name)
        if verdict == "denied":
            # Whether there is such a model or not.
            raise model_access_denied(access_name)
        if route is None or verdict != "allowed":
            raise model_not_found(access_name)
        return route

    async def _admitted(
        self, request: Request, route: Route, scope: Message, receive: Receive, send: Send
    ) -> None:
        parts = self._parts
        guardrail = parts.guardrails.get(route.access_name)
        scopes = (
            Scope(f"key:{self._caller.name}", self._caller.limits),
            Scope(f"route:{route.access_name}", route.limits),
            Scope("proxy", parts.gateway.limits),
        )
        admission = await parts.limiter.admission(scopes)
        self._head.more.update(admission.headers)
        if admission.refusal is not None:
            raise error_of(admission.refusal)
        if guardrail is not None and (blocked := await guardrail.refused_request(request.fields)):
            raise error_of(blocked)
        is_settled = False

        async def settle() -> None:
            nonlocal is_settled
            if not is_settled:
                is_settled = True
                self._give_back_slots()
                self._record.usage = relay.usage()
                await parts.limiter.settle(scopes, tokens=self._record.usage.total_tokens)

        relay = Relay(
            send,
            request,
            route,
            head=self._head,
            record=self._record,
            guardrail=guardrail,
            started_at=self._started_at,
            before_end=settle,
        )
        try:
            await self._ask(relay, request, route, scope, receive)
        finally:
            await settle()

    async def _ask(
        self, relay: Relay, request: Request, route: Route, scope: Message, receive: Receive
    ) -> None:
        """Have LiteLLM answer, whatever it does."""
        parts = self._parts
        parts.engine.refresh_credentials()
        namespace = f"{parts.gateway.proxy}/{self._caller.access.fingerprint}"
        body, content_type = inner_body(request, route, parts.steering, namespace=namespace)
        inner_scope = self._inner_scope(scope, body=body, content_type=content_type)

        async def inner_receive() -> Message:
            nonlocal body
            if body:
                content, body = body, b""
                return {"type": "http.request", "body": content, "more_body": False}
            message = await receive()
            self._is_caller_gone = self._is_caller_gone or message["type"] == "http.disconnect"
            return message

        async def inner_send(message: Message) -> None:
            await relay.send(message)
            if message["type"] == "http.response.start" and relay.inner is not None:
                self._note_upstream(relay.inner, route)

        failure: Exception | None = None
        try:
            await parts.engine.app(inner_scope, inner_receive, inner_send)
        except Exception as error:
            failure = error
        if self._is_caller_gone and not relay.is_complete:
            self._record.status, self._record.error_code = CALLER_GONE_STATUS, "caller_gone"
            return
        with contextlib.suppress(OSError):
            await relay.finish(failure)

    def _note_upstream(self, inner: InnerHead, route: Route) -> None:
        """Put into the record who answered, and tell the caller if that was a fallback."""
        record, head = self._record, self._head
        record.retries, record.is_cache_hit = inner.retries, inner.is_cache_hit
        if inner.is_cache_hit:
            head.more["x-modelfleet-cache"] = "hit"
        upstream = self._parts.gateway.upstreams.get(inner.upstream_id)
        if upstream is None:
            return
        record.served_by = upstream.name
        served = self._parts.engine.access_name(inner.upstream_id)
        if served not in (None, route.access_name):
            record.fallback = served or ""
            head.more["x-modelfleet-fallback"] = record.fallback

    def _inner_scope(self, scope: Message, *, body: bytes, content_type: bytes) -> Message:
        """The request as LiteLLM gets it: none of the caller's headers, and no query."""
        path = f"/v1/{self._record.path}"
        key = self._parts.engine.master_key
        return {
            **scope,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "state": {},
            "headers": [
                (b"host", b"gateway"),
                (b"authorization", f"Bearer {key}".encode()),
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
            ],
        }


def elapsed_ms(started_at: float) -> float:
    """Milliseconds since ``started_at`` (``time.perf_counter``)."""
    return (time.perf_counter() - started_at) * 1000


__all__ = ["CALLER_GONE_STATUS", "CallerGoneError", "Exchange", "Parts", "elapsed_ms"]
