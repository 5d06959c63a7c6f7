"""What the gateway says when it does not answer: one shape, OpenAI's, and a fixed set of codes.

Messages never hold a key, an address of an upstream or a trace. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from .refusal import Refusal

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


@dataclass
class GatewayError(Exception):
    """One refusal or failure as the caller sees it; ``headers`` go with the reply."""

    status: int
    code: str | None
    message: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """OpenAI's ``type`` of the error."""
        return _TYPES.get(self.status, "server_error")

    def fields(self) -> dict[str, Any]:
        """The four fields of OpenAI's error."""
        return {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }

    def body(self) -> bytes:
        """The body of the reply."""
        return orjson.dumps({"error": self.fields()})


def error_of(refusal: Refusal) -> GatewayError:
    """The error of a request that a limit or a guardrail refuses."""
    after = refusal.retry_after_seconds
    headers = {} if after is None else {"retry-after": str(after)}
    return GatewayError(refusal.status, refusal.code, refusal.message, headers=headers)


def path_not_found() -> GatewayError:
    """For any path that is not served; the path is not repeated."""
    return GatewayError(404, "not_found", "There is nothing at this path.")


def method_not_allowed(allowed: str) -> GatewayError:
    """For a path that is served, but not with this method."""
    message = f"This path takes {allowed} only."
    return GatewayError(405, "method_not_allowed", message, headers={"allow": allowed})


def missing_api_key() -> GatewayError:
    """No key, or none in the form of a bearer."""
    message = "No API key. Send one as `Authorization: Bearer <key>`."
    return GatewayError(401, "missing_api_key", message, headers={"www-authenticate": "Bearer"})


def incorrect_api_key() -> GatewayError:
    """Unknown, revoked or expired: which of them is not told, nor the key."""
    message = "Incorrect API key. It is unknown here, was revoked or has expired."
    return GatewayError(401, "incorrect_api_key", message, headers={"www-authenticate": "Bearer"})


def missing_model() -> GatewayError:
    """A request that names no model."""
    message = "The request names no model. Put an access name of GET /v1/models into `model`."
    return GatewayError(404, "missing_model", message, "model")


def model_not_found(name: str) -> GatewayError:
    """Unknown and not granted read the same, so that nobody learns names by asking."""
    message = f"The model `{name[:200]}` does not exist, or this key may not use it."
    return GatewayError(404, "model_not_found", message, "model")


def model_access_denied(name: str) -> GatewayError:
    """A model that the key is denied by name."""
    return GatewayError(403, "model_access_denied", f"This key is denied `{name[:200]}`.", "model")


def invalid_json(reason: str) -> GatewayError:
    """A body that is not what its path takes."""
    return GatewayError(400, "invalid_request", f"The body cannot be read: {reason}.")


def request_too_large(max_bytes: int) -> GatewayError:
    """A body above the limit, refused before it was read."""
    mib = max_bytes / 1024 / 1024
    message = f"The request is larger than {mib:g} MiB."
    return GatewayError(413, "request_too_large", message, headers={"connection": "close"})


def too_many_large_bodies() -> GatewayError:
    """No room for one more large body at the moment."""
    message = "Too many large requests are under way. Try again in 1 s."
    headers = {"retry-after": "1", "connection": "close"}
    return GatewayError(503, "service_unavailable", message, headers=headers)


def internal_error() -> GatewayError:
    """What should not happen."""
    return GatewayError(500, "internal_error", "The gateway failed to handle this request.")
