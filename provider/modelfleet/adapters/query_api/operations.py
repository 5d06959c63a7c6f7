"""One operation of an HTTP API: from one description come its route and its part of OpenAPI.

Says nothing about what operations do; each API describes its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from modelfleet.adapters.query_api.parts import Parts

Schema = Mapping[str, Any]
"""A JSON Schema, as OpenAPI 3.1 takes it."""

Handler = Callable[[Request, Parts], Awaitable[Response]]

AGENTRUN_SIGNATURE: Final = "agentrunSignature"
ZSTACK_SESSION: Final = "zstackSession"
ZSTACK_ACCESS_KEY: Final = "zstackAccessKey"
"""Ways to prove who asks; ``openapi`` describes them."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation, but for those of its path, which are strings."""

    name: str
    doc: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    place: Literal["query", "header", "path"] = "query"
    required: bool = False


@dataclass(frozen=True)
class Operation:
    """What can be asked, and how it is answered.

    ``path`` is as Starlette writes it. ``replies`` are the schemas of the bodies by HTTP status,
    None for one that is no JSON; ``schemes`` names ways to prove who asks, any of which will do.
    A schema with a ``title`` becomes one of the document's components.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    tag: str
    handler: Handler
    replies: Mapping[int, Schema | None]
    parameters: Sequence[Parameter] = ()
    body: Schema | None = None
    schemes: Sequence[str] = ()

    def route(self, parts: Parts) -> Route:
        """Return the route that answers it."""

        async def answered(request: Request) -> Response:
            return await self.handler(request, parts)

        return Route(self.path, answered, methods=[self.method], name=self.id)
