"""How AgentRun's control API answers: ``{code, requestId, data}``, or a code and a message.

AgentRun's SDK tells "not there" and "there already" from everything else by status and by English
text (404 with "does not exist", 409 with "already exists"), so exactly these two say so: a key
that is not known must never read as a resource that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from modelfleet.adapters.query_api.refusal import RefusedError, request_id_of
from modelfleet.errors import (
    AlreadyExistsError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    ImmutableFieldError,
    ModelFleetError,
    NotFoundError,
    NotReadyError,
    SpecError,
    UnavailableError,
)

SUCCESS: Final = "SUCCESS"

INVALID: Final = "InvalidParameter"
MISSING: Final = "ResourceNotFound"
PRESENT: Final = "ResourceAlreadyExists"
CONFLICT: Final = "ResourceConflict"
FORBIDDEN: Final = "Forbidden"
UNAVAILABLE: Final = "ServiceUnavailable"
INTERNAL: Final = "InternalError"

_WORDS: Final[Mapping[str, str]] = {
    "BadRequest": INVALID,
    "NotFound": "InvalidAction.NotFound",
    "MethodNotAllowed": "UnsupportedHTTPMethod",
    "TooSlow": "RequestTimeout",
    "TooLarge": "RequestEntityTooLarge",
    "TooOften": "Throttling.User",
    "Failed": INTERNAL,
    "Busy": UNAVAILABLE,
    "TimedOut": "GatewayTimeout",
}
"""Refusals of the frame, in Alibaba Cloud's words."""

_RETRY_SECONDS: Final = 5


def reply(request: Request, data: Any) -> Response:
    """Return what was asked for."""
    return JSONResponse({"code": SUCCESS, "requestId": request_id_of(request), "data": data})


def refusal_form(refused: RefusedError, request_id: str) -> Response:
    """Return the body of a refusal. Its ``message`` is what AgentRun's SDK shows."""
    content = {
        "code": _WORDS.get(refused.code, refused.code),
        "message": refused.message,
        "requestId": request_id,
    }
    return JSONResponse(content, status_code=refused.status)


def refusal_of(error: ModelFleetError, *, subject: str, creating: bool = False) -> RefusedError:
    """Return how an error of the core is told; ``subject`` is what was asked about.

    ``creating`` says that it was to be made: what is missing then is something else.
    """
    if isinstance(error, NotReadyError) and isinstance(error.__cause__, ModelFleetError):
        # Begun and not finished: told as what stood in the way.
        refused = refusal_of(error.__cause__, subject=subject, creating=True)
        return RefusedError(refused.status, refused.code, str(error), headers=refused.headers)
    if isinstance(error, AlreadyExistsError):
        return RefusedError(409, PRESENT, _saying(error, "already exists", subject=subject))
    if isinstance(error, NotFoundError) and not creating:
        return RefusedError(404, MISSING, _saying(error, "does not exist", subject=subject))
    if isinstance(error, UnavailableError):
        seconds = error.retry_after_seconds or _RETRY_SECONDS
        headers = {"Retry-After": str(max(1, round(seconds)))}
        return RefusedError(503, UNAVAILABLE, str(error), headers=headers)
    if isinstance(error, ForbiddenError):
        return RefusedError(403, FORBIDDEN, str(error))
    if isinstance(error, SpecError | ImmutableFieldError | NotFoundError):
        return RefusedError(400, INVALID, str(error))
    if isinstance(error, ConflictError | ConfigError):
        return RefusedError(409, CONFLICT, str(error))
    raise error


def _saying(error: ModelFleetError, phrase: str, *, subject: str) -> str:
    """Return what an error says, with the words by which the SDK knows it."""
    text = str(error)
    return text if phrase in text else f"{subject} {phrase}: {text}"
