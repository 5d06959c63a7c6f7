"""d.run's verbs on what runs here: so many replicas, none, or as many as before there were none.

How many a start brings back is kept as a tag of the resource, which is told to nobody. On the
background loop, as ``verbs.py``.
"""

from __future__ import annotations

from typing import Any, Final

from modelfleet import labels
from modelfleet.agentrun.registry import Resource
from modelfleet.client.config import Config
from modelfleet.client.connections import Connection
from modelfleet.client.errors import ClientError
from modelfleet.client.inputs import PROXY
from modelfleet.client.verbs import call
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.tree import dotted

_NOTE: Final = dotted(("tags", labels.REPLICAS_TO_START))


async def scale(
    name: str, kind: str, target: int, *, config: Config, take_ownership: bool | None
) -> Resource:
    """Have ``target`` replicas run."""
    async with call(name, config) as connection:
        resource = await _running_here(connection, name, kind, config=config)
        return await _scaled(
            connection, resource, target, config=config, take_ownership=take_ownership
        )


async def stop(name: str, kind: str, *, config: Config, take_ownership: bool | None) -> Resource:
    """Have no replica run, and note how many did; what is stopped already stays as it is."""
    async with call(name, config) as connection:
        resource = await _running_here(connection, name, kind, config=config)
        replicas = _replicas(resource)
        if not replicas:
            return resource
        return await _scaled(
            connection,
            resource,
            0,
            config=config,
            take_ownership=take_ownership,
            before=replicas,
        )


async def start(
    name: str, kind: str, target: int | None, *, config: Config, take_ownership: bool | None
) -> Resource:
    """Have replicas run again: ``target``, else as many as before, else one.

    What runs already stays as it is where no ``target`` is said.
    """
    async with call(name, config) as connection:
        resource = await _running_here(connection, name, kind, config=config)
        if target is None and _replicas(resource):
            return resource
        return await _scaled(
            connection,
            resource,
            target or int(_tags(resource).get(labels.REPLICAS_TO_START, "1")),
            config=config,
            take_ownership=take_ownership,
        )


async def _running_here(
    connection: Connection, name: str, kind: str, *, config: Config
) -> Resource:
    """Return a resource that has replicas of its own.

    Raises:
        ClientError: it runs elsewhere (400), or what was declared cannot be read (409).
    """
    resource = await connection.registry.get(name, kind=kind, scope=config.get_scope())
    spec, told = resource.entry.spec, f"{kind} {resource.entry.service.id}"
    if spec is None:
        raise ClientError(409, f"{told}: what was declared cannot be read")
    if not spec.hosted:
        raise ClientError(
            400, f"{told} is external: it runs elsewhere, and has no replicas to start or stop here"
        )
    return resource


async def _scaled(
    connection: Connection,
    resource: Resource,
    replicas: int,
    *,
    config: Config,
    take_ownership: bool | None,
    before: int | None = None,
) -> Resource:
    """Return the resource with so many replicas, and with ``before`` noted, or noted no more."""
    fields: dict[str, Any] = {"replicas": replicas}
    if resource.kind != PROXY:
        fields = {"deployment": fields}
    if before is not None:
        fields["tags"] = {labels.REPLICAS_TO_START: str(before)}
    return await connection.registry.update(
        resource.name,
        fields,
        kind=resource.kind,
        scope=config.get_scope(take_ownership=take_ownership),
        clear=(_NOTE,) if before is None and labels.REPLICAS_TO_START in _tags(resource) else (),
    )


def _replicas(resource: Resource) -> int:
    spec = resource.entry.spec
    if isinstance(spec, ModelProxySpec):
        return spec.replicas
    return spec.deployment.replicas if spec is not None and spec.deployment is not None else 0


def _tags(resource: Resource) -> dict[str, str]:
    return resource.entry.spec.tags if resource.entry.spec is not None else {}
