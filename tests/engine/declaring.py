"""Texts of programs that declare services and proxies. Pure.

``hosted`` and ``external`` make one declaration, ``program`` a program of several. The pods of a
hosted service are tiny, so that tests side by side have room on one plane.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelfleet.local.stages import node_selector

_IMPORTS = "import pulumi\nfrom modelfleet import ModelProxy, ModelService\n"

TINY: Mapping[str, Any] = {
    "model": {"uri": "file:///models/tiny"},
    "runtime": {"name": "tiny", "image": "example.org/tiny:1"},
    "cpu": 0.1,
    "memory_gib": 0.25,
    "shm_gib": 0,
    "drain_seconds": 1,
}
ACCEPTED: Mapping[str, Any] = {"until": "accepted"}


class Code(str):
    """An expression of the program, where everything else stands as a literal."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def program(*declarations: str, before: str = "") -> str:
    """Return a program of ``declarations``, with ``before`` as its first lines."""
    return "\n".join([_IMPORTS, before, *declarations, ""])


def hosted(
    name: str,
    *,
    namespace: str,
    behaviour: str = "",
    deployment: Mapping[str, Any] | None = None,
    options: str = "",
    **fields: Any,
) -> str:
    """Return a declaration of a hosted service; its pods misbehave as ``behaviour`` says."""
    runs = {**TINY, **(misbehaving(behaviour) if behaviour else {}), **(deployment or {})}
    return _declaration(name, {"namespace": namespace, "deployment": runs, **fields}, options)


def external(name: str, *, namespace: str, options: str = "", **fields: Any) -> str:
    """Return a declaration of an external service."""
    settings = {"base_url": "https://models.example.org/v1", **fields.pop("provider_settings", {})}
    declared = {"namespace": namespace, "provider_settings": settings, **fields}
    return _declaration(name, declared, options)


def proxy(name: str, *, namespace: str, options: str = "", **fields: Any) -> str:
    """Return a declaration of a proxy that nobody waits for: no gateway runs on a fake node."""
    declared = {"namespace": namespace, "wait": ACCEPTED, **fields}
    return _declaration(name, declared, options, kind="ModelProxy")


def misbehaving(behaviour: str) -> dict[str, Any]:
    """Return what in a ``deployment`` sends its pods to the nodes of one behaviour."""
    return {
        "node_selector": node_selector(behaviour),
        "tolerations": [{"operator": "Exists"}],
    }


def _declaration(
    name: str, declared: Mapping[str, Any], options: str, *, kind: str = "ModelService"
) -> str:
    arguments = [f"{key}={value!r}" for key, value in declared.items()]
    if options:
        arguments.append(f"opts=pulumi.ResourceOptions({options})")
    return f"{kind}({', '.join([repr(name), *arguments])})"
