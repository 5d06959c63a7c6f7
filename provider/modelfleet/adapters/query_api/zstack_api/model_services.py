"""Model services: queries, answered from the catalogue, and writes, which are not made here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.operations import Handler
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.adapters.query_api.zstack_api.callers import caller
from modelfleet.adapters.query_api.zstack_api.conditions import test_of
from modelfleet.adapters.query_api.zstack_api.error_codes import (
    ApiError,
    Code,
    ErrorCode,
    RequestError,
)
from modelfleet.adapters.query_api.zstack_api.grammar import Condition, Operator
from modelfleet.adapters.query_api.zstack_api.parameters import Query, query_of
from modelfleet.adapters.query_api.zstack_api.queries import answer_of, find
from modelfleet.adapters.query_api.zstack_api.replies import answered, spoken
from modelfleet.adapters.query_api.zstack_api.rows import Row, Rows

INSTEAD: Final = (
    "Services are declared: as ModelService in a program of modelfleet, or by AgentRun's API of "
    "this server, /2025-09-10/agents/model-services. Queries here show them at once."
)


def rows_of(parts: Parts) -> Rows:  # noqa: ARG001 - how ``parts.one`` makes things
    """Make what keeps a process's rows; ``parts.one(rows_of)`` is the one there is."""
    return Rows()


@spoken
async def query(request: Request, parts: Parts) -> Response:
    """Answer a query."""
    account = caller(request, parts)
    asked = query_of(request.query_params.multi_items())
    return answered(answer_of(asked, await find(asked, await _seen(account, parts))))


@spoken
async def get(request: Request, parts: Parts) -> Response:
    """Answer with the one service of a UUID, as a list that is empty where there is none."""
    account = caller(request, parts)
    of_uuid = test_of(Condition("uuid", Operator.EQUAL, request.path_params["uuid"]))
    asked = Query(tests=[of_uuid])
    return answered(answer_of(asked, await find(asked, await _seen(account, parts))))


async def _seen(account: Account, parts: Parts) -> Sequence[Row]:
    freshness = parts.catalogue.freshness
    if not freshness.synced:
        why = freshness.trouble or "the first list of it is not complete"
        raise ApiError(
            ErrorCode(
                Code.NOT_READY,
                "the fleet was not read yet",
                "Try again in a few seconds.",
                cause=ErrorCode(Code.HTTP, why),
            )
        )
    return await parts.one(rows_of).seen_by(account, parts.catalogue.last_known())


def written_elsewhere(verb: str) -> Handler:
    """Return what answers to a write of the original: nobody may, or not here; and that is told.

    ``verb`` is create, update or delete, for the audit line.
    """

    @spoken
    async def refuse(request: Request, parts: Parts) -> Response:
        account: Account | None = None
        code, status = "", 503
        try:
            account = caller(request, parts)
            raise ApiError(_why_not(account))
        except ApiError as error:
            code = error.error.code
            raise
        except RequestError as error:
            code, status = "BadRequest", error.status
            raise
        except RefusedError as error:
            code, status = error.code, error.status
            raise
        finally:
            parts.audit.write(
                request,
                account=account.name if account else "",
                verb=verb,
                kind="ModelService",
                name=request.path_params.get("uuid", ""),
                outcome="refused",
                status=status,
                error=code,
            )

    return refuse


def _why_not(account: Account) -> ErrorCode:
    if not account.may_write:
        return ErrorCode(
            Code.DENIED,
            f"account[{account.name}] may read, and write nothing",
            "Ask whoever keeps the accounts of this server.",
        )
    return ErrorCode(
        Code.UNIMPLEMENTED,
        "model services are not written through this API",
        INSTEAD,
        opaque={"path": "/2025-09-10/agents/model-services"},
    )
