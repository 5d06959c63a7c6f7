"""Requests that are carried out for somebody: who that is, whether they may, what came of it.

Every write leaves one line in the audit log, for those that were refused as well; so does every
look at a secret. Errors of the core leave here as AgentRun's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.agentrun_api.callers import control_account
from modelfleet.adapters.query_api.agentrun_api.replies import FORBIDDEN, refusal_of
from modelfleet.adapters.query_api.audit import Outcome
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.errors import ModelFleetError


@dataclass
class Attempt:
    """What somebody is about to do; what becomes known of it on the way is noted here."""

    verb: str
    kind: str
    name: str = ""
    account: Account | None = None
    before: str = ""
    after: str = ""

    @property
    def subject(self) -> str:
        """What messages call the resource."""
        return f"{self.kind} {self.name}".rstrip()

    @property
    def caller(self) -> Account:
        """The account, once it is proved."""
        assert self.account is not None  # noqa: S101 - attempts are handed out with it
        return self.account


@asynccontextmanager
async def looking(
    request: Request, parts: Parts, *, kind: str, name: str
) -> AsyncIterator[Attempt]:
    """Let somebody look.

    Raises:
        RefusedError: nobody has signed it, or what was asked for is not there.
    """
    attempt = Attempt("get", kind, name)
    try:
        attempt.account = await control_account(request, parts)
        yield attempt
    except ModelFleetError as error:
        raise refusal_of(error, subject=attempt.subject) from error


@asynccontextmanager
async def writing(
    request: Request, parts: Parts, *, verb: str, kind: str, name: str = ""
) -> AsyncIterator[Attempt]:
    """Let somebody write who may, and tell of it.

    Raises:
        RefusedError: nobody has signed it, they may not write, or it could not be done.
    """
    attempt = Attempt(verb, kind, name)
    async with _told(request, parts, attempt):
        if not attempt.caller.may_write:
            raise RefusedError(403, FORBIDDEN, f"Account {attempt.caller.name} may only read.")
        await parts.require_api_server()
        yield attempt


@asynccontextmanager
async def revealing(
    request: Request, parts: Parts, *, kind: str, name: str
) -> AsyncIterator[Attempt]:
    """Let somebody see a secret who may, and tell of it.

    Raises:
        RefusedError: nobody has signed it, they may not see secrets, or there is none.
    """
    attempt = Attempt("read", kind, name)
    async with _told(request, parts, attempt):
        if not attempt.caller.may_read_credentials:
            raise RefusedError(
                403, FORBIDDEN, f"Account {attempt.caller.name} may not read credentials."
            )
        yield attempt


@asynccontextmanager
async def _told(request: Request, parts: Parts, attempt: Attempt) -> AsyncIterator[None]:
    try:
        attempt.account = await control_account(request, parts)
        yield
    except ModelFleetError as error:
        refused = refusal_of(error, subject=attempt.subject, creating=attempt.verb == "create")
        _tell(request, parts, attempt, "refused", refused.status, type(error).__name__)
        raise refused from error
    except RefusedError as refused:
        _tell(request, parts, attempt, "refused", refused.status, refused.code)
        raise
    except BaseException as error:
        _tell(request, parts, attempt, "failed", 500, type(error).__name__)
        raise
    _tell(request, parts, attempt, "done", 200)


def _tell(
    request: Request, parts: Parts, attempt: Attempt, outcome: Outcome, status: int, error: str = ""
) -> None:
    parts.audit.write(
        request,
        account=attempt.account.name if attempt.account else "",
        verb=attempt.verb,
        kind=attempt.kind,
        namespace=attempt.account.namespace if attempt.account else "",
        name=attempt.name,
        outcome=outcome,
        status=status,
        before=attempt.before,
        after=attempt.after,
        error=error,
    )
