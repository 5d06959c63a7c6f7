"""What tests of engines share: the smallest hosted declaration, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelfleet.engines import ENGINE_RULES, launch_of
from modelfleet.engines.launch import Launch
from modelfleet.spec import ModelServiceSpec, problems_of
from modelfleet.spec.merge import merged
from modelfleet.spec.rules import SPEC_RULES


def declaration(
    deployment: Mapping[str, Any], further: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """Return a service with ``deployment``, ``further`` merged into it."""
    return {
        "model_service_name": "qwen",
        "deployment": merged(dict(deployment), dict(further or {})),
        **fields,
    }


def launched(declared: Mapping[str, Any]) -> Launch:
    """Return what runs for a whole declaration, whatever rules say of it."""
    return launch_of(ModelServiceSpec.model_validate(declared))


def problems(declared: Mapping[str, Any]) -> list[str]:
    """Return every problem of a whole declaration, as text."""
    found = problems_of(declared, rules=(*SPEC_RULES, *ENGINE_RULES))
    return [str(problem) for problem in found]


def words(launch: Launch) -> str:
    """Return the arguments as one text that begins and ends with a space."""
    return f" {' '.join(launch.args)} "


def option_names(launch: Launch) -> list[str]:
    """Return the names of all options on the command line, in order."""
    return [arg.removeprefix("--") for arg in launch.args if arg.startswith("--")]
