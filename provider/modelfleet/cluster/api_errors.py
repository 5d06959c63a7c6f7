"""Every way an API server says no, as exactly one class of error with one hint.

``CLASS_OF_REASON`` is the table; HTTP statuses stand in where a reply carries no ``Status`` (a
proxy answered, or the body was cut). Pure: replies in, errors out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.cluster.allowances import allowance
from modelfleet.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ForbiddenError,
    ImmutableFieldError,
    NotFoundError,
    UnavailableError,
)

CLASS_OF_REASON: Final[dict[str, type[ClusterError]]] = {
    "Unauthorized": ForbiddenError,
    "Forbidden": ForbiddenError,
    "NotFound": NotFoundError,
    "AlreadyExists": AlreadyExistsError,
    "Conflict": ConflictError,
    # A resource version too old to continue from is a stale view, like any other conflict: read
    # again. Retrying the same request would fail for ever.
    "Gone": ConflictError,
    "Expired": ConflictError,
    "Invalid": ImmutableFieldError,
    "BadRequest": ImmutableFieldError,
    "RequestEntityTooLarge": ImmutableFieldError,
    "ServerTimeout": UnavailableError,
    "Timeout": UnavailableError,
    "TooManyRequests": UnavailableError,
    "ServiceUnavailable": UnavailableError,
    "InternalError": UnavailableError,
    "StoreReadError": UnavailableError,
    # What answers so is no Kubernetes API server, or one too old for server-side apply.
    "MethodNotAllowed": ClusterError,
    "NotAcceptable": ClusterError,
    "UnsupportedMediaType": ClusterError,
}
"""Class of error by ``reason`` of the ``Status``, all reasons of the Kubernetes API."""

# Not here: 404. Only a Status can say that an object is not there; a bare 404 comes from a server
# that does not know the path at all, and must never pass for "deleted".
_REASON_OF_STATUS: Final[dict[int, str]] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Gone",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
}

_STATUS_TEXT_LIMIT: Final = 1_000
_FOREIGN_TEXT_LIMIT: Final = 256
# Server-side apply reports a field or type that the kind does not have as a bare 500, as if asking
# again could help.
_NOT_OF_ITS_KIND: Final = re.compile(r"failed to (create typed patch object|convert new object)")
_RBAC: Final = re.compile(r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"')
_CANNOT_GROW: Final = re.compile(r"provisions the pvc must support resize")
_CANNOT_SHRINK: Final = re.compile(r"requests\.storage: Forbidden: field can not be less than")
_SILENT_WEBHOOK: Final = re.compile(r'failed calling webhook "(?P<name>[^"]+)"')
_POLICY: Final = re.compile(
    r'admission webhook "(?P<webhook>[^"]+)" denied|'
    r"ValidatingAdmissionPolicy '(?P<policy>[^']+)'|"
    r'violates (?P<level>PodSecurity "[^"]+")'
)


@dataclass(frozen=True)
class Asked:
    """What was asked, as far as messages tell it.

    ``subject`` such as ``Deployment models/qwen``; ``verb`` and ``plural`` such as ``apply`` and
    ``deployments``; ``server`` its URL; ``access`` where server and credentials were read from.
    """

    subject: str
    verb: str
    plural: str
    server: str
    access: str


def api_error(
    asked: Asked, *, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> ClusterError:
    """Return the error for a reply that is not a success."""
    answer = _status_object(body)
    text = " ".join(str(answer.get("message", "")).split())
    reason = _reason(answer, status, text=text)
    error_class = CLASS_OF_REASON.get(reason, UnavailableError if status >= 500 else ClusterError)
    cause = _cause(asked, answer, error_class=error_class, status=status, text=text, body=body)
    hint = _hint(asked, answer, error_class=error_class, reason=reason, text=text)
    if error_class is UnavailableError:
        return UnavailableError(
            asked.subject,
            f"the API server {asked.server} could not {asked.verb} it: {cause}",
            status=status,
            hint=hint,
            retry_after_seconds=_retry_after_seconds(answer, headers or {}),
        )
    return error_class(asked.subject, cause, status=status, hint=hint)


def unreachable_error(asked: Asked, cause: str) -> UnavailableError:
    """Return the error for a request that got no reply, or only half of one."""
    return UnavailableError(
        asked.subject,
        f"no answer from the API server {asked.server}: {cause}",
        hint=f"Check that the cluster is up and reachable from here, and the server of "
        f"{asked.access}.",
    )


def _status_object(body: bytes) -> dict[str, Any]:
    """Return the ``Status`` in ``body``, or an empty dict where there is none."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _reason(answer: Mapping[str, Any], status: int, *, text: str) -> str:
    """Return the reason the server gave, or the one that its answer otherwise stands for.

    Who denies chooses the status, too; as often as not it is that of an invalid object.
    """
    if _POLICY.search(text):
        return "Forbidden"
    if given := answer.get("reason"):
        return str(given)
    if _NOT_OF_ITS_KIND.match(text):
        return "Invalid"
    return _REASON_OF_STATUS.get(status, "")


def _cause(
    asked: Asked,
    answer: Mapping[str, Any],
    *,
    error_class: type[ClusterError],
    status: int,
    text: str,
    body: bytes,
) -> str:
    is_about_content = error_class is ImmutableFieldError or status == 500 or _POLICY.search(text)
    if asked.plural == "secrets" and is_about_content and not _SILENT_WEBHOOK.search(text):
        # The server quotes the value it rejects; of a Secret we repeat the fields only.
        fields = "; ".join(
            f"{cause['field']}: {cause.get('reason')}"
            for cause in _details(answer, "causes")
            if cause.get("field")
        )
        return f"the content was refused ({fields or 'the reason may quote it, so it is hidden'})"
    if text:
        return _shortened(text, _STATUS_TEXT_LIMIT)
    foreign = " ".join(body.decode(errors="replace").split())
    return f"HTTP {status}" + (f": {_shortened(foreign, _FOREIGN_TEXT_LIMIT)}" if foreign else "")


def _hint(
    asked: Asked,
    answer: Mapping[str, Any],
    *,
    error_class: type[ClusterError],
    reason: str,
    text: str,
) -> str:
    """Return what the user can do about it, by what the message shows the reason to be."""
    if silent := _SILENT_WEBHOOK.search(text):
        return (
            f"The admission webhook {silent['name']} of the cluster does not work: have it mended "
            "by whoever keeps it, and run this again."
        )
    if policy := _POLICY.search(text):
        name = policy["webhook"] or policy["policy"] or policy["level"]
        return (
            f"An admission policy of the cluster ({name}) said no: change what it names, or ask "
            "whoever keeps the policy."
        )
    if allowed := allowance(text):
        return allowed.hint
    if any(each.get("reason") == "NamespaceTerminating" for each in _details(answer, "causes")):
        return "The namespace is being deleted: wait until it is gone and made anew."
    if reason == "NotFound" and _details(answer, "kind") == "namespaces":
        return (
            "Create the Namespace first, by kubectl create namespace; or in a Pulumi program add a "
            "kubernetes.core.v1.Namespace, and pass its metadata.name as namespace, so that the "
            "service is made after it."
        )
    if _CANNOT_GROW.search(text):
        return (
            "Set deployment.storage.size_gib back, or have allowVolumeExpansion set on the "
            "StorageClass; another class_name or access_mode makes another claim."
        )
    if _CANNOT_SHRINK.search(text):
        return (
            "A claim cannot shrink: set deployment.storage.size_gib to what it has, or another "
            "class_name or access_mode, which makes another claim."
        )
    if reason == "Forbidden":
        return _hint_to_grant(asked, text)
    if _NOT_OF_ITS_KIND.match(text):
        return "Correct the field it names, or the override it comes from."
    if error_class is ClusterError:
        return f"Check that {asked.server} is a Kubernetes API server, 1.30 or later."
    return _HINTS.get(reason, "").format(access=asked.access)


def _hint_to_grant(asked: Asked, text: str) -> str:
    rbac = _RBAC.search(text)
    verb, resource = (rbac["verb"], rbac["resource"]) if rbac else (asked.verb, asked.plural)
    role = " modelfleet-chat" if resource == "pods/portforward" else ""
    return (
        f'Grant the verb "{verb}" on "{resource}" to the account of {asked.access}, for example '
        f"by binding the ClusterRole{role} that modelfleet ships."
    )


_HINTS: Final[dict[str, str]] = {
    "Unauthorized": "Renew the credentials of {access}: the API server does not accept them.",
    "Conflict": "Somebody else is writing it too; look who, and run this again.",
    "TooManyRequests": "The API server is overloaded: run this again later.",
    "ServiceUnavailable": "The API server is not ready: run this again later.",
    "InternalError": "Look into the API server's log; a failing admission webhook shows so too.",
}


def _details(answer: Mapping[str, Any], key: str) -> Any:
    """Return ``details.<key>`` of a Status; an absent ``causes`` is an empty list."""
    details = answer.get("details") or {}
    return details.get(key) or ([] if key == "causes" else None)


def _retry_after_seconds(answer: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    """Return what the server asks us to wait, from the header or else from the Status."""
    for asked_for in (headers.get("retry-after"), _details(answer, "retryAfterSeconds")):
        try:
            seconds = float(asked_for or 0)
        except (TypeError, ValueError):  # the header's other form is a date: not used by Kubernetes
            continue
        if seconds > 0:
            return seconds
    return None


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
