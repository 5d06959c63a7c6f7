"""ModelProxy, as programs know it from AgentRun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from modelfleet.agentrun.names import ModelType, Status
from modelfleet.agentrun.shapes import (
    ModelProxyCreateInput,
    ModelProxyListInput,
    ModelProxyMutableProps,
    ModelProxyUpdateInput,
    Shape,
)
from modelfleet.background import run, run_async
from modelfleet.client import objects, verbs
from modelfleet.client.config import Config
from modelfleet.client.inference import Inference
from modelfleet.client.inputs import PROXY
from modelfleet.client.running import Runs


class ModelProxy(ModelProxyMutableProps, Inference, Runs):
    """A gateway in front of models, as last looked at.

    ``access_names`` are the ``model`` values that callers send. ``generated_api_keys`` are
    told once, to who made them.
    """

    kind: ClassVar[str] = PROXY
    name_field_told: ClassVar[str] = "model_Proxy_name"
    create_input: ClassVar[type[Shape]] = ModelProxyCreateInput
    update_input: ClassVar[type[Shape]] = ModelProxyUpdateInput

    model_type: ModelType | None = None
    workspace_id: str | None = None
    model_proxy_id: str | None = None
    function_name: str | None = None
    log_configuration: None = None
    arms_configuration: None = None
    access_names: list[str] | None = None

    @property
    def generated_api_keys(self) -> dict[str, str]:
        """The keys that the last create or update of this object made, in plain text by name."""
        return dict(self._generated_keys)

    # -- by name ---------------------------------------------------------------------------

    @classmethod
    def create(cls, input: ModelProxyCreateInput, config: Config | None = None) -> Self:
        """Create a proxy; it is accepted when this returns, and may not serve yet.

        Raises:
            ResourceAlreadyExistError: there is one of that name.
            HTTPError: it is refused, with every reason.
        """
        return run(objects.created(cls, input, config=Config.with_configs(config)))

    @classmethod
    async def create_async(cls, input: ModelProxyCreateInput, config: Config | None = None) -> Self:
        """As :meth:`create`."""
        return await run_async(objects.created(cls, input, config=Config.with_configs(config)))

    @classmethod
    def get_by_name(cls, model_proxy_name: str, config: Config | None = None) -> Self:
        """Return the proxy of that name.

        Raises:
            ResourceNotExistError: there is none.
            HTTPError: nobody could be asked, or may be told.
        """
        return run(objects.got(cls, model_proxy_name, config=Config.with_configs(config)))

    @classmethod
    async def get_by_name_async(cls, model_proxy_name: str, config: Config | None = None) -> Self:
        """As :meth:`get_by_name`."""
        merged = Config.with_configs(config)
        return await run_async(objects.got(cls, model_proxy_name, config=merged))

    @classmethod
    def update_by_name(
        cls,
        model_proxy_name: str,
        input: ModelProxyUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Self:
        """Change what ``input`` says of a proxy, and return it; as :meth:`update`."""
        return run(
            objects.updated(
                cls,
                model_proxy_name,
                input,
                config=Config.with_configs(config),
                clear=clear,
                take_ownership=take_ownership,
            )
        )

    @classmethod
    async def update_by_name_async(
        cls,
        model_proxy_name: str,
        input: ModelProxyUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Self:
        """As :meth:`update_by_name`."""
        return await run_async(
            objects.updated(
                cls,
                model_proxy_name,
                input,
                config=Config.with_configs(config),
                clear=clear,
                take_ownership=take_ownership,
            )
        )

    @classmethod
    def delete_by_name(
        cls,
        model_Proxy_name: str | None = None,
        config: Config | None = None,
        *,
        model_proxy_name: str | None = None,
        take_ownership: bool | None = None,
    ) -> Self:
        """Tell the proxy of that name to go, and return it, DELETING; as :meth:`delete`.

        The first argument is spelled as AgentRun spells it; ``model_proxy_name`` is the same.
        """
        name = _one_name(model_Proxy_name, model_proxy_name)
        merged = Config.with_configs(config)
        return run(objects.deleted(cls, name, config=merged, take_ownership=take_ownership))

    @classmethod
    async def delete_by_name_async(
        cls,
        model_Proxy_name: str | None = None,
        config: Config | None = None,
        *,
        model_proxy_name: str | None = None,
        take_ownership: bool | None = None,
    ) -> Self:
        """As :meth:`delete_by_name`."""
        name = _one_name(model_Proxy_name, model_proxy_name)
        merged = Config.with_configs(config)
        deleted = objects.deleted(cls, name, config=merged, take_ownership=take_ownership)
        return await run_async(deleted)

    @classmethod
    def list_all(
        cls,
        *,
        proxy_mode: str | None = None,
        status: Status | None = None,
        workspace_id: str | None = None,
        config: Config | None = None,
    ) -> list[Self]:
        """Return all that the filters let through, at one moment, by name."""
        merged = Config.with_configs(config)
        asked = ModelProxyListInput(
            proxy_mode=proxy_mode,
            status=status,
            workspace_id=workspace_id,
        )
        return cls.all_told(run(verbs.every(asked, config=merged)), merged)

    @classmethod
    async def list_all_async(
        cls,
        *,
        proxy_mode: str | None = None,
        status: Status | None = None,
        workspace_id: str | None = None,
        config: Config | None = None,
    ) -> list[Self]:
        """As :meth:`list_all`."""
        merged = Config.with_configs(config)
        asked = ModelProxyListInput(
            proxy_mode=proxy_mode,
            status=status,
            workspace_id=workspace_id,
        )
        return cls.all_told(await run_async(verbs.every(asked, config=merged)), merged)

    # -- updating --------------------------------------------------------------------------

    def update(
        self,
        input: ModelProxyUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Self:
        """Change what ``input`` says, unset the fields of ``clear``, and return the object.

        What ``input`` does not say, or says to be None, stays. ``clear`` takes dotted names, such
        as ``"description"`` or ``"tags.team"``.

        Raises:
            ResourceNotExistError: it is gone.
            HTTPError: it is refused, with every reason; or it belongs to another owner.
        """
        return run(self._updated(input, config, clear, take_ownership))

    async def update_async(
        self,
        input: ModelProxyUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Self:
        """As :meth:`update`."""
        return await run_async(self._updated(input, config, clear, take_ownership))


def _one_name(quirky: str | None, plain: str | None) -> str:
    name = quirky if quirky is not None else plain
    if name is None:
        raise TypeError("delete_by_name() is missing the name: model_Proxy_name")
    return name
