"""What services and proxies have in common as objects of a program. Each verb has two forms.

An object shows a resource as it was last looked at, and remembers the Config it came by: later
calls go where it came from. What it shows is replaced as a whole, so that another thread never
sees half of a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, PrivateAttr

from modelfleet.agentrun.names import Status
from modelfleet.agentrun.registry import Resource
from modelfleet.agentrun.shapes import Shape
from modelfleet.background import run, run_async
from modelfleet.client import verbs
from modelfleet.client.called import Called
from modelfleet.client.config import Config
from modelfleet.client.inputs import NAME_FIELDS, given


class ResourceBase(Shape):
    """One service or proxy as last looked at."""

    model_config = ConfigDict(extra="allow", validate_assignment=False)

    kind: ClassVar[str]
    name_field_told: ClassVar[str]
    create_input: ClassVar[type[Shape]]
    update_input: ClassVar[type[Shape]]

    status: Status | None = None
    status_reason: str | None = None
    created_at: str | None = None
    last_updated_at: str | None = None
    owner: str | None = None
    namespace: str | None = None
    cluster: str | None = None
    base_url: str | None = None
    endpoint: str | None = None
    replicas: int | None = None
    ready_replicas: int | None = None
    adopt: bool | None = None
    wait: dict[str, Any] | None = None

    _config: Config | None = PrivateAttr(None)
    _incarnation: str = PrivateAttr("")
    _is_scaled: bool = PrivateAttr(False)
    _generated_keys: dict[str, str] = PrivateAttr(default_factory=dict)

    # -- showing ---------------------------------------------------------------------------

    @classmethod
    def told(cls, resource: Resource, config: Config) -> Self:
        """Return a new object that shows ``resource`` and remembers ``config``."""
        shown = cls.model_validate(resource.fields)
        shown._remember(resource, config)
        return shown

    @classmethod
    def all_told(cls, resources: Iterable[Resource], config: Config) -> list[Self]:
        """Return a new object for each of ``resources``."""
        return [cls.told(each, config) for each in resources]

    def _take(self, resource: Resource, config: Config) -> Self:
        fresh = type(self).told(resource, config)
        for part in ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__"):
            object.__setattr__(self, part, getattr(fresh, part))
        self._remember(resource, config)
        return self

    def _remember(self, resource: Resource, config: Config) -> None:
        key = resource.entry.key
        place = Config(cluster=config.get_cluster(), namespace=key.namespace)
        self._config = Config.with_configs(config, place)
        self._incarnation = resource.entry.service.incarnation
        if resource.generated_keys:
            self._generated_keys = dict(resource.generated_keys)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def update_self(self, other: Shape | None) -> Self:
        """Show what ``other`` shows, and return the object."""
        if other is not None:
            self.__dict__.update(other.__dict__)
        return self

    def set_config(self, config: Config) -> Self:
        """Have later calls of this object use ``config``, and return the object."""
        self._config = config
        return self

    def _configured(self, config: Config | None) -> Config:
        return Config.with_configs(self._config, config)

    def _name(self, verb: str) -> str:
        """Return the name.

        Raises:
            ValueError: it has none, so that there is nothing to ``verb``.
        """
        name: str | None = getattr(self, NAME_FIELDS[self.kind])
        if name is None:
            raise ValueError(f"{self.name_field_told} is required to {verb} a {self.kind}")
        return name

    def _called(self, config: Config | None) -> Called:
        merged = self._configured(config)
        return Called(
            kind=self.kind,
            name=self._name("call"),
            namespace=merged.get_namespace(),
            config=merged,
            provider=getattr(self, "provider", None),
        )

    # -- looking ---------------------------------------------------------------------------

    async def _looked_at(self, config: Config | None) -> Self:
        merged, name = self._configured(config), self._name("refresh")
        return self._take(await verbs.get(name, self.kind, config=merged), merged)

    def get(self, config: Config | None = None) -> Self:
        """Look again, show what is there now, and return the object.

        Raises:
            ResourceNotExistError: it is gone.
            HTTPError: it cannot be looked at.
        """
        return run(self._looked_at(config))

    async def get_async(self, config: Config | None = None) -> Self:
        """As :meth:`get`."""
        return await run_async(self._looked_at(config))

    def refresh(self, config: Config | None = None) -> Self:
        """Another name of :meth:`get`."""
        return self.get(config=config)

    async def refresh_async(self, config: Config | None = None) -> Self:
        """Another name of :meth:`get`."""
        return await self.get_async(config=config)

    # -- updating --------------------------------------------------------------------------

    async def _updated(
        self,
        said: Shape,
        config: Config | None,
        clear: Sequence[str],
        take_ownership: bool | None,
    ) -> Self:
        merged, name = self._configured(config), self._name("update")
        resource = await verbs.update(
            name,
            given(said, self.update_input, self.create_input, verb="update"),
            config=merged,
            clear=clear,
            take_ownership=take_ownership,
        )
        self._is_scaled = False
        return self._take(resource, merged)
