"""ModelService, as programs know it from AgentRun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from modelfleet.agentrun.names import ModelType
from modelfleet.agentrun.shapes import (
    ModelInfoConfig,
    ModelServiceCreateInput,
    ModelServiceListInput,
    ModelServiceMutableProps,
    ModelServiceUpdateInput,
    Shape,
)
from modelfleet.background import run, run_async
from modelfleet.client import objects, verbs
from modelfleet.client.config import Config
from modelfleet.client.inference import Inference
from modelfleet.client.inputs import SERVICE
from modelfleet.client.running import Runs


class ModelService(ModelServiceMutableProps, Inference, Runs):
    """One model at one OpenAI-compatible base URL, as last looked at.

    Hosted, with ``deployment``: runs on the cluster. External, with
    ``provider_settings.base_url``: runs elsewhere. ``access_name`` is the ``model`` that callers
    send, ``model_names`` all that it answers to.
    """

    kind: ClassVar[str] = SERVICE
    name_field_told: ClassVar[str] = "model_service_name"
    create_input: ClassVar[type[Shape]] = ModelServiceCreateInput
    update_input: ClassVar[type[Shape]] = ModelServiceUpdateInput

    model_service_name: str | None = None
    model_type: ModelType | None = None
    provider: str | None = None
    workspace_id: str | None = None
    model_info_configs: list[ModelInfoConfig] | None = None
    model_service_id: str | None = None
    model_names: list[str] | None = None
    access_name: str | None = None
    gpu_total: int | None = None

    # -- by name ---------------------------------------------------------------------------

    @classmethod
    def create(cls, input: ModelServiceCreateInput, config: Config | None = None) -> Self:
        """Create a service; it is accepted when this returns, and may not serve yet.

        Raises:
            ResourceAlreadyExistError: there is one of that name.
            HTTPError: it is refused, with every reason.
        """
        return run(objects.created(cls, input, config=Config.with_configs(config)))

    @classmethod
    async def create_async(
        cls, input: ModelServiceCreateInput, config: Config | None = None
    ) -> Self:
        """As :meth:`create`."""
        return await run_async(objects.created(cls, input, config=Config.with_configs(config)))

    @classmethod
    def get_by_name(cls, model_service_name: str, config: Config | None = None) -> Self:
        """Return the service of that name.

        Raises:
            ResourceNotExistError: there is none.
            HTTPError: nobody could be asked, or may be told.
        """
        return run(objects.got(cls, model_service_name, config=Config.with_configs(config)))

    @classmethod
    async def get_by_name_async(cls, model_service_name: str, config: Config | None = None) -> Self:
        """As :meth:`get_by_name`."""
        merged = Config.with_configs(config)
        return await run_async(objects.got(cls, model_service_name, config=merged))

    @classmethod
    def update_by_name(
        cls,
        model_service_name: str,
        input: ModelServiceUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Self:
        """Change what ``input`` says of a service, and return it; as :meth:`update`."""
        return run(
            objects.updated(
                cls,
                model_service_name,
                input,
                config=Config.with_configs(config),
                clear=clear,
                take_ownership=take_ownership,
            )
        )

    @classmethod
    async def update_by_name_async(
        cls,
        model_service_name: str,
        input: ModelServiceUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Self:
        """As :meth:`update_by_name`."""
        return await run_async(
            objects.updated(
                cls,
                model_service_name,
                input,
                config=Config.with_configs(config),
                clear=clear,
                take_ownership=take_ownership,
            )
        )

    @classmethod
    def delete_by_name(
        cls,
        model_service_name: str,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> Self:
        """Tell the service of that name to go, and return it, DELETING; as :meth:`delete`."""
        merged = Config.with_configs(config)
        return run(
            objects.deleted(cls, model_service_name, config=merged, take_ownership=take_ownership)
        )

    @classmethod
    async def delete_by_name_async(
        cls,
        model_service_name: str,
        config: Config | None = None,
        *,
        take_ownership: bool | None = None,
    ) -> Self:
        """As :meth:`delete_by_name`."""
        merged = Config.with_configs(config)
        return await run_async(
            objects.deleted(cls, model_service_name, config=merged, take_ownership=take_ownership)
        )

    @classmethod
    def list_all(
        cls,
        *,
        model_type: ModelType | None = None,
        provider: str | None = None,
        workspace_id: str | None = None,
        config: Config | None = None,
    ) -> list[Self]:
        """Return all that the filters let through, at one moment, by name."""
        merged = Config.with_configs(config)
        asked = ModelServiceListInput(
            model_type=model_type,
            provider=provider,
            workspace_id=workspace_id,
        )
        return cls.all_told(run(verbs.every(asked, config=merged)), merged)

    @classmethod
    async def list_all_async(
        cls,
        *,
        model_type: ModelType | None = None,
        provider: str | None = None,
        workspace_id: str | None = None,
        config: Config | None = None,
    ) -> list[Self]:
        """As :meth:`list_all`."""
        merged = Config.with_configs(config)
        asked = ModelServiceListInput(
            model_type=model_type,
            provider=provider,
            workspace_id=workspace_id,
        )
        return cls.all_told(await run_async(verbs.every(asked, config=merged)), merged)

    # -- updating --------------------------------------------------------------------------

    def update(
        self,
        input: ModelServiceUpdateInput,
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
        input: ModelServiceUpdateInput,
        config: Config | None = None,
        *,
        clear: Sequence[str] = (),
        take_ownership: bool | None = None,
    ) -> Self:
        """As :meth:`update`."""
        return await run_async(self._updated(input, config, clear, take_ownership))
