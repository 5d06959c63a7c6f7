"""Around every request: its id, its bounds, its headers, and a proper answer whatever happens.

Pure ASGI, so that nothing buffers. What it says in a body is each API's own ``Form``; a traceback
goes to the log and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelfleet.adapters.query_api.bounds import address_of
from modelfleet.adapters.query_api.freshness import tell_freshness
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.received import Body, too_slow
from modelfleet.adapters.query_api.refusal import REQUEST_ID, Form, RefusedError, plain_form

PROBES: Final = frozenset({"/healthz", "/readyz"})

INFERENCE: Final = "/models/"
"""Where requests are handed on to models: they take long, and may be large."""

_LARGEST_SHARE: Final = 3 / 4
"""Of all places for requests, how many one address may have."""

_SECURITY: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_TLS_ONLY: Final = "max-age=31536000"

_CODES: Final[Mapping[int, str]] = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed"}

_LOG: Final = logging.getLogger("modelfleet.serve")


class Guard:
    """The middleware; the outermost one, and the only one."""

    def __init__(self, app: ASGIApp, *, parts: Parts, forms: Mapping[str, Form]) -> None:
        """``forms`` are by the prefix of a path; the longest that fits is taken."""
        self._app = app
        self._parts = parts
        self._forms = dict(sorted(forms.items(), key=lambda each: -len(each[0])))
        said = parts.settings
        self._calls = _Lane(said.concurrency, said.body_bytes, said.request_seconds)
        self._inference = _Lane(
            said.inference_concurrency, said.inference_body_bytes, said.inference_seconds
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4()).upper()
        scope.setdefault("state", {})["request_id"] = request_id
        reply = _Reply(scope, send, self._parts, request_id=request_id)
        try:
            await self._bounded(scope, receive, reply)
        except ClientDisconnect:
            return  # nobody to answer
        except Exception as error:
            refused = _refused(error, request_id=request_id)
            if reply.started:
                # Half an answer is no answer: the server closes the connection on it.
                raise _BrokenOffError(refused.code) from None
            response = self._form(scope["path"])(refused, request_id)
            response.headers.update(refused.headers)
            await response(scope, receive, reply)

    async def _bounded(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        if scope["path"] in PROBES:
            await self._app(scope, receive, reply)
            return
        lane = self._inference if scope["path"].startswith(INFERENCE) else self._calls
        address = address_of(Request(scope))
        self._parts.address_rates.take(address, subject="your address")
        with lane.place(address):
            await self._in_time(lane, scope, Body(scope, receive, lane.body_bytes), reply)

    async def _in_time(self, lane: _Lane, scope: Scope, body: Body, reply: _Reply) -> None:
        try:
            async with asyncio.timeout(lane.seconds):
                await self._app(scope, body, reply)
        except TimeoutError:
            if body.is_awaited:
                raise too_slow() from None
            raise RefusedError(
                504,
                "TimedOut",
                f"There was no answer within {lane.seconds:g} s; what was to be "
                "written may have been.",
            ) from None

    def _form(self, path: str) -> Form:
        fitting = (form for prefix, form in self._forms.items() if path.startswith(prefix))
        return next(fitting, plain_form)


async def refused_by_routing(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Hand on what the router says (no such path, no such verb) to the guard."""
    raise error


@dataclass
class _Lane:
    """Requests that are bounded together, so that those which take long leave room for others."""

    concurrency: int
    body_bytes: int
    seconds: float
    in_progress: int = 0
    _by_address: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Have one request in progress; one address never has all places.

        Raises:
            RefusedError: there is none left, of all or of those it may have.
        """
        most = math.ceil(self.concurrency * _LARGEST_SHARE)
        if self.in_progress >= self.concurrency or self._by_address[address] >= most:
            raise RefusedError(
                503, "Busy", "Too many requests at once.", headers={"Retry-After": "1"}
            )
        self.in_progress += 1
        self._by_address[address] += 1
        try:
            yield
        finally:
            self.in_progress -= 1
            self._by_address -= Counter([address])  # keeps none at 0


class _BrokenOffError(Exception):
    """An answer broke off after it had begun."""


class _Reply:
    """Sends, and adds the headers that every response has."""

    def __init__(self, scope: Scope, send: Send, parts: Parts, *, request_id: str) -> None:
        self._scope, self._send, self._parts = scope, send, parts
        self._request_id = request_id
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._request_id
            for name, value in _SECURITY.items():
                headers[name] = value
            if self._scope.get("scheme") == "https":
                headers["Strict-Transport-Security"] = _TLS_ONLY
            tell_freshness(headers, self._scope, self._parts.catalogue)
            if self._parts.readiness.draining:
                headers["Connection"] = "close"
        await self._send(message)


def _refused(error: Exception, *, request_id: str) -> RefusedError:
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "BadRequest")
        headers: Any = error.headers
        message = HTTPStatus(error.status_code).phrase + "."
        return RefusedError(error.status_code, code, message, headers=headers)
    _LOG.error("request %s failed", request_id, exc_info=error)
    return RefusedError(500, "Failed", "This is a bug; the server's log tells more by this id.")
