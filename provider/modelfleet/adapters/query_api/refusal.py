"""A request that does not reach its handler, or not through it, and how each API says so.

Handlers may raise it too, for what is not theirs to word. Bodies are for each API: a ``Form``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

REQUEST_ID: Final = "X-Request-Id"


class RefusedError(Exception):
    """Why a request was not answered as it asked: an HTTP status, a code and one sentence.

    Codes are BadRequest (400), NotFound (404), MethodNotAllowed (405), TooSlow (408), TooLarge
    (413), TooOften (429), Failed (500), Busy (503) and TimedOut (504).
    """

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        super().__init__(message)


Form = Callable[[RefusedError, str], Response]
"""What one API makes of a refusal and the request's id; headers and status are added after."""


def plain_form(refused: RefusedError, request_id: str) -> Response:
    """Return the body for whoever asked no API in particular."""
    content = {"code": refused.code, "message": refused.message, "requestId": request_id}
    return JSONResponse(content, status_code=refused.status)


def request_id_of(request: HTTPConnection) -> str:
    """Return the id that this server has given a request; it stands in the header, too."""
    return str(request.scope.get("state", {}).get("request_id", ""))
