"""The verbs of AgentRun's control API on services and proxies: each kind has the same five.

Looks are answered from the catalogue. Writes are accepted or refused at once; what becomes of them
is told by the status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.agentrun_api.attempts import Attempt, looking, writing
from modelfleet.adapters.query_api.agentrun_api.bodies import Asked, asked_of, body_of
from modelfleet.adapters.query_api.agentrun_api.replies import reply
from modelfleet.adapters.query_api.agentrun_api.wire import data_of
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.agentrun.declared import cleared_by, on_the_wire_named, snake_fields
from modelfleet.agentrun.paging import Page
from modelfleet.agentrun.registry import Resource
from modelfleet.errors import SpecError
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE, type_of
from modelfleet.service import DEGRADED, READY

HOSTED: Final = "hosted"
EXTERNAL: Final = "external"

_SHARED: Final = {"workspaceId": "workspace_id", "workspaceIds": "workspace_ids"}

FILTERS: Final[Mapping[str, Mapping[str, str]]] = {
    MODEL_SERVICE.kind: {
        **_SHARED,
        "modelType": "model_type",
        "provider": "provider",
        "providerType": "provider_type",
    },
    MODEL_PROXY.kind: {**_SHARED, "proxyMode": "proxy_mode", "status": "status"},
}
"""By kind and parameter, what it filters by."""


@dataclass(frozen=True)
class Verbs:
    """The handlers of one kind."""

    kind: str

    async def create(self, request: Request, parts: Parts) -> Response:
        """Make one; it is CREATING where it runs here, READY where it runs elsewhere."""
        async with writing(request, parts, verb="create", kind=self.kind) as attempt:
            fields = snake_fields(await body_of(request), kind=self.kind)
            attempt.name = str(fields.get(type_of(self.kind).name_field) or "")
            scope = attempt.caller.scope
            made = parts.registry.create(fields, kind=self.kind, scope=scope)
            return _written(request, parts, attempt, await self._named(made))

    async def update(self, request: Request, parts: Parts) -> Response:
        """Change what the body says; an explicit null clears."""
        name = request.path_params["name"]
        async with writing(request, parts, verb="update", kind=self.kind, name=name) as attempt:
            fields = snake_fields(await body_of(request), kind=self.kind, update=True)
            changed = parts.registry.update(
                name,
                fields,
                kind=self.kind,
                scope=attempt.caller.scope,
                clear=cleared_by(fields),
            )
            return _written(request, parts, attempt, await self._named(changed))

    async def delete(self, request: Request, parts: Parts) -> Response:
        """Have one go; the reply says how it is meanwhile."""
        name = request.path_params["name"]
        async with writing(request, parts, verb="delete", kind=self.kind, name=name) as attempt:
            scope = attempt.caller.scope
            gone = await parts.registry.delete(name, kind=self.kind, scope=scope)
            attempt.before = gone.entry.service.incarnation
            return reply(request, _data(gone, attempt.caller, parts))

    async def get(self, request: Request, parts: Parts) -> Response:
        """Tell of one."""
        name = request.path_params["name"]
        async with looking(request, parts, kind=self.kind, name=name) as attempt:
            found = await parts.registry.get(
                name,
                kind=self.kind,
                scope=attempt.caller.scope,
                fresh=await waits_for_changes(parts),
            )
            return reply(request, _data(found, attempt.caller, parts))

    async def list(self, request: Request, parts: Parts) -> Response:
        """Tell of one page of those that are asked for, all pages of one moment."""
        async with looking(request, parts, kind=self.kind, name="") as attempt:
            asked = asked_of(request, filters=frozenset(FILTERS[self.kind]))
            page = await self._page(parts, attempt.caller, asked)
            items = [_data(each, attempt.caller, parts) for each in page.items]
            return reply(request, page_data(page, items))

    async def _page(self, parts: Parts, account: Account, asked: Asked) -> Page[Resource]:
        where = {FILTERS[self.kind][name]: value for name, value in asked.filters.items()}
        provider_type = where.pop("provider_type", None)

        async def made() -> Sequence[Resource]:
            found = await parts.registry.list(
                kind=self.kind,
                scope=account.scope,
                where={name: _wanted(name, value) for name, value in where.items()},
                fresh=await waits_for_changes(parts),
            )
            return [each for each in found if provider_type in (None, _provider_type(each))]

        key = (account.name, account.scope, self.kind, tuple(sorted(asked.filters.items())))
        return await parts.pages.page(
            key, number=asked.page_number, size=asked.page_size, make=made
        )

    async def _named(self, written: Awaitable[Resource]) -> Resource:
        """Await a write; the fields of its problems are named as they are on the wire."""
        try:
            return await written
        except SpecError as error:
            raise on_the_wire_named(error, kind=self.kind) from None


async def waits_for_changes(parts: Parts) -> bool:
    """Have what happened just before a look be known; return whether it must be waited for.

    While the API server tells of changes that takes a moment. While it does not, it is answered as
    last heard of, and the reply says so; but never from nothing.
    """
    if not parts.catalogue.freshness.synced:
        return True
    await parts.look()
    return False


def page_data(page: Page[Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the ``data`` of a reply about one page."""
    return {
        "items": list(items),
        "pageNumber": page.number,
        "pageSize": page.size,
        "total": page.total,
    }


def _written(request: Request, parts: Parts, attempt: Attempt, resource: Resource) -> Response:
    attempt.after = resource.entry.service.incarnation
    return reply(request, _data(resource, attempt.caller, parts))


def _data(resource: Resource, account: Account, parts: Parts) -> dict[str, Any]:
    return data_of(resource, account=account, settings=parts.settings)


def _wanted(name: str, value: str) -> str | tuple[str, ...]:
    if name == "workspace_ids":
        return tuple(each.strip() for each in value.split(",") if each.strip())
    if name == "status" and value == READY:
        return (READY, DEGRADED)  # which is told as READY, and why
    return value


def _provider_type(resource: Resource) -> str:
    return HOSTED if getattr(resource.entry.spec, "deployment", None) else EXTERNAL
