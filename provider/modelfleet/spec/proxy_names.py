"""The public names of a ModelProxy that is known in part, and the fallbacks between them.

The same as ``proxy_routes.py`` says of a spec, as far as it can be said of a declaration with gaps.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelfleet.spec.known import has_gap, known
from modelfleet.spec.proxy_parts import (
    CONFIG,
    POLICIES,
    ROUTES,
    TargetPart,
    fallbacks_of_policies,
    field,
    services_of_policies,
    targets_in,
)
from modelfleet.spec.tree import UNKNOWN, Path


@dataclass(frozen=True)
class NamedRoute:
    """One public name: where it is declared, its known upstreams, and who answers in its place.

    ``fallbacks`` are known public names with their places, ``services`` what else answers;
    ``is_complete`` says whether all upstreams are known. ``model_type`` is what the route declares.
    """

    name: str
    path: Path
    targets: tuple[TargetPart, ...]
    is_complete: bool
    fallbacks: tuple[tuple[Path, str], ...] = ()
    services: tuple[TargetPart, ...] = ()
    model_type: Any = None


@dataclass(frozen=True)
class PublicNames:
    """Every declared public name that is known; ``are_all`` says whether there are no others.

    ``workspace_id`` may be ``UNKNOWN``.
    """

    routes: tuple[NamedRoute, ...]
    are_all: bool
    workspace_id: Any

    def access_name(self, name: str) -> Any:
        """Return what callers send for a public name, or ``UNKNOWN``."""
        return _access_name(name, self.workspace_id)

    def same(self, name: str) -> str:
        """Return a name under which ``name`` and all that mean the same compare equal."""
        return _same(name, self.workspace_id)


@dataclass(frozen=True)
class _Shared:
    """The fallbacks of the whole proxy, of which a name that is among them has those after it."""

    names: tuple[tuple[Path, str], ...]
    services: tuple[TargetPart, ...]
    workspace_id: Any

    def after(self, name: str) -> tuple[tuple[Path, str], ...]:
        own = [_same(other, self.workspace_id) for _, other in self.names]
        same = _same(name, self.workspace_id)
        return self.names[own.index(same) + 1 :] if same in own else self.names


NAMES_PATHS = ("model_proxy_name", "workspace_id", "proxy_mode", ROUTES, CONFIG, POLICIES)
"""What ``public_names`` is made of, in the order of its arguments."""


def public_names(
    name: Any, workspace_id: Any, mode: Any, routes: Any, config: Any, policies: Any
) -> PublicNames:
    """Return the public names of a proxy, of whose values each may be ``UNKNOWN``."""
    both = (((POLICIES,), policies), ((CONFIG, POLICIES), field(config, POLICIES)))
    shared = _Shared(
        tuple(each for place in both for each in _by_name(*place)),
        tuple(each for place in both for each in services_of_policies(*place)),
        workspace_id,
    )
    found = [*_of_routes(routes, shared=shared)]
    of_config = [*_of_endpoints(name, mode, routes, config, shared=shared)]
    endpoints: Any = field(config, "endpoints") or ()
    are_all = UNKNOWN not in (name, mode, routes, endpoints) and (
        len(endpoints) != 1 or mode == "multi" or not has_gap(_names(endpoints[0]))
    )
    return PublicNames((*found, *of_config), are_all, workspace_id)


def _of_routes(routes: Any, *, shared: _Shared) -> Iterator[NamedRoute]:
    targets = {part.path[1]: part for part in targets_in(routes, None)}
    for name, route in routes.items() if isinstance(routes, Mapping) else ():
        path: Path = (ROUTES, name)
        if route is UNKNOWN:
            yield NamedRoute(name, path, (), is_complete=False)
            continue
        yield NamedRoute(
            name,
            path,
            targets[name].targets,
            targets[name].is_complete,
            fallbacks=_fallbacks(name, route, path, shared=shared),
            services=_services(route, path, shared=shared),
            model_type=route["model_type"],
        )


def _of_endpoints(
    name: Any, mode: Any, routes: Any, config: Any, *, shared: _Shared
) -> Iterator[NamedRoute]:
    for part in targets_in(None, config):
        if routes not in ({}, UNKNOWN):
            return  # both forms: a problem of its own
        if name is not UNKNOWN:
            rest = shared.after(name)
            yield NamedRoute(name, (CONFIG,), part.targets, part.is_complete, rest, shared.services)
        endpoints = field(config, "endpoints")
        if not part.is_complete or mode == "multi" or mode is UNKNOWN or len(endpoints) > 1:
            return
        names = _names(endpoints[0])
        for own in () if names is UNKNOWN else names:
            if own not in (name, UNKNOWN):
                rest = shared.after(own)
                at = part.targets[0].path
                yield NamedRoute(own, at, part.targets, True, rest, shared.services)


def _names(endpoint: Any) -> Any:
    """Return the models of an endpoint, which are public names in mode single, or ``UNKNOWN``."""
    declared, service = field(endpoint, "model_names"), field(endpoint, "model_service_name")
    if declared or service is UNKNOWN:
        return declared or service
    return service["model_names"] if isinstance(service, Mapping) else ()


def _fallbacks(
    name: str, route: Mapping[str, Any], path: Path, *, shared: _Shared
) -> tuple[tuple[Path, str], ...]:
    if own := route["fallbacks"]:
        return tuple(((*path, "fallbacks", at), other) for at, other in known(own))
    policies = route[POLICIES]
    if own is UNKNOWN or policies is UNKNOWN or policies["fallbacks"] is UNKNOWN:
        return ()
    if policies["fallbacks"] is not None:
        return tuple(_by_name((*path, POLICIES), policies))
    return shared.after(name)


def _services(route: Mapping[str, Any], path: Path, *, shared: _Shared) -> tuple[TargetPart, ...]:
    policies = route[POLICIES]
    if route["fallbacks"] or policies is UNKNOWN or policies["fallbacks"] is UNKNOWN:
        return ()
    if policies["fallbacks"] is not None:
        return tuple(services_of_policies((*path, POLICIES), policies))
    return shared.services


def _by_name(path: Path, policies: Any) -> Iterator[tuple[Path, str]]:
    for at, each in fallbacks_of_policies(path, policies):
        if each["model_service_name"] is None and isinstance(each["model_name"], str):
            yield (*at, "model_name"), each["model_name"]


def _access_name(name: str, workspace_id: Any) -> Any:
    if "/" in name or workspace_id is None:
        return name
    return UNKNOWN if workspace_id is UNKNOWN else f"{workspace_id}/{name}"


def _same(name: str, workspace_id: Any) -> str:
    access_name = _access_name(name, workspace_id)
    return name if access_name is UNKNOWN else str(access_name)
