"""Which resources of a list are asked for: AgentRun's filters, and no query language. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from modelfleet.agentrun.scope import workspace_of
from modelfleet.catalogue import Entry
from modelfleet.errors import ProviderBugError
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import proxy_mode_of


def matches(entry: Entry, where: Mapping[str, Any]) -> bool:
    """Return whether a resource is what ``where`` asks for.

    By the name of a filter (``FILTERS``) stands one value, or several of which any will do; None
    asks for nothing. A resource whose record cannot be read has no values but status and workspace.
    """
    return all(_is_meant(entry, name, wanted) for name, wanted in where.items())


def _is_meant(entry: Entry, name: str, wanted: Any) -> bool:
    if name not in FILTERS:
        raise ProviderBugError(f"agentrun/matching.py knows no filter {name!r}")
    if wanted is None:
        return True
    value = FILTERS[name](entry)
    several = isinstance(wanted, Collection) and not isinstance(wanted, str)
    return value in wanted if several else value == wanted


def _declared(name: str) -> Callable[[Entry], Any]:
    return lambda entry: getattr(entry.spec, name, None)


def _proxy_mode(entry: Entry) -> str | None:
    return proxy_mode_of(entry.spec) if isinstance(entry.spec, ModelProxySpec) else None


FILTERS: Final[Mapping[str, Callable[[Entry], Any]]] = {
    "model_type": _declared("model_type"),
    "provider": _declared("provider"),
    "proxy_mode": _proxy_mode,
    "status": lambda entry: entry.service.status,
    "workspace_id": workspace_of,
    "workspace_ids": workspace_of,
}
"""By the name of each filter, what is compared. Statuses are compared as they are, not as told."""
