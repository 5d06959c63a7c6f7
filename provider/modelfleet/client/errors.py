"""The errors of the SDK, with AgentRun's names and shapes, in modelfleet's tree.

::

    ModelFleetError
    └── AgentRunError                 base of what a call of the SDK raises
        ├── HTTPError                 refused or not carried out; says with which HTTP status
        │   ├── ClientError           the request cannot be granted, or nobody could be asked
        │   └── ServerError           the API server failed
        ├── ResourceNotExistError     there is none of that name
        ├── ResourceAlreadyExistError there is one of that name
        └── DeleteResourceError       told to go, and did not

The core's own error stays as ``__cause__``. Which of its errors becomes which of these is decided
here and nowhere else: by class and status, never by the words of a message.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from modelfleet.errors import (
    AlreadyExistsError,
    ClusterError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    ImmutableFieldError,
    ModelFleetError,
    NotFoundError,
    SpecError,
    UnavailableError,
)


class AgentRunError(ModelFleetError):
    """Base of what a call of the SDK raises. ``details`` are whatever the raiser adds.

    ``status_code`` is the HTTP status behind it, 0 where there was none; ``request_id`` names the
    request, None where nobody gave it a name.
    """

    status_code: int = 0
    request_id: str | None = None

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message or "")
        self.details = details

    def details_str(self) -> str:
        """Return the details as JSON, ``""`` where there are none."""
        return self.kwargs_str(**self.details)

    @classmethod
    def kwargs_str(cls, **kwargs: Any) -> str:
        """Return ``kwargs`` as JSON, ``""`` where there are none."""
        return json.dumps(kwargs, ensure_ascii=False, default=str) if kwargs else ""

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


class HTTPError(AgentRunError):
    """A call was refused or not carried out. ``error_code`` is why, in one word."""

    def __init__(
        self,
        status_code: int,
        message: str,
        request_id: str | None = None,
        error_code: str | None = None,
        response_body: Any = None,
        response_headers: dict[str, Any] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.status_code = status_code
        self.request_id = request_id
        self.error_code = error_code
        self.response_body = response_body
        self.response_headers = response_headers

    def __str__(self) -> str:
        parts = [f"HTTP {self.status_code}: {self.message}"]
        if self.error_code:
            parts.append(f"Error Code: {self.error_code}")
        if self.request_id:
            parts.append(f"Request ID: {self.request_id}")
        if self.details:
            parts.append(f"Details: {self.details_str()}")
        if len(parts) > 1:
            parts[0] = parts[0].removesuffix(".")  # which a message that ends in a hint has
        return ". ".join(parts)

    def to_resource_error(
        self, resource_type: str, resource_id: str | None = ""
    ) -> HTTPError | ResourceNotExistError | ResourceAlreadyExistError:
        """Return what this says about the existence of a resource; itself where it says nothing."""
        kind: type[ResourceNotExistError | ResourceAlreadyExistError]
        if self.status_code == 404:
            kind = ResourceNotExistError
        elif self.status_code == 409 and self.error_code == _code_of(AlreadyExistsError):
            kind = ResourceAlreadyExistError
        else:
            return self
        error = kind(resource_type, resource_id)
        error.status_code, error.request_id = self.status_code, self.request_id
        return error


class ClientError(HTTPError):
    """A request that cannot be granted as it is; with status 0, nobody could be asked."""


class ServerError(HTTPError):
    """The API server failed, or is overloaded: the same request may succeed later."""


class ResourceNotExistError(AgentRunError):
    """There is no resource of that name."""

    status_code = 404

    def __init__(self, resource_type: str, resource_id: str | None = "") -> None:
        super().__init__(f"Resource {resource_type}({resource_id}) does not exist.")


class ResourceAlreadyExistError(AgentRunError):
    """There is a resource of that name."""

    status_code = 409

    def __init__(self, resource_type: str, resource_id: str | None = "") -> None:
        super().__init__(f"Resource {resource_type}({resource_id}) already exists.")


class DeleteResourceError(AgentRunError):
    """A resource that was told to go did not."""

    def __init__(self, message: str | None = None) -> None:
        reason = f" Reason: {message}" if message else ""
        super().__init__(f"Failed to delete resource.{reason}")


_STATUS: Final[Mapping[type[ModelFleetError], int]] = {
    SpecError: 400,
    ConfigError: 400,
    NotFoundError: 404,
    AlreadyExistsError: 409,
    ConflictError: 409,
    ForbiddenError: 403,
    ImmutableFieldError: 422,
    UnavailableError: 0,
    ClusterError: 500,
}

_RESOURCE: Final = "Model"
"""What AgentRun calls either kind in its messages."""


@contextmanager
def raised_as_agentruns(name: str | None, *, creating: bool = False) -> Iterator[None]:
    """Raise what the core raises inside as AgentRun would, about the resource called ``name``.

    Only a create takes "exists already" for an answer about its resource, and anything but a create
    "not found". NotReadyError, which AgentRun has no word for, and bugs pass as they are.
    """
    try:
        yield
    except tuple(_STATUS) as error:
        failure = http_error(error)
        about_existence = AlreadyExistsError if creating else NotFoundError
        if isinstance(error, about_existence):
            raise failure.to_resource_error(_RESOURCE, name) from error
        raise failure from error


def http_error(error: ModelFleetError) -> HTTPError:
    """Return the core's ``error`` as what an HTTP API would have answered."""
    kind = next(each for each in type(error).__mro__ if each in _STATUS)
    status = (error.status if isinstance(error, ClusterError) else 0) or _STATUS[kind]
    cls = ServerError if status >= 500 else ClientError
    return cls(status, str(error), error_code=_code_of(kind))


def _code_of(kind: type[ModelFleetError]) -> str:
    return kind.__name__.removesuffix("Error")


def _restored(
    kind: type[AgentRunError], arguments: tuple[Any, ...], state: dict[str, Any]
) -> AgentRunError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error
