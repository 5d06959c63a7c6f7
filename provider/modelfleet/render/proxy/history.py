"""What each renderer changed about a ModelProxy's pods, and the way back to those before it.

As ``render/history.py`` does for services: rendering knows the newest form alone, and a proxy keeps
the renderer that made its pods until they are replaced anyway, so that a new release restarts none.

The files of the pods are rendered as well: LiteLLM's and the application's configuration, and the
application itself. Any change of ``gateway/app`` after a release of modelfleet is therefore a new
renderer. It keeps the sources as they were, as ``gateway/app_<version>``, which ``files_undone``
puts in place of the newer ones; and the golden outputs of before, in
``tests/golden/proxy-renderer-<version>``. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.spec.proxy import ModelProxySpec

Template = dict[str, Any]
Files = dict[str, str]


@dataclass(frozen=True)
class ProxyRenderer:
    """What one renderer changed: as a clause for people, and how to undo it.

    ``undone`` returns the template and ``files_undone`` the files as the renderer before made them;
    arguments are left alone.
    """

    summary: str
    undone: Callable[[Template, ModelProxySpec], Template]
    files_undone: Callable[[Files, ModelProxySpec], Files]


SINCE_THE_FIRST: Final[Mapping[int, ProxyRenderer]] = {}
"""Every renderer but the first, by its version. Add, never edit."""

FIRST_PROXY_RENDERER: Final = 1

PROXY_RENDERER_VERSION: Final = max(SINCE_THE_FIRST, default=FIRST_PROXY_RENDERER)
"""The newest. Raised when equal specs begin to render to other pods."""


def template_rendered_by(version: int, template: Template, *, spec: ModelProxySpec) -> Template:
    """Return ``template``, which the newest renderer made of ``spec``, as ``version`` made it."""
    for later in range(PROXY_RENDERER_VERSION, version, -1):
        template = SINCE_THE_FIRST[later].undone(template, spec)
    return template


def files_rendered_by(version: int, files: Files, *, spec: ModelProxySpec) -> Files:
    """Return ``files``, which the newest renderer made of ``spec``, as ``version`` made them."""
    for later in range(PROXY_RENDERER_VERSION, version, -1):
        files = SINCE_THE_FIRST[later].files_undone(files, spec)
    return files


def proxy_summaries(*, after: int, until: int) -> list[str]:
    """Return what changes for pods from one version to a later one, oldest first."""
    return [SINCE_THE_FIRST[version].summary for version in range(after + 1, until + 1)]
