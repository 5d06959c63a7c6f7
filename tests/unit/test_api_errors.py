"""Every way an API server says no becomes one class of error, with a hint that fits the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelfleet.cluster.api_errors import CLASS_OF_REASON, Asked, api_error
from modelfleet.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ForbiddenError,
    ImmutableFieldError,
    NotFoundError,
    UnavailableError,
)

ASKED = Asked(
    subject="Deployment models/qwen",
    verb="apply",
    plural="deployments",
    server="https://api:6443",
    access='context "main" of /home/me/.kube/config',
)

REASONS: dict[str, tuple[int, type[ClusterError]]] = {
    "Unauthorized": (401, ForbiddenError),
    "Forbidden": (403, ForbiddenError),
    "NotFound": (404, NotFoundError),
    "AlreadyExists": (409, AlreadyExistsError),
    "Conflict": (409, ConflictError),
    "Gone": (410, ConflictError),
    "Expired": (410, ConflictError),
    "Invalid": (422, ImmutableFieldError),
    "BadRequest": (400, ImmutableFieldError),
    "RequestEntityTooLarge": (413, ImmutableFieldError),
    "ServerTimeout": (500, UnavailableError),
    "Timeout": (504, UnavailableError),
    "TooManyRequests": (429, UnavailableError),
    "ServiceUnavailable": (503, UnavailableError),
    "InternalError": (500, UnavailableError),
    "StoreReadError": (500, UnavailableError),
    "MethodNotAllowed": (405, ClusterError),
    "NotAcceptable": (406, ClusterError),
    "UnsupportedMediaType": (415, ClusterError),
}


NOT_OF_ITS_KIND = (
    "failed to create typed patch object (models/qwen; apps/v1, Kind=Deployment): .spec.replicas: "
    "expected numeric (int or float), got string"
)
"""What server-side apply answers, with status 500 and without a reason."""


def status(reason: str = "", message: str = "it is so", **details: Any) -> bytes:
    answer = {"kind": "Status", "reason": reason, "message": message, "details": details}
    return json.dumps(answer).encode()


def error(
    code: int, body: bytes, *, asked: Asked = ASKED, headers: dict[str, str] | None = None
) -> ClusterError:
    return api_error(asked, status=code, body=body, headers=headers)


def test_the_table_has_every_reason_of_the_kubernetes_api() -> None:
    assert {reason: found for reason, (_, found) in REASONS.items()} == CLASS_OF_REASON


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_becomes_exactly_its_class(reason: str) -> None:
    code, error_class = REASONS[reason]

    found = error(code, status(reason))

    assert type(found) is error_class
    assert found.status == code
    assert str(found).startswith("Deployment models/qwen: ")
    assert "it is so" in str(found)


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (400, ImmutableFieldError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, ClusterError),
        (409, ConflictError),
        (418, ClusterError),
        (429, UnavailableError),
        (500, UnavailableError),
        (502, UnavailableError),
        (503, UnavailableError),
        (504, UnavailableError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"kind": "Sta', b"[1]", b"\xff"])
def test_a_reply_without_a_status_is_taken_by_its_http_status(
    code: int, error_class: type[ClusterError], body: bytes
) -> None:
    assert type(error(code, body)) is error_class


def test_a_404_of_an_unknown_path_never_means_that_an_object_is_gone() -> None:
    found = error(404, b"404 page not found\n")

    assert not isinstance(found, NotFoundError)
    assert "Check that https://api:6443 is a Kubernetes API server" in str(found)


def test_foreign_text_is_cut() -> None:
    assert len(error(400, b"x" * 10_000).message) < 350


def test_what_the_server_quotes_of_a_secret_is_not_repeated() -> None:
    asked = Asked("Secret models/x", "apply", "secrets", "https://api", "a test")
    causes = [{"field": "data[key]", "reason": "FieldValueInvalid", "message": "hidden"}]

    for code in (400, 422):
        found = error(code, status("Invalid", "cannot take hidden", causes=causes), asked=asked)
        assert "hidden" not in str(found)
        assert "data[key]: FieldValueInvalid" in str(found)
    for message in (f"{NOT_OF_ITS_KIND} got hidden", "some other failure with hidden"):
        assert "got hidden" not in str(error(500, status("", message), asked=asked))


@pytest.mark.parametrize(("code", "reason"), [(400, ""), (403, "Forbidden"), (422, "Invalid")])
@pytest.mark.parametrize(
    "denial",
    [
        'admission webhook "a.example.com" denied the request: not hush',
        "secrets is forbidden: ValidatingAdmissionPolicy 'a.example.com' with binding 'b' denied "
        "request: not hush",
    ],
)
def test_who_denies_is_named_whatever_the_status_and_of_a_secret_not_quoted(
    code: int, reason: str, denial: str
) -> None:
    asked = Asked("Secret models/x", "apply", "secrets", "https://api", "a test")
    causes = [{"message": denial}]

    found = error(code, status(reason, denial, causes=causes))
    assert type(found) is ForbiddenError
    assert denial in str(found)

    of_a_secret = error(code, status(reason, denial, causes=causes), asked=asked)
    assert type(of_a_secret) is ForbiddenError
    assert "(a.example.com) said no" in of_a_secret.hint
    assert "hush" not in str(of_a_secret)
    assert "None" not in str(of_a_secret)


@pytest.mark.parametrize("plural", ["secrets", "deployments"])
def test_a_webhook_that_does_not_answer_is_named(plural: str) -> None:
    asked = Asked("Secret models/x", "apply", plural, "https://api", "a test")
    failure = 'failed calling webhook "a.example.com": Post "https://a/": deadline exceeded'
    found = error(500, status("InternalError", f"Internal error: {failure}"), asked=asked)

    assert type(found) is UnavailableError
    assert "deadline exceeded" in found.message
    assert found.hint.startswith("The admission webhook a.example.com of the cluster does not")


def test_a_field_that_the_kind_does_not_have_is_refused_and_not_retried() -> None:
    for message in (NOT_OF_ITS_KIND, "failed to convert new object (a/b; v1, Kind=Service): no"):
        found = error(500, status("", message))

        assert type(found) is ImmutableFieldError
        assert found.hint == "Correct the field it names, or the override it comes from."


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({"retry-after": "7"}, {}, 7.0),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, {"retryAfterSeconds": 3}, 3.0),
        ({}, {}, None),
    ],
)
def test_what_the_server_asks_us_to_wait_is_kept(
    headers: dict[str, str], details: dict[str, Any], seconds: float | None
) -> None:
    found = error(429, status("TooManyRequests", **details), headers=headers)

    assert isinstance(found, UnavailableError)
    assert found.retry_after_seconds == seconds


HINTS = [
    (
        "a missing namespace",
        404,
        status("NotFound", 'namespaces "models" not found', name="models", kind="namespaces"),
        "Create the Namespace first, by kubectl create namespace; or in a Pulumi program add a",
    ),
    (
        "a namespace that ends",
        403,
        status("Forbidden", "no new content", causes=[{"reason": "NamespaceTerminating"}]),
        "wait until it is gone",
    ),
    (
        "a right that is missing",
        403,
        status(
            "Forbidden",
            'deployments.apps "qwen" is forbidden: User "ci" cannot patch resource "deployments" '
            'in API group "apps" in the namespace "models"',
        ),
        'Grant the verb "patch" on "deployments" to the account of context "main"',
    ),
    (
        "a quota that is used up",
        403,
        status(
            "Forbidden",
            'services "qwen" is forbidden: exceeded quota: team-a, requested: count/services=1, '
            "used: count/services=5, limited: count/services=5",
        ),
        "raise count/services of ResourceQuota team-a (kubernetes.core.v1.ResourceQuota in a ",
    ),
    (
        "a claim beyond what a range allows",
        403,
        status(
            "Forbidden",
            'persistentvolumeclaims "qwen-cache" is forbidden: maximum storage usage per '
            "PersistentVolumeClaim is 5Gi, but request is 10Gi",
        ),
        "Change deployment.storage, or the LimitRange (kubernetes.core.v1.LimitRange in a Pulumi ",
    ),
    (
        "a webhook that says no",
        403,
        status("Forbidden", 'admission webhook "no.gpu.example" denied the request: not today'),
        "An admission policy of the cluster (no.gpu.example) said no",
    ),
    (
        "a policy that says no",
        422,
        status("Invalid", "x: ValidatingAdmissionPolicy 'images' with binding 'b' denied request"),
        "An admission policy of the cluster (images) said no",
    ),
    (
        "a pod security level",
        403,
        status("Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest": y'),
        'An admission policy of the cluster (PodSecurity "restricted:latest") said no',
    ),
    ("credentials that ended", 401, status("Unauthorized", "Unauthorized"), "Renew the cred"),
    ("a server that is too old", 415, b"", "is a Kubernetes API server"),
]


@pytest.mark.parametrize(
    ("code", "body", "hint"), [row[1:] for row in HINTS], ids=[row[0] for row in HINTS]
)
def test_the_hint_says_what_to_do_about_this_very_reason(code: int, body: bytes, hint: str) -> None:
    assert hint in error(code, body).hint
