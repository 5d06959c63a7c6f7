"""Who asks: the account behind a session, or behind a signature, or why there is none."""

from __future__ import annotations

import time
from typing import Final

from starlette.requests import Request

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.nonces import ReplayedError
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.zstack_api.error_codes import (
    ApiError,
    Code,
    ErrorCode,
    RequestError,
)
from modelfleet.adapters.query_api.zstack_api.sessions import Sessions
from modelfleet.adapters.query_api.zstack_api.signatures import date_of, is_signature

SESSION_SCHEME: Final = "OAuth"
KEY_SCHEME: Final = "ZStack"


def sessions_of(parts: Parts) -> Sessions:
    """Make what keeps a process's sessions; ``parts.one(sessions_of)`` is the one there is."""
    settings = parts.settings
    return Sessions(parts.accounts, capacity=settings.sessions, seconds=settings.session_seconds)


def caller(request: Request, parts: Parts) -> Account:
    """Return the account that a request proves to come from.

    Raises:
        RequestError: it proves nothing, or its date is too far from this clock.
        ApiError: what it shows is not, or no longer, valid.
        RefusedError: the account asks too often.
    """
    given = request.headers.getlist("authorization")
    said = given[0].strip() if given else ""
    if not said:
        raise RequestError("missing header 'Authorization'")
    if len(given) > 1:  # others on the way may have read the other one
        raise RequestError("there is more than one header 'Authorization'")
    scheme, _, proof = said.partition(" ")
    if scheme == SESSION_SCHEME:
        account = _of_session(proof.strip(), parts)
    elif scheme == KEY_SCHEME:
        account = _of_signature(proof.strip(), request, parts)
    else:
        raise RequestError(
            f"Authorization type must be '{SESSION_SCHEME}', or '{KEY_SCHEME}' for an access key"
        )
    parts.admit(request, account)
    return account


def _of_session(uuid: str, parts: Parts) -> Account:
    account = parts.one(sessions_of).account_of(uuid)
    if account is None:
        raise ApiError(
            ErrorCode(Code.INVALID_SESSION, "Session expired", "Log in, and use the new session.")
        )
    return account


def _of_signature(proof: str, request: Request, parts: Parts) -> Account:
    key_id, _, signature = proof.partition(":")
    text = request.headers.get("date", "")
    date = date_of(text)
    if date is None:
        raise RequestError("missing header 'Date', which an access key signs, or it is no date")
    skew_seconds = abs(time.time() - date.timestamp())
    if skew_seconds > parts.settings.skew_seconds:
        raise RequestError(
            "requestTimeTooSkewed: the difference between the request time and the current time "
            f"is larger than {parts.settings.skew_seconds} seconds",
            status=403,
        )
    key = parts.accounts.by_key(key_id)
    # Without a key the same work is done, so that the time tells nobody which ids there are.
    fits = is_signature(
        signature,
        secret=key.secret if key else "no such key",
        method=request.method,
        path=_path(request),
        date=text,
    )
    if key is None or not fits:
        raise ApiError(
            ErrorCode(
                Code.AUTHENTICATION,
                "wrong accessKey signature, or no access key id like this",
                "What is signed is METHOD\\nDATE\\n/v1<path>, by HMAC-SHA1, in base64.",
            )
        )
    if request.method != "GET":
        _refuse_replay(f"zstack {key_id} {signature}", date.timestamp(), parts)
    return key.account


def _path(request: Request) -> str:
    """Return the path as it was sent, which is what was signed."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _refuse_replay(nonce: str, signed_at: float, parts: Parts) -> None:
    """Let a signature through once; those of GETs come again, since dates have whole seconds."""
    try:
        parts.nonces.spend(nonce, signed_at=signed_at, changes=True)
    except ReplayedError as error:
        raise ApiError(
            ErrorCode(Code.AUTHENTICATION, "this signed request was sent before", str(error))
        ) from None
