"""The reply of one request, between LiteLLM and the caller: whole, as events, or as plain bytes.

A whole reply is held until it is complete, so that its status can still be ours. Events go on one
by one as they come. Everything else (speech) is passed through.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from .asgi import Message, Send
from .errors import GatewayError, error_of, internal_error
from .guardrails import Guardrail
from .records import UsageRecord
from .replies import InnerHead, OuterHead, inner_head, renamed
from .request_bodies import Request
from .settings import Route
from .streams import EventStream, said_in
from .upstream_errors import upstream_error
from .usage import Usage, estimated_usage, tokens_said


class Relay:
    """``send`` is what LiteLLM sends to; ``finish`` is called when it has returned.

    ``before_end`` is awaited before the caller gets the end of its answer, when ``usage`` is known:
    whoever asks again then finds its tokens counted, at any replica, and its slot free. It may be
    called again.
    """

    def __init__(
        self,
        outer_send: Send,
        request: Request,
        route: Route,
        *,
        head: OuterHead,
        record: UsageRecord,
        guardrail: Guardrail | None,
        started_at: float,
        before_end: Callable[[], Awaitable[None]],
    ) -> None:
        self._send, self._request, self._route = outer_send, request, route
        self._outer, self._record, self._guardrail = head, record, guardrail
        self._started_at, self._before_end = started_at, before_end
        self._held: list[bytes] = []
        self._events = EventStream(
            route, lacks_usage=request.lacks_usage, is_responses=request.path == "responses"
        )
        self._is_begun = False
        self.inner: InnerHead | None = None
        self.is_complete = False
        """Whether the caller has got a reply with an end."""

    async def send(self, message: Message) -> None:
        """Take a message of LiteLLM's reply."""
        if message["type"] == "http.response.start":
            self.inner = inner_head(message["status"], message["headers"])
            self._record.status = self.inner.status
            return
        if message["type"] != "http.response.body" or self.inner is None or self.is_complete:
            return
        data, is_last = message.get("body", b""), not message.get("more_body", False)
        if self._is_whole:
            if data:
                self._held.append(data)
            if is_last:
                await self._answer_whole(self.inner, b"".join(self._held))
        elif self.inner.is_events:
            await self._answer_events(data, is_last=is_last)
        else:
            await self._pass_on(self.inner, data, is_last=is_last)

    async def finish(self, failure: Exception | None) -> None:
        """End what LiteLLM left unfinished. A body of plain bytes cannot be: the caller sees it."""
        if self.is_complete:
            return
        if self.inner is not None and self.inner.is_events and not self._is_whole:
            reason = "" if failure is None else str(failure)
            last = self._events.failed(reason) if failure else self._events.closing()
            await self._deliver_events(last, is_last=True)
        elif not self._is_begun:
            await self.refuse(internal_error())

    async def refuse(self, error: GatewayError) -> None:
        """Answer with an error, if nothing has been answered yet."""
        self._record.status, self._record.error_code = error.status, error.code
        self._outer.more.update(error.headers)
        await self._whole(error.status, error.body(), b"application/json")

    def usage(self) -> Usage:
        """The tokens of this request; estimated where an upstream worked and did not say."""
        if self._record.usage.total_tokens:
            return self._record.usage
        if self.inner is not None and self.inner.is_failure:
            return Usage()
        if self._events.usage is not None:
            return self._events.usage
        fields = self._request.fields
        return estimated_usage(fields, completion_tokens=self._events.content_events)

    @property
    def _is_whole(self) -> bool:
        """Whether the reply is held until it is complete."""
        return self.inner is None or self.inner.is_failure or self.inner.is_json

    @property
    def _is_checked(self) -> bool:
        """Whether a guardrail reads the reply before the caller does."""
        return self._guardrail is not None and self._guardrail.checks_reply

    async def _answer_whole(self, inner: InnerHead, body: bytes) -> None:
        if inner.is_failure:
            after = inner.retry_after
            await self.refuse(upstream_error(inner.status, body, self._route, retry_after=after))
            return
        body, document, usage = renamed(body, self._route.access_name)
        if usage is not None:
            self._record.usage = usage
        elif document is not None:
            self._record.usage = estimated_usage(
                self._request.fields, completion_tokens=tokens_said(document)
            )
        if self._guardrail is not None and document is not None:
            refusal = await self._guardrail.refusal_of_reply(document)
            if refusal is not None:
                # The upstream did the work: it counts, though the caller gets none of it.
                self._record.usage = self.usage()
                await self.refuse(error_of(refusal))
                return
        await self._whole(inner.status, body, inner.content_type)

    async def _answer_events(self, data: bytes, *, is_last: bool) -> None:
        passed = self._events.passed_on(data) if data else b""
        if is_last:
            passed += self._events.closing()
        if self._is_checked:
            self._held.append(passed)
            if is_last:
                await self._answer_checked_events()
            return
        await self._deliver_events(passed, is_last=is_last)

    async def _answer_checked_events(self) -> None:
        """Of a reply that a guardrail reads, events are held until all have come."""
        events = b"".join(self._held)
        if self._guardrail is not None:
            refusal = await self._guardrail.refusal_of_reply(said_in(events))
            if refusal is not None:
                self._record.usage = self.usage()
                await self.refuse(error_of(refusal))
                return
        await self._deliver_events(events, is_last=True)

    async def _deliver_events(self, data: bytes, *, is_last: bool) -> None:
        if self._events.error is not None:
            self._record.error_code = self._events.error.code
        if not data and not is_last:
            return
        await self._begin(200, b"text/event-stream; charset=utf-8", None)
        await self._part(data, is_last=is_last)

    async def _pass_on(self, inner: InnerHead, data: bytes, *, is_last: bool) -> None:
        await self._begin(inner.status, inner.content_type or b"application/octet-stream", None)
        await self._part(data, is_last=is_last)

    async def _whole(self, status: int, body: bytes, content_type: bytes) -> None:
        await self._begin(status, content_type, len(body))
        await self._part(body, is_last=True)

    async def _begin(self, status: int, content_type: bytes, length: int | None) -> None:
        if self._is_begun:
            return
        self._is_begun = True
        self._record.first_byte_ms = (time.perf_counter() - self._started_at) * 1000
        headers = self._outer.raw(content_type=content_type, content_length=length)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _part(self, data: bytes, *, is_last: bool) -> None:
        # Clients stop at the last event, and do not wait for the end of the body.
        if is_last or self._events.is_complete:
            await self._before_end()
        if data or is_last:
            await self._send({"type": "http.response.body", "body": data, "more_body": not is_last})
        self.is_complete = self.is_complete or is_last
