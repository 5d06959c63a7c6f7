"""Logging in and out: a session for an account's password, and its end.

Whatever a client sends with a login, the session is a new one. Every attempt is an audit line.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.audit import Outcome
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.adapters.query_api.zstack_api.callers import sessions_of
from modelfleet.adapters.query_api.zstack_api.dates import written
from modelfleet.adapters.query_api.zstack_api.error_codes import (
    ApiError,
    Code,
    ErrorCode,
    RequestError,
    invalid,
)
from modelfleet.adapters.query_api.zstack_api.replies import answered, spoken
from modelfleet.adapters.query_api.zstack_api.sessions import Opened

ACTION: Final = "logInByAccount"

_NAME: Final = re.compile(r"[\x21-\x7e]{1,253}")
_SHA512: Final = re.compile(r"[0-9A-Fa-f]{128}")


@spoken
async def log_in(request: Request, parts: Parts) -> Response:
    """Open a session for whoever knows an account's password."""
    name, password_sha512 = await _credentials(request)
    known = name if parts.accounts.named(name) else ""
    account: Account | None = None
    try:
        account = await _proved(request, parts, name, password_sha512=password_sha512)
        opened = parts.one(sessions_of).open(account)
    except ApiError as error:
        _tell(request, parts, "login", known, account, "refused", error.error.code, status=503)
        raise
    except RefusedError as error:
        _tell(request, parts, "login", known, account, "refused", error.code, status=error.status)
        raise
    _tell(request, parts, "login", known, account, "done", "", status=200)
    return answered({"inventory": _inventory(opened)})


@spoken
async def is_valid(request: Request, parts: Parts) -> Response:
    """Say whether a session can be used."""
    account = parts.one(sessions_of).account_of(request.path_params["uuid"])
    return answered({"valid": account is not None})


@spoken
async def log_out(request: Request, parts: Parts) -> Response:
    """End a session; one that has ended already is no error."""
    account = parts.one(sessions_of).close(request.path_params["uuid"])
    if account is not None:
        _tell(request, parts, "logout", account.name, account, "done", "", status=200)
    return answered({})


async def _proved(request: Request, parts: Parts, name: str, *, password_sha512: str) -> Account:
    account = None
    if _NAME.fullmatch(name) and _SHA512.fullmatch(password_sha512):
        account = await parts.logged_in(request, name, password_sha512=password_sha512)
    if account is None:
        raise ApiError(
            ErrorCode(
                Code.AUTHENTICATION,
                "wrong account name or password",
                "The password is the SHA-512 of what was agreed on, in hex.",
            )
        )
    parts.admit(request, account)
    return account


async def _credentials(request: Request) -> tuple[str, str]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise RequestError("the body is no JSON") from None
    said = body.get(ACTION) if isinstance(body, dict) else None
    if not isinstance(said, dict):
        raise RequestError(
            f"the body doesn't contain action mapping to the URL[{request.url.path}]: {ACTION}"
        )
    return _text(said, "accountName"), _text(said, "password")


def _text(said: dict[str, Any], field: str) -> str:
    value = said.get(field)
    if not isinstance(value, str) or not value:
        raise invalid(f"field[{field}] of {ACTION} is mandatory, and is text")
    return value


def _inventory(opened: Opened) -> dict[str, Any]:
    account, session = opened.session.account, opened.session
    uuid = account_uuid(account.name)
    return {
        "uuid": opened.uuid,
        "accountUuid": uuid,
        "userUuid": uuid,
        "userType": None,
        "expiredDate": written(datetime.fromtimestamp(session.expires_at, UTC)),
        "createDate": written(datetime.fromtimestamp(session.created_at, UTC)),
    }


def account_uuid(name: str) -> str:
    """Return 32 hex digits that stand for an account."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _tell(
    request: Request,
    parts: Parts,
    verb: str,
    name: str,
    account: Account | None,
    outcome: Outcome,
    error: str,
    *,
    status: int,
) -> None:
    proved = account.name if account else ""
    parts.audit.write(
        request,
        account=proved,
        verb=verb,
        kind="Session",
        name=name,
        outcome=outcome,
        status=status,
        error=error,
    )
