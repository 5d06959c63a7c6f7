"""Every verb of the SDK, as one coroutine on the background loop: sync and async forms call these.

A verb borrows a connection, has the registry do the work and raises AgentRun's errors. It knows no
objects of programs; ``Resource`` is what it returns, and what becomes an object elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from modelfleet.agentrun.registry import Registry, Resource
from modelfleet.client.config import Config
from modelfleet.client.connections import Connection, connected
from modelfleet.client.errors import ClientError, raised_as_agentruns
from modelfleet.client.inputs import PROXY, SERVICE, Given, ListInput, wanted
from modelfleet.errors import NotFoundError


async def create(given: Given, *, config: Config, holder: object = None) -> Resource:
    """Create what is given; it is accepted, and may not serve yet."""
    async with call(given.name, config, holder=holder, creating=True) as connection:
        return await connection.registry.create(
            given.fields, kind=given.kind, scope=config.get_scope()
        )


async def update(
    name: str,
    given: Given,
    *,
    config: Config,
    clear: Sequence[str] = (),
    take_ownership: bool | None = None,
    holder: object = None,
) -> Resource:
    """Change what is given of a resource, and unset the fields of ``clear``.

    Raises TypeError where that is one text, whose letters would be taken for names.
    """
    if isinstance(clear, str):
        raise TypeError(f"clear takes a list of names: clear=[{clear!r}]")
    async with call(name, config, holder=holder) as connection:
        return await connection.registry.update(
            name,
            given.fields,
            kind=given.kind,
            scope=config.get_scope(take_ownership=take_ownership),
            clear=tuple(clear),
        )


async def get(name: str, kind: str | None, *, config: Config, holder: object = None) -> Resource:
    """Return a resource as it is now: of any kind, the service where both have the name."""
    async with call(name, config, holder=holder) as connection:
        found = await _found(connection.registry, name, kind, config=config)
        return found[0]


async def delete(
    name: str,
    kind: str | None,
    *,
    config: Config,
    incarnation: str = "",
    take_ownership: bool | None = None,
    holder: object = None,
) -> Resource:
    """Tell a resource to go, and return it as it goes.

    Raises:
        ClientError: no kind was said, and both a service and a proxy have the name (409).
    """
    async with call(name, config, holder=holder) as connection:
        if kind is None:
            found = await _found(connection.registry, name, None, config=config)
            if len(found) > 1:
                raise _ambiguous(name)
            kind = found[0].kind
        return await connection.registry.delete(
            name,
            kind=kind,
            scope=config.get_scope(take_ownership=take_ownership),
            incarnation=incarnation,
        )


async def page(
    said: ListInput, *, config: Config, listing: object, holder: object = None
) -> Sequence[Resource]:
    """Return one page; the pages of one ``listing`` are of one moment, that of its first page."""
    asked = wanted(said)
    async with call(None, config, holder=holder) as connection:
        scope = config.get_scope()

        async def make() -> Sequence[Resource]:
            return await connection.registry.list(kind=asked.kind, scope=scope, where=asked.where)

        found = await connection.pages.page(
            (listing, asked.kind, scope, tuple(sorted(asked.where.items()))),
            number=asked.page_number,
            size=asked.page_size,
            make=make,
        )
        return found.items


async def every(said: ListInput, *, config: Config) -> Sequence[Resource]:
    """Return all there are at one moment, by name."""
    asked = wanted(said)
    async with call(None, config) as connection:
        return await connection.registry.list(
            kind=asked.kind, scope=config.get_scope(), where=asked.where
        )


async def _found(
    registry: Registry, name: str, kind: str | None, *, config: Config
) -> Sequence[Resource]:
    """Return the resource of that kind; or all of any kind, services first.

    Raises:
        NotFoundError: there is none.
    """
    scope = config.get_scope()
    if kind is not None:
        return [await registry.get(name, kind=kind, scope=scope)]
    found = await registry.find(name, scope=scope)
    if not found:
        raise NotFoundError(f"Model {scope.namespace}/{name}", "there is none", status=404)
    return sorted(found, key=lambda each: each.kind != SERVICE)


def _ambiguous(name: str) -> ClientError:
    return ClientError(
        409,
        f"{name} is both a {SERVICE} and a {PROXY}; nothing was deleted. "
        "Say which one is meant: backend_type=BackendType.SERVICE or BackendType.PROXY.",
        error_code="Ambiguous",
    )


@asynccontextmanager
async def call(
    name: str | None, config: Config, *, holder: object = None, creating: bool = False
) -> AsyncIterator[Connection]:
    """Lend a connection for one call about ``name``, for the Config's timeout at most.

    Raises:
        AgentRunError: what the call raised, in AgentRun's words.
    """
    seconds = config.get_timeout()
    with raised_as_agentruns(name, creating=creating):
        try:
            async with asyncio.timeout(seconds), connected(config, holder=holder) as connection:
                yield connection
        except TimeoutError as error:
            raise ClientError(
                0, f"there was no answer within {seconds:g} s", error_code="Timeout"
            ) from error
