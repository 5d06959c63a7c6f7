"""Who calls: the account that a request's signature proves, and that it was sent just now, once.

The order matters. Nothing is remembered, and nothing counted against an account, before the
signature was verified; a stranger learns nothing but what is wrong with the signature.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request

from modelfleet.adapters.query_api.accounts import AccessKey, Account
from modelfleet.adapters.query_api.agentrun_api.signatures import (
    ACS3,
    AGENTRUN4,
    UNSIGNED_PAYLOAD,
    Claim,
    Message,
    UnreadableSignatureError,
    acs3_fits,
    agentrun4_fits,
    claim_in,
    missing_headers,
)
from modelfleet.adapters.query_api.nonces import ReplayedError
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.refusal import RefusedError

DATA_HEADER: Final = "agentrun-authorization"
"""Beside it, ``Authorization`` is for the gateway behind the data endpoint."""

_NONCE: Final = "x-acs-signature-nonce"
_LONGEST_NONCE: Final = 256
_ALWAYS: Final = frozenset({"host", "x-acs-date", "x-acs-content-sha256"})


async def control_account(request: Request, parts: Parts) -> Account:
    """Return the account that signed a request of the control API, and let it in.

    Raises:
        RefusedError: 401 where nobody did, or not now, or not this; 429 where it sends too much.
    """
    message = message_of(request)
    claim = _claim(message, header="authorization", algorithm=ACS3)
    _require_covered(message, claim, required=_ALWAYS | {_NONCE})
    signed_at = _signed_at(message, parts)
    nonce = message.header(_NONCE)
    if not nonce or len(nonce) > _LONGEST_NONCE:
        raise _unreadable(f"{_NONCE} must have 1 to {_LONGEST_NONCE} characters.")
    key = _key(claim, parts)
    if not acs3_fits(message, claim, secret=key.secret):
        raise _does_not_match()
    digest = hashlib.sha256(await request.body()).hexdigest()
    if not hmac.compare_digest(digest, message.header("x-acs-content-sha256") or ""):
        raise _does_not_match("The body is not the one that was signed.")
    parts.admit(request, key.account)
    try:
        parts.nonces.spend(
            f"{ACS3} {claim.key_id} {nonce}", signed_at=signed_at, changes=request.method != "GET"
        )
    except ReplayedError as error:
        raise RefusedError(401, "SignatureNonceUsed", str(error)) from None
    return key.account


def data_account(request: Request, parts: Parts) -> Account | None:
    """Return the account that signed a request to the data endpoint, None where nobody did.

    Such signatures have no nonce, and cover no body: within their quarter of an hour they are as
    good as a password for inference, and for nothing else.

    Raises:
        RefusedError: as ``control_account``, where somebody did.
    """
    message = message_of(request)
    if DATA_HEADER not in message.headers:
        return None
    claim = _claim(message, header=DATA_HEADER, algorithm=AGENTRUN4)
    if message.header("x-acs-content-sha256") != UNSIGNED_PAYLOAD:
        raise _unreadable(f"x-acs-content-sha256 must be {UNSIGNED_PAYLOAD}.")
    _require_covered(message, claim, required=_ALWAYS)
    signed_at = _signed_at(message, parts)
    if claim.scope[:1] != (f"{datetime.fromtimestamp(signed_at, UTC):%Y%m%d}",):
        raise _does_not_match("The key is of another day than x-acs-date.")
    key = _key(claim, parts)
    if not agentrun4_fits(message, claim, secret=key.secret):
        raise _does_not_match()
    parts.admit(request, key.account)
    return key.account


def message_of(request: Request) -> Message:
    """Return a request as it came over the wire."""
    headers: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for name, value in request.scope["headers"]:
        headers[name.decode("latin-1").lower()] += (value.decode("latin-1"),)
    return Message(
        method=request.method,
        raw_path=request.scope["raw_path"].decode("latin-1"),
        query=request.scope["query_string"].decode("latin-1"),
        headers=dict(headers),
    )


def _claim(message: Message, *, header: str, algorithm: str) -> Claim:
    text = message.header(header)
    if text is None:
        raise _unreadable(f"There must be one header {header}, as {algorithm} makes it.")
    if "x-acs-security-token" in message.headers:
        raise RefusedError(
            401,
            "InvalidSecurityToken.NotSupported",
            "There are no temporary keys here: send no x-acs-security-token.",
        )
    try:
        return claim_in(text, algorithm=algorithm)
    except UnreadableSignatureError as error:
        raise _unreadable(f"{header}: {error}") from None


def _require_covered(message: Message, claim: Claim, *, required: frozenset[str]) -> None:
    missing = missing_headers(message, claim, required=required)
    if missing:
        raise _unreadable(f"SignedHeaders must name {', '.join(missing)}.")


def _signed_at(message: Message, parts: Parts) -> float:
    """Return when a message was signed, in seconds since 1970."""
    try:
        date = datetime.strptime(message.header("x-acs-date") or "", "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        raise RefusedError(
            401, "InvalidTimeStamp.Format", "x-acs-date must be as 2026-01-31T12:00:00Z, in UTC."
        ) from None
    signed_at = date.replace(tzinfo=UTC).timestamp()
    if abs(datetime.now(UTC).timestamp() - signed_at) > parts.settings.skew_seconds:
        raise RefusedError(
            401,
            "InvalidTimeStamp.Expired",
            f"x-acs-date must be within {parts.settings.skew_seconds} s of this server's clock.",
        )
    return signed_at


def _key(claim: Claim, parts: Parts) -> AccessKey:
    key = parts.accounts.by_key(claim.key_id)
    if key is None:
        # Not 404: AgentRun's SDK would take that for a resource that is not there.
        raise RefusedError(
            401,
            "InvalidAccessKeyId.NotFound",
            "The access key is not known, or not valid any more.",
        )
    return key


def _does_not_match(message: str = "The signature does not match the request.") -> RefusedError:
    return RefusedError(401, "SignatureDoesNotMatch", message)


def _unreadable(message: str) -> RefusedError:
    return RefusedError(401, "IncompleteSignature", message)
