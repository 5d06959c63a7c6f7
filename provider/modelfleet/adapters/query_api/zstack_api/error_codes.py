"""ZStack's error codes, and what goes wrong with a request as an exception. No HTTP beyond status.

Two forms, as in the original: what is wrong with the request itself is plain text under 400, 403,
404 or 405; what is wrong with what it asks for is an ErrorCode under 503, whatever the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """The codes that are used here, by what they mean."""

    INTERNAL = "SYS.1000"
    INVALID_ARGUMENT = "SYS.1007"
    NOT_READY = "SYS.1010"
    UNIMPLEMENTED = "SYS.1014"
    HTTP = "SYS.1015"
    AUTHENTICATION = "ID.1000"
    INVALID_SESSION = "ID.1001"
    DENIED = "ID.1002"
    SESSION_CAP = "ID.1006"

    @property
    def description(self) -> str:
        """Return what the code means in general."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS: Mapping[Code, str] = {
    Code.INTERNAL: "An internal error happened in the server",
    Code.INVALID_ARGUMENT: "One or more arguments are invalid",
    Code.NOT_READY: "The server is not ready yet",
    Code.UNIMPLEMENTED: "This operation is not implemented",
    Code.HTTP: "A request to another server failed",
    Code.AUTHENTICATION: "Authentication failed",
    Code.INVALID_SESSION: "The session is invalid or expired",
    Code.DENIED: "The account is not allowed to do this",
    Code.SESSION_CAP: "Too many sessions are open",
}


@dataclass(frozen=True)
class ErrorCode:
    """One error as clients read it.

    ``details`` say what is wrong here, ``elaboration`` what to do about it; ``cause`` is the error
    behind it, ``opaque`` what programs may want to know.
    """

    code: Code
    details: str
    elaboration: str | None = None
    cause: ErrorCode | None = None
    opaque: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wire(self) -> dict[str, Any]:
        """Return it as it is sent; what is not known is null."""
        return {
            "code": self.code.value,
            "description": self.code.description,
            "details": self.details,
            "elaboration": self.elaboration,
            "location": None,
            "cost": None,
            "opaque": dict(self.opaque) or None,
            "cause": self.cause.wire if self.cause else None,
            "causes": None,
        }


class ApiError(Exception):
    """What was asked for cannot be done: answered with 503 and an ErrorCode."""

    def __init__(self, error: ErrorCode) -> None:
        self.error = error
        super().__init__(error.details)


class RequestError(Exception):
    """The request itself is wrong: answered with its status and plain text."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        self.text = text
        self.status = status
        super().__init__(text)


def invalid(details: str, *, elaboration: str | None = None) -> ApiError:
    """Return the error of an argument that cannot be taken."""
    return ApiError(ErrorCode(Code.INVALID_ARGUMENT, details, elaboration))
