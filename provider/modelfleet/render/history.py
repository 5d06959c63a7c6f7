"""What each renderer changed about pods, and the way back to the renderers before it.

Rendering knows the newest form alone. A service keeps the renderer that made its pods until they
are replaced anyway, so that a new release restarts none; its template is the newest one, taken back
step by step. A renderer that was released never changes: ``tests/golden/renderer-*``. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.engines.launch import NO_TELEMETRY
from modelfleet.labels import ENGINE_CONTAINER
from modelfleet.spec.service import ModelServiceSpec

Template = dict[str, Any]


@dataclass(frozen=True)
class Renderer:
    """What one renderer changed: as a clause for people, and how to undo it.

    ``undone`` returns the template as the renderer before made it; the argument is left alone.
    """

    summary: str
    undone: Callable[[Template, ModelServiceSpec], Template]


def _with_telemetry(template: Template, spec: ModelServiceSpec) -> Template:
    deployment = spec.deployment
    declared = {*deployment.env, *deployment.secret_env} if deployment else set()
    ours = NO_TELEMETRY.keys() - declared
    containers = [
        {**each, "env": [item for item in each["env"] if item["name"] not in ours]}
        if each["name"] == ENGINE_CONTAINER
        else each
        for each in template["spec"]["containers"]
    ]
    return {**template, "spec": {**template["spec"], "containers": containers}}


SINCE_THE_FIRST: Final[Mapping[int, Renderer]] = {
    2: Renderer(
        f"engines and hub clients send no usage statistics ({', '.join(NO_TELEMETRY)})",
        undone=_with_telemetry,
    ),
}
"""Every renderer but the first, by its version. Add, never edit."""

FIRST_RENDERER: Final = 1

RENDERER_VERSION: Final = max(SINCE_THE_FIRST)
"""The newest. Raised when equal specs begin to render to other pods."""


def as_rendered_by(version: int, template: Template, *, spec: ModelServiceSpec) -> Template:
    """Return ``template``, which the newest renderer made of ``spec``, as ``version`` made it."""
    for later in range(RENDERER_VERSION, version, -1):
        template = SINCE_THE_FIRST[later].undone(template, spec)
    return template


def summaries(*, after: int, until: int) -> list[str]:
    """Return what changes for pods from one version to a later one, oldest first."""
    return [SINCE_THE_FIRST[version].summary for version in range(after + 1, until + 1)]
