"""The Starlette application: every operation's route, within the guard.

Knows neither API: it is handed their operations, and how each words a refusal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from modelfleet.adapters.query_api.guard import Guard, refused_by_routing
from modelfleet.adapters.query_api.health import OPERATIONS as HEALTH
from modelfleet.adapters.query_api.openapi import document_text
from modelfleet.adapters.query_api.operations import Operation
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.refusal import Form
from modelfleet.adapters.query_api.upkeep import Refreshed, upkept


def application(
    parts: Parts,
    operations: Sequence[Operation],
    *,
    forms: Mapping[str, Form] | None = None,
    refreshed: Sequence[Refreshed] = (),
) -> Starlette:
    """Return the application that answers ``operations``, and is kept up while it runs.

    ``forms`` word refusals, by the prefix of a path; ``refreshed`` follow files. Whoever makes
    ``parts`` closes the fleet.
    """
    offered = [*HEALTH, *operations]
    routes = [each.route(parts) for each in offered]
    text = document_text(offered)

    async def document(request: Request) -> Response:  # noqa: ARG001
        return Response(text, media_type="application/json")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001
        async with upkept(parts, refreshed=refreshed):
            yield

    app = Starlette(
        routes=[*routes, Route("/openapi.json", document)],
        middleware=[Middleware(Guard, parts=parts, forms=forms or {})],
        exception_handlers={HTTPException: refused_by_routing},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app
