"""The services that a proxy's declaration names: AgentRun has a name there, the spec a reference.

A reference holds what a gateway must know of the service, so that one whose declaration changes
reaches the proxy with its next update. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modelfleet.catalogue import Entry
from modelfleet.resource_types import MODEL_SERVICE
from modelfleet.spec.service_reference import context_size_of, credential_name_of
from modelfleet.spec.tree import pruned

Referred = Callable[[str], Entry | None]
"""How a service is looked up by the name that a declaration has for it."""


def with_services(tree: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the declaration ``tree`` of a proxy with every service it names changed."""
    result = _with_fallbacks(tree, change)
    config, routes = tree.get("proxy_config"), tree.get("routes")
    if isinstance(config, Mapping):
        config = _with_fallbacks(config, change)
        result["proxy_config"] = _with_items(config, "endpoints", "model_service_name", change)
    if isinstance(routes, Mapping):
        result["routes"] = {name: _route(route, change) for name, route in routes.items()}
    return result


def services_in(tree: Mapping[str, Any]) -> Iterator[Any]:
    """Yield every service that the declaration ``tree`` of a proxy names."""
    found: list[Any] = []
    with_services(tree, found.append)
    yield from (each for each in found if each is not None)


def told_name(service: Any, *, namespace: str) -> Any:
    """Return what a proxy in ``namespace`` calls a service; a name stays as it was written."""
    if not isinstance(service, Mapping):
        return service
    return str(service.get("id")).removeprefix(f"{namespace}/")


def reference_to(entry: Entry, *, cluster: str) -> dict[str, Any] | None:
    """Return the fields of a ServiceReference for a service of ``cluster``.

    None where its record cannot be read: then there is no more than its name.
    """
    if entry.record is None or entry.spec is None or entry.key.kind != MODEL_SERVICE.kind:
        return None
    declared = entry.record.spec
    planned = MODEL_SERVICE.formula_values(declared)
    fields = {
        "id": planned["model_service_id"],
        "base_url": planned["base_url"],
        "model_names": planned["model_names"],
        "credential_name": credential_name_of(
            entry.key.name,
            credential_name=declared.get("credential_name"),
            has_api_key="api_key" in (declared.get("provider_settings") or {}),
        ),
        "model_type": declared.get("model_type"),
        "context_size": context_size_of(
            declared.get("deployment"), declared.get("model_info_configs")
        ),
        "cluster": cluster,
    }
    known: dict[str, Any] = pruned(fields)
    return known


def _route(route: Any, change: Callable[[Any], Any]) -> Any:
    if not isinstance(route, Mapping):
        return route
    return _with_items(_with_fallbacks(route, change), "targets", "service", change)


def _with_fallbacks(owner: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return ``owner`` of policies with the services changed that these fall back to."""
    policies = owner.get("policies")
    if not isinstance(policies, Mapping):
        return dict(owner)
    return {**owner, "policies": _with_items(policies, "fallbacks", "model_service_name", change)}


def _with_items(
    owner: Mapping[str, Any], items: str, name: str, change: Callable[[Any], Any]
) -> dict[str, Any]:
    """Return ``owner`` with the field ``name`` changed in each of its ``items``, if it has any."""
    found = owner.get(items)
    if not isinstance(found, list | tuple):
        return dict(owner)
    changed = [
        {**item, name: change(item[name])} if isinstance(item, Mapping) and name in item else item
        for item in found
    ]
    return {**owner, items: changed}
