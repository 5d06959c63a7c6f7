"""The verbs with objects of a program for what they return; on the background loop.

Generic over the two classes: what a class is given and what it tells are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from modelfleet.client import verbs
from modelfleet.client.config import Config
from modelfleet.client.inputs import given
from modelfleet.client.resource import ResourceBase

R = TypeVar("R", bound=ResourceBase)


async def created(cls: type[R], said: object, *, config: Config, holder: object = None) -> R:
    """Return what was created of an input of the class."""
    asked = given(said, cls.create_input, verb="create")
    return cls.told(await verbs.create(asked, config=config, holder=holder), config)


async def got(cls: type[R], name: str, *, config: Config, holder: object = None) -> R:
    """Return the resource of that name."""
    return cls.told(await verbs.get(name, cls.kind, config=config, holder=holder), config)


async def updated(
    cls: type[R],
    name: str,
    said: object,
    *,
    config: Config,
    clear: Sequence[str] = (),
    take_ownership: bool | None = None,
    holder: object = None,
) -> R:
    """Return a resource after an update by an input of the class."""
    resource = await verbs.update(
        name,
        given(said, cls.update_input, cls.create_input, verb="update"),
        config=config,
        clear=clear,
        take_ownership=take_ownership,
        holder=holder,
    )
    return cls.told(resource, config)


async def deleted(
    cls: type[R],
    name: str,
    *,
    config: Config,
    take_ownership: bool | None = None,
    holder: object = None,
) -> R:
    """Return a resource that was told to go."""
    resource = await verbs.delete(
        name, cls.kind, config=config, take_ownership=take_ownership, holder=holder
    )
    return cls.told(resource, config)
