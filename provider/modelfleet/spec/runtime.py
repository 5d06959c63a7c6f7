"""What runs a hosted ModelService: a built-in engine or any image, its options, its environment.

Shapes only; what an engine makes of them is in ``engines/``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Tag

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

ROLLING = ChangeClass.ROLLING

Image = Annotated[
    str,
    text(
        r"^[a-z0-9][-._a-zA-Z0-9:/]*[a-zA-Z0-9](@sha256:[0-9a-f]{64})?$",
        says="must be a container image such as vllm/vllm-openai:v1.0.0",
        max_length=512,
    ),
]
VersionTag = Annotated[
    str, text(r"^[A-Za-z0-9_][-._A-Za-z0-9]{0,127}$", says="must be an image tag such as v1.0.0")
]
OptionName = Annotated[
    str,
    text(
        r"^[a-z0-9][-.a-z0-9_]*$",
        says="must be an engine option in lower case without leading dashes",
    ),
]
HttpPath = Annotated[str, text(r"^/\S*$", says="must be a path that begins with /")]
EngineWord = Annotated[
    str, text(r"^[a-z0-9_-]+$", says="must be a lower-case word of the engine", max_length=64)
]
Port = Int


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


EnvText = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int | float | bool)]


class SecretRef(SpecModel):
    """An environment value read from an existing Secret."""

    secret: SecretName = declared(
        change=ROLLING, doc="`name` or `name/key` of a Secret in the service's namespace."
    )


def _env_kind(value: object) -> str:
    return "<ref>" if isinstance(value, dict | SecretRef) else "<text>"


EnvValue = Annotated[
    Annotated[EnvText, Tag("<text>")] | Annotated[SecretRef, Tag("<ref>")],
    Discriminator(_env_kind),
]


def _scalar(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("must be text, a number, true or false")
    return value


def _option_kind(value: object) -> str:
    return "<list>" if isinstance(value, list | tuple) else "<scalar>"


OptionScalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]
OptionValue = Annotated[
    Annotated[OptionScalar, Tag("<scalar>")] | Annotated[tuple[OptionScalar, ...], Tag("<list>")],
    Discriminator(_option_kind),
]


class ProbePaths(SpecModel):
    """HTTP paths that tell whether an engine is well."""

    startup: HttpPath = declared("/health", change=ROLLING, doc="Answers 2xx once loaded.")
    readiness: HttpPath = declared("/health", change=ROLLING, doc="Answers 2xx while it can serve.")
    liveness: HttpPath = declared("/health", change=ROLLING, doc="Answers 2xx while it is alive.")


class RuntimeSpec(SpecModel):
    """An engine given in full: any image that serves the OpenAI API."""

    name: ResourceName = declared(change=ROLLING, doc="Name of the runtime, for people.")
    image: Image = declared(change=ROLLING, doc="Container image, best with a digest.")
    command: tuple[str, ...] = declared((), change=ROLLING, doc="Entry point; unset = the image's.")
    args: tuple[str, ...] = declared(
        (),
        change=ROLLING,
        doc="Arguments; may use $(MODEL_PATH), $(MODEL_NAME), $(PORT), $(TP_SIZE), $(PP_SIZE).",
    )
    port: Port = declared(8000, change=ROLLING, doc="Port the engine listens on.", ge=1, le=65535)
    probes: ProbePaths = declared(ProbePaths(), change=ROLLING, doc="Health paths.")
    metrics_path: HttpPath | None = declared(
        None, change=ROLLING, doc="Path of Prometheus metrics, if there are any."
    )
    min_compute_capability: Number | None = declared(
        None, change=ROLLING, doc="Least CUDA compute capability the image runs on, such as 8.0."
    )


BuiltIn = Literal["vllm", "sglang", "llama.cpp", "tgi", "ollama", "tei"]
"""The engines that are built in; ``engines/`` has a file for each."""


def _runtime_kind(value: object) -> str:
    return "<name>" if isinstance(value, str) else "<full>"


Runtime = Annotated[
    Annotated[BuiltIn, Tag("<name>")] | Annotated[RuntimeSpec, Tag("<full>")],
    Discriminator(_runtime_kind),
]
