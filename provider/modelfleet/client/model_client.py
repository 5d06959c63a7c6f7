"""ModelClient: both kinds through one object, told apart by the type of what it is given."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self, overload

from modelfleet.agentrun.names import BackendType
from modelfleet.agentrun.registry import Resource
from modelfleet.agentrun.shapes import (
    ModelProxyCreateInput,
    ModelProxyListInput,
    ModelProxyUpdateInput,
    ModelServiceCreateInput,
    ModelServiceListInput,
    ModelServiceUpdateInput,
)
from modelfleet.background import run, run_async
from modelfleet.client import connections, objects, verbs
from modelfleet.client.config import Config
from modelfleet.client.inputs import PROXY, SERVICE, CreateInput, ListInput, UpdateInput
from modelfleet.client.model_proxy import ModelProxy
from modelfleet.client.model_service import ModelService

Model = ModelService | ModelProxy
ServiceBackend = Literal[BackendType.SERVICE]
ProxyBackend = Literal[BackendType.PROXY]


class ModelClient:
    """Services and proxies of the cluster that ``config`` means.

    A ``config`` given to a call is laid over it. Connections are shared by the whole process; one
    that no open client needs any more is closed by :meth:`close`, or the end of a ``with`` block.
    The client can be used again afterwards.
    """

    def __init__(self, config: Config | None = None) -> None:
        self._config = Config.with_configs(config)
        self._listing = object()

    # -- create ----------------------------------------------------------------------------

    @overload
    def create(
        self, input: ModelServiceCreateInput, config: Config | None = None
    ) -> ModelService: ...

    @overload
    def create(self, input: ModelProxyCreateInput, config: Config | None = None) -> ModelProxy: ...

    def create(self, input: CreateInput, config: Config | None = None) -> Model:
        """Create a service or a proxy; accepted when this returns, it may not serve yet.

        Raises:
            ResourceAlreadyExistError: there is one of that name.
            HTTPError: it is refused, with every reason.
        """
        return run(self._created(input, config))

    @overload
    async def create_async(
        self, input: ModelServiceCreateInput, config: Config | None = None
    ) -> ModelService: ...

    @overload
    async def create_async(
        self, input: ModelProxyCreateInput, config: Config | None = None
    ) -> ModelProxy: ...

    async def create_async(self, input: CreateInput, config: Config | None = None) -> Model:
        """As :meth:`create`."""
        return await run_async(self._created(input, config))

    async def _created(self, input: CreateInput, config: Config | None) -> Model:
        merged = self._configured(config)
        if isinstance(input, ModelProxyCreateInput):
            return await objects.created(ModelProxy, input, config=merged, holder=self)
        return await objects.created(ModelService, input, config=merged, holder=self)

    # -- delete ----------------------------------------------------------------------------

    @overload
    def delete(
        self,
        name: str,
        backend_type: ProxyBackend,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> ModelProxy: ...

    @overload
    def delete(
        self,
        name: str,
        backend_type: ServiceBackend,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> ModelService: ...

    @overload
    def delete(
        self,
        name: str,
        backend_type: BackendType | None = None,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> Model: ...

    def delete(
        self,
        name: str,
        backend_type: BackendType | None = None,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> Model:
        """Tell what is called ``name`` to go, and return it, DELETING.

        Raises:
            ResourceNotExistError: there is none.
            HTTPError: it is protected, in use, or belongs to another owner; or ``backend_type`` is
                not said, and both a service and a proxy have the name.
        """
        return run(self._deleted(name, backend_type, config, take_ownership))

    @overload
    async def delete_async(
        self,
        name: str,
        backend_type: ProxyBackend,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> ModelProxy: ...

    @overload
    async def delete_async(
        self,
        name: str,
        backend_type: ServiceBackend,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> ModelService: ...

    @overload
    async def delete_async(
        self,
        name: str,
        backend_type: BackendType | None = None,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> Model: ...

    async def delete_async(
        self,
        name: str,
        backend_type: BackendType | None = None,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> Model:
        """As :meth:`delete`."""
        return await run_async(self._deleted(name, backend_type, config, take_ownership))

    async def _deleted(
        self,
        name: str,
        backend_type: BackendType | None,
        config: Config | None,
        take_ownership: bool | None,
    ) -> Model:
        merged = self._configured(config)
        resource = await verbs.delete(
            name,
            _kind_of(backend_type),
            config=merged,
            take_ownership=take_ownership,
            holder=self,
        )
        return _told(resource, merged)

    # -- update ----------------------------------------------------------------------------

    @overload
    def update(
        self,
        name: str,
        input: ModelServiceUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> ModelService: ...

    @overload
    def update(
        self,
        name: str,
        input: ModelProxyUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> ModelProxy: ...

    def update(
        self,
        name: str,
        input: UpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Model:
        """Change what ``input`` says of what is called ``name``, and return it.

        ``input`` says of which kind it is. What it does not say, or says to be None, stays;
        ``clear`` unsets fields by their dotted names, such as ``"description"``.

        Raises:
            ResourceNotExistError: there is none.
            HTTPError: it is refused, with every reason; or it belongs to another owner.
        """
        return run(self._updated(name, input, config, clear, take_ownership))

    @overload
    async def update_async(
        self,
        name: str,
        input: ModelServiceUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> ModelService: ...

    @overload
    async def update_async(
        self,
        name: str,
        input: ModelProxyUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> ModelProxy: ...

    async def update_async(
        self,
        name: str,
        input: UpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Model:
        """As :meth:`update`."""
        return await run_async(self._updated(name, input, config, clear, take_ownership))

    async def _updated(
        self,
        name: str,
        input: UpdateInput,
        config: Config | None,
        clear: Sequence[str],
        take_ownership: bool | None,
    ) -> Model:
        is_proxy = isinstance(input, (ModelProxyUpdateInput, ModelProxyCreateInput))
        merged = self._configured(config)
        if is_proxy:
            return await objects.updated(
                ModelProxy,
                name,
                input,
                config=merged,
                clear=clear,
                take_ownership=take_ownership,
                holder=self,
            )
        return await objects.updated(
            ModelService,
            name,
            input,
            config=merged,
            clear=clear,
            take_ownership=take_ownership,
            holder=self,
        )

    # -- get -------------------------------------------------------------------------------

    @overload
    def get(
        self, name: str, backend_type: ServiceBackend, config: Config | None = None
    ) -> ModelService: ...

    @overload
    def get(
        self, name: str, backend_type: ProxyBackend, config: Config | None = None
    ) -> ModelProxy: ...

    @overload
    def get(
        self, name: str, backend_type: BackendType | None = None, config: Config | None = None
    ) -> Model: ...

    def get(
        self, name: str, backend_type: BackendType | None = None, config: Config | None = None
    ) -> Model:
        """Return what is called ``name``; where both kinds have it and none is said, the service.

        Raises:
            ResourceNotExistError: there is none.
            HTTPError: nobody could be asked, or may be told.
        """
        return run(self._got(name, backend_type, config))

    @overload
    async def get_async(
        self, name: str, backend_type: ServiceBackend, config: Config | None = None
    ) -> ModelService: ...

    @overload
    async def get_async(
        self, name: str, backend_type: ProxyBackend, config: Config | None = None
    ) -> ModelProxy: ...

    @overload
    async def get_async(
        self, name: str, backend_type: BackendType | None = None, config: Config | None = None
    ) -> Model: ...

    async def get_async(
        self, name: str, backend_type: BackendType | None = None, config: Config | None = None
    ) -> Model:
        """As :meth:`get`."""
        return await run_async(self._got(name, backend_type, config))

    async def _got(
        self, name: str, backend_type: BackendType | None, config: Config | None
    ) -> Model:
        merged = self._configured(config)
        kind = _kind_of(backend_type)
        return _told(await verbs.get(name, kind, config=merged, holder=self), merged)

    # -- list ------------------------------------------------------------------------------

    @overload
    def list(
        self, input: ModelProxyListInput, config: Config | None = None
    ) -> list[ModelProxy]: ...

    @overload
    def list(
        self, input: ModelServiceListInput, config: Config | None = None
    ) -> list[ModelService]: ...

    def list(
        self, input: ListInput, config: Config | None = None
    ) -> list[ModelProxy] | list[ModelService]:
        """Return one page of what ``input`` asks for, by name: page 1 of 20 where it says nothing.

        The pages that follow a page 1 are of the same moment, for as long as the next one is asked
        for within a minute.
        """
        merged = self._configured(config)
        return _page_told(input, run(self._page(input, merged)), merged)

    @overload
    async def list_async(
        self, input: ModelProxyListInput, config: Config | None = None
    ) -> builtins.list[ModelProxy]: ...

    @overload
    async def list_async(
        self, input: ModelServiceListInput, config: Config | None = None
    ) -> builtins.list[ModelService]: ...

    async def list_async(
        self, input: ListInput, config: Config | None = None
    ) -> builtins.list[ModelProxy] | builtins.list[ModelService]:
        """As :meth:`list`."""
        merged = self._configured(config)
        return _page_told(input, await run_async(self._page(input, merged)), merged)

    async def _page(self, input: ListInput, config: Config) -> Sequence[Resource]:
        return await verbs.page(input, config=config, listing=self._listing, holder=self)

    # -- connections -----------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections that no other open client uses, once running calls are over."""
        run(connections.release(self))

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await run_async(connections.release(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _configured(self, config: Config | None) -> Config:
        return Config.with_configs(self._config, config)


def _kind_of(backend_type: BackendType | str | None) -> str | None:
    if backend_type is None:
        return None
    return PROXY if BackendType(backend_type) is BackendType.PROXY else SERVICE


def _told(resource: Resource, config: Config) -> Model:
    cls = ModelProxy if resource.kind == PROXY else ModelService
    return cls.told(resource, config)


def _page_told(
    input: ListInput, resources: Sequence[Resource], config: Config
) -> list[ModelProxy] | list[ModelService]:
    if isinstance(input, ModelProxyListInput):
        return ModelProxy.all_told(resources, config)
    return ModelService.all_told(resources, config)
