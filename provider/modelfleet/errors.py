"""Every error modelfleet raises, as one tree.

::

    ModelFleetError
    ├── SpecError                 a declaration is wrong; carries every problem at once
    ├── ConfigError               configuration around the specs is wrong (kubeconfig, stack config)
    ├── ClusterError              the API server refused or failed; carries subject and HTTP status
    │   ├── NotFoundError         what is addressed is not there
    │   ├── AlreadyExistsError    it is there, and is not ours
    │   ├── ConflictError         another writer owns a field, or changed the object meanwhile
    │   ├── ForbiddenError        no or not enough rights, or denied by admission or quota
    │   ├── ImmutableFieldError   the object cannot be changed into what is declared
    │   └── UnavailableError      unreachable, overloaded or timed out: the only retryable one
    ├── NotReadyError             accepted by the cluster, but did not become ready
    ├── LocalError                the local cluster or its tools failed (``local/errors.py``)
    │   └── NotRunningError       there is no local cluster
    └── ProviderBugError          ours; says so and asks for a report

A message is: subject, what failed, cause; then one hint that says what to do next.
This module owns error classes and nothing else: no I/O, no formatting for one adapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a declaration: a dotted path into it, and why.

    ``path`` is empty for a problem of the declaration as a whole.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class ModelFleetError(Exception):
    """Base of all errors a user of modelfleet can meet."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        end = "" if self.message.endswith((".", ":", "!", "?")) else "."
        return f"{self.message}{end} {self.hint}"


class SpecError(ModelFleetError):
    """A declaration cannot be accepted; ``problems`` holds all of them, sorted by path."""

    def __init__(self, subject: str, problems: Iterable[Problem]) -> None:
        self.subject = subject
        self.problems = tuple(sorted(set(problems)))
        lines = "; ".join(str(problem) for problem in self.problems)
        super().__init__(f"{subject}: {lines}")


class ConfigError(ModelFleetError):
    """Configuration that is not a declaration (kubeconfig, stack configuration) is wrong."""


class ClusterError(ModelFleetError):
    """The API server refused a request, or could not be asked.

    ``subject`` is what was acted on, such as ``Deployment models/qwen``; ``status`` the HTTP
    status, 0 where there was no reply. ``maybe_written`` says that a write of it was sent and
    never answered: it may have been carried out all the same.
    """

    maybe_written: bool = False

    def __init__(self, subject: str, cause: str, *, status: int = 0, hint: str = "") -> None:
        self.subject = subject
        self.status = status
        super().__init__(f"{subject}: {cause}", hint=hint)


class NotFoundError(ClusterError):
    """What a request addresses, or the namespace it lives in, does not exist."""


class AlreadyExistsError(ClusterError):
    """An object of that name exists and belongs to somebody else, who is named."""


class ConflictError(ClusterError):
    """Another writer owns a field we apply, or keeps changing the object."""


class ForbiddenError(ClusterError):
    """Not authenticated, not authorised, or denied by admission or quota."""


class ImmutableFieldError(ClusterError):
    """The object is invalid as rendered or a field of it cannot change in place (HTTP 422)."""


class UnavailableError(ClusterError):
    """The API server is unreachable, overloaded or did not answer in time. Retryable.

    ``retry_after_seconds`` is what the server asked for, else None.
    """

    def __init__(
        self,
        subject: str,
        cause: str,
        *,
        status: int = 0,
        hint: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(subject, cause, status=status, hint=hint)


class NotReadyError(ModelFleetError):
    """The objects were accepted, but did not become ready.

    ``reasons`` are sentences, each naming pod, cause, declared field and what to change;
    ``live`` is the primary object as last seen, if any; ``taken_back`` says that nothing of the
    attempt is left in the cluster.
    """

    def __init__(
        self,
        subject: str,
        reasons: Iterable[str],
        *,
        live: Mapping[str, Any] | None = None,
        taken_back: bool = False,
    ) -> None:
        self.subject = subject
        self.reasons = tuple(reasons)
        self.live = live
        self.taken_back = taken_back
        super().__init__(f"{subject}: {' '.join(self.reasons)}")


class ProviderBugError(ModelFleetError):
    """Something that cannot happen did: a bug of modelfleet, not of the declaration."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            hint="This is a bug in modelfleet; please report it with the traceback above.",
        )
