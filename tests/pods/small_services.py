"""Texts of programs that declare services of the tiny models, and what those models say. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import modelfleet.local.models

REAL: Final[Mapping[str, Any]] = {"product": "Local-CPU"}
"""The GPU that only real nodes say they have."""

PATIENCE_SECONDS: Final = 900
"""How long is waited for what is sure to come, on the slowest of machines."""

OUTPUTS: Final = ("model_service_id", "access_name", "endpoint", "base_url", "model_names")

_MODELS = Path(modelfleet.local.models.__file__).parent
_TINY: Final[Mapping[str, Any]] = {
    "runtime": "llama.cpp",
    "cpu": 0.2,
    "memory_gib": 1,
    "shm_gib": 0,
    "max_model_len": 512,
    "drain_seconds": 1,
}


def program(
    name: str,
    *,
    namespace: str,
    model: str = "tiny-chat",
    deployment: Mapping[str, Any] | None = None,
    **fields: Any,
) -> str:
    """Return a program that declares one service of a tiny model, and exports what it knows of it.

    It runs on real nodes unless ``deployment`` says otherwise.
    """
    runs = small_deployment(model)
    declared = {
        "namespace": namespace,
        "wait": {"timeout_seconds": PATIENCE_SECONDS},
        "deployment": {**runs, **(deployment or {})},
        **fields,
    }
    arguments = "".join(f"    {key}={value!r},\n" for key, value in declared.items())
    exports = "".join(
        f"pulumi.export({each!r}, service.{each})\n" for each in (*OUTPUTS, "gpu_total")
    )
    return (
        "import pulumi\nfrom modelfleet import ModelService\n\n"
        f"service = ModelService(\n    {name!r},\n{arguments})\n{exports}"
    )


def small_deployment(model: str) -> dict[str, Any]:
    """Return the deployment of a tiny model on real nodes."""
    return {"model": {"uri": f"pvc://models/{model}.gguf"}, "gpu": REAL, **_TINY}


def sentence(model: str) -> str:
    """Return what a model answers to everything."""
    described = tomllib.loads((_MODELS / f"{model}.toml").read_text())
    return str(described["sentence"])
