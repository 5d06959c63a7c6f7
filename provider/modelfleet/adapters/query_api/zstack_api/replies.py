"""What is answered: JSON under 200, an ErrorCode under 503, plain text for a wrong request."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from modelfleet.adapters.query_api.operations import Handler
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.adapters.query_api.zstack_api.error_codes import (
    ApiError,
    Code,
    ErrorCode,
    RequestError,
)

_JSON: Final = "application/json"
_SERVERS_FAULT: Final = 500


def answered(content: dict[str, Any] | str) -> Response:
    """Return the answer to a call that was carried out; a text is JSON already."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return Response(text, media_type=_JSON)


def failed(error: ErrorCode, *, status: int = 503) -> Response:
    """Return the answer to a call that was not carried out, whatever the reason."""
    text = json.dumps({"error": error.wire}, ensure_ascii=False)
    return Response(text, status_code=status, media_type=_JSON)


def refused(refusal: RefusedError, request_id: str) -> Response:
    """Return the answer to a request that did not get through its handler."""
    if refusal.status < _SERVERS_FAULT:
        return PlainTextResponse(refusal.message, status_code=refusal.status)
    code = Code.INTERNAL if refusal.code == "Failed" else Code.NOT_READY
    error = ErrorCode(code, refusal.message, opaque={"requestId": request_id})
    return failed(error, status=refusal.status)


def spoken(
    handler: Callable[[Request, Parts], Awaitable[Response]],
) -> Handler:
    """Return ``handler`` with its errors told as ZStack tells them."""

    @functools.wraps(handler)
    async def told(request: Request, parts: Parts) -> Response:
        try:
            return await handler(request, parts)
        except ApiError as error:
            return failed(error.error)
        except RequestError as error:
            return PlainTextResponse(error.text, status_code=error.status)

    return told
