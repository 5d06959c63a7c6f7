"""ModelService as a user declares it: one model at one OpenAI-compatible base URL.

Field names and defaults follow AgentRun where it has the field. Rules between fields live in
``rules.py``; fields that are refused, with the reason, in ``refused.py``. No I/O.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.fields import (
    ChangeClass,
    Int,
    Number,
    ResourceName,
    SecretName,
    SpecModel,
    declared,
    text,
)
from modelfleet.spec.resource import ResourceModel, WorkspaceId

IN_PLACE = ChangeClass.IN_PLACE
REPLACE = ChangeClass.REPLACE


def _with_a_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError("must have a host, and as a port, if any, a number from 1 to 65535")
    return url


HttpUrl = Annotated[
    str,
    text(
        r"^https?://[^\s/?#@]+[^\s?#@]*$",
        says="must be an http:// or https:// URL without credentials, query or fragment",
        max_length=2048,
    ),
    AfterValidator(_with_a_host),
]
ModelName = Annotated[
    str, text(r"^\S+$", says="must not contain spaces", min_length=1, max_length=256)
]


class ModelType(StrEnum):
    """What a model does, in AgentRun's words."""

    LLM = "llm"
    TEXT_EMBEDDING = "text-embedding"
    RERANK = "rerank"
    SPEECH2TEXT = "speech2text"
    TTS = "tts"
    MODERATION = "moderation"


class ProviderSettings(SpecModel):
    """Where an external model is reached, and the names it answers to."""

    api_key: SecretStr | None = declared(
        None, change=IN_PLACE, doc="Key sent to the provider. Always treated as a secret."
    )
    base_url: HttpUrl | None = declared(
        None, change=IN_PLACE, doc="OpenAI-compatible base URL of an external provider."
    )
    model_names: tuple[ModelName, ...] = declared(
        (), change=IN_PLACE, doc="Names the model answers to, beside the access name."
    )


class ModelFeatures(SpecModel):
    """What a model can do beyond plain text."""

    agent_thought: bool | None = declared(None, change=IN_PLACE, doc="Emits its reasoning.")
    multi_tool_call: bool | None = declared(None, change=IN_PLACE, doc="Several tools at once.")
    stream_tool_call: bool | None = declared(None, change=IN_PLACE, doc="Streams tool calls.")
    tool_call: bool | None = declared(None, change=IN_PLACE, doc="Calls tools.")
    vision: bool | None = declared(None, change=IN_PLACE, doc="Accepts images.")


class ModelProperties(SpecModel):
    """Measures of a model."""

    context_size: Int | None = declared(
        None, change=IN_PLACE, doc="Context window, in tokens.", ge=1
    )


class ModelParameterRule(SpecModel):
    """One request parameter a model takes, and its bounds."""

    name: str = declared(change=IN_PLACE, doc="Name of the request parameter.")
    type: str | None = declared(None, change=IN_PLACE, doc="Type of its value.")
    required: bool | None = declared(None, change=IN_PLACE, doc="Whether callers must send it.")
    default: Any = declared(None, change=IN_PLACE, doc="Value used when it is not sent.")
    min: Number | None = declared(None, change=IN_PLACE, doc="Least value.")
    max: Number | None = declared(None, change=IN_PLACE, doc="Greatest value.")


class ModelInfoConfig(SpecModel):
    """What callers may know of one model."""

    model_name: ModelName = declared(change=IN_PLACE, doc="The name this describes.")
    model_features: ModelFeatures | None = declared(None, change=IN_PLACE, doc="Its abilities.")
    model_properties: ModelProperties | None = declared(None, change=IN_PLACE, doc="Its measures.")
    model_parameter_rules: tuple[ModelParameterRule, ...] = declared(
        (), change=IN_PLACE, doc="The parameters it takes."
    )


class ModelServiceSpec(ResourceModel):
    """One model offered at one OpenAI-compatible base URL.

    Hosted, with ``deployment``: runs on Kubernetes. External, with
    ``provider_settings.base_url``: runs elsewhere.
    """

    kind: ClassVar[Literal["ModelService"]] = "ModelService"
    name_field: ClassVar[str] = "model_service_name"
    secrets: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("provider_settings", "api_key"),
        ("deployment", "secret_env"),
    )

    model_service_name: ResourceName = declared(
        change=REPLACE,
        doc="Name of the service and of its objects: 2 to 63 lower-case letters, digits and "
        "dashes, beginning with a letter. Defaults to the Pulumi resource's name.",
    )
    model_type: ModelType = declared(ModelType.LLM, change=IN_PLACE, doc="What the model does.")
    provider: str | None = declared(
        None, change=IN_PLACE, doc="Who makes or serves the model (openai, tongyi, custom, …)."
    )
    workspace_id: WorkspaceId | None = declared(
        None, change=IN_PLACE, doc="Workspace; callers then send `<workspace_id>/<name>`."
    )
    credential_name: SecretName | None = declared(
        None,
        change=IN_PLACE,
        doc="Existing Secret with the provider's key: `name` or `name/key` (default key api_key).",
    )
    provider_settings: ProviderSettings | None = declared(
        None, change=IN_PLACE, doc="The external provider, or further names of a hosted model."
    )
    model_info_configs: tuple[ModelInfoConfig, ...] = declared(
        (), change=IN_PLACE, doc="What callers may know of the models behind the service."
    )
    deployment: DeploymentSpec | None = declared(
        None, change=IN_PLACE, doc="How the model runs on Kubernetes; unset = external."
    )

    @property
    def name(self) -> str:
        """Return its name."""
        return self.model_service_name

    @property
    def hosted(self) -> bool:
        """Return whether the service runs on Kubernetes."""
        return self.deployment is not None

    @property
    def startup_seconds(self) -> int:
        """Return how long its pods may take to start."""
        return self.deployment.startup_seconds if self.deployment else 0

    @property
    def drain_seconds(self) -> int:
        """Return how long requests may go on in its pods once they are to stop."""
        return self.deployment.drain_seconds if self.deployment else 0

    @property
    def secret_values(self) -> tuple[str, ...]:
        """Return the secrets that its pods hold, in plain text: what no message may show."""
        held = self.deployment.secret_env.values() if self.deployment else ()
        return tuple(value.get_secret_value() for value in held)
