"""Rules on the public names of a ModelProxy, on the models behind them and on fallbacks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.known import has_gap, known
from modelfleet.spec.proxy_names import (
    NAMES_PATHS,
    NamedRoute,
    PublicNames,
    public_names,
)
from modelfleet.spec.proxy_parts import (
    CONFIG,
    POLICIES,
    ROUTES,
    TargetPart,
    fallbacks_in,
    service_id,
)
from modelfleet.spec.referring import name_of
from modelfleet.spec.rule import Problems, Rule, rule
from modelfleet.spec.tree import UNKNOWN, Path, dotted


@rule(*NAMES_PATHS, gaps=True)
def _names_differ_with_their_workspace(*values: Any) -> Problems:
    names = public_names(*values)
    first: dict[str, str] = {}
    for route in names.routes:
        access_name = names.access_name(route.name)
        if access_name is not UNKNOWN and first.setdefault(access_name, route.name) != route.name:
            yield Problem(
                dotted(route.path),
                f"callers send {access_name} for it, as they do for {first[access_name]}: "
                "workspace_id comes before a name without a slash; rename one",
            )


@rule(ROUTES, gaps=True)
def _fallbacks_of_a_route_stand_in_one_place(routes: Any) -> Problems:
    for name, route in known(routes):
        policies = route["policies"]
        theirs = policies if policies is UNKNOWN else policies["fallbacks"]
        if route["fallbacks"] and UNKNOWN not in (route["fallbacks"], theirs) and theirs:
            yield Problem(
                dotted((ROUTES, name, "policies", "fallbacks")),
                "stands beside the route's own fallbacks; keep one of them",
            )


@rule(*NAMES_PATHS, gaps=True)
def _fallbacks_name_one_model(*values: Any) -> Problems:
    names = public_names(*values)
    public = {names.same(route.name) for route in names.routes}
    models: dict[str, Any] = {}
    for path, each, name in _named(*values[3:]):
        service, model = each["model_service_name"], each["model_name"]
        if UNKNOWN in (service, model) or (service is not None and name is UNKNOWN):
            continue
        if service is None and model is None:
            yield Problem(
                dotted(path),
                "names nobody: set model_name to a public name, or model_service_name to a service",
            )
        elif service is not None and names.same(name) in public:
            yield Problem(
                dotted((*path, "model_service_name")),
                f"is a public name too; write model_name: {name} to fall back to that, or "
                "rename the route",
            )
        elif service is not None and models.setdefault(name, model) != model:
            yield Problem(
                dotted((*path, "model_name")),
                f"is another model of {name} than where it is named before; declare a route for "
                "each model, and name those",
            )


@rule(ROUTES, CONFIG, POLICIES, "namespace", gaps=True)
def _fallbacks_name_one_service(
    routes: Any, config: Any, policies: Any, namespace: Any
) -> Problems:
    services: dict[str, Any] = {}
    for path, each, name in _named(routes, config, policies):
        service = each["model_service_name"]
        if UNKNOWN in (name, namespace) or has_gap(service):
            continue
        told = {**service, "id": ""} if isinstance(service, Mapping) else None
        called = service_id(service, namespace=namespace), told
        if services.setdefault(name, called) != called:
            yield Problem(
                dotted((*path, "model_service_name")),
                f"is not the {name} that is named before, and both would answer to that name; "
                "write the same there, or declare a route for each, and name those",
            )


@rule(*NAMES_PATHS, gaps=True)
def _fallbacks_are_public_names(*values: Any) -> Problems:
    names = public_names(*values)
    public = {names.same(route.name) for route in names.routes}
    for route in names.routes:
        for path, other in route.fallbacks:
            is_there = names.same(other) in public
            if not is_there and names.are_all and not _may_be_meant(other, names):
                known_names = ", ".join(sorted(each.name for each in names.routes))
                yield Problem(
                    dotted(path), f"{other} is no public name of this proxy; it has {known_names}"
                )
            elif path[: len(route.path)] == route.path and _is_same(other, route.name, names):
                yield Problem(dotted(path), "is the route itself; name another one")


@rule(*NAMES_PATHS, gaps=True)
def _fallbacks_come_to_an_end(*values: Any) -> Problems:
    names = public_names(*values)
    routes = {names.same(route.name): route for route in names.routes}
    edges = {
        name: [(path, names.same(other)) for path, other in route.fallbacks]
        for name, route in routes.items()
    }
    for cycle in _cycles({name: [other for _, other in out] for name, out in edges.items()}):
        last, first = cycle[-1], cycle[0]
        path = next(path for path, other in edges[last] if other == first)
        shown = " → ".join(routes[name].name for name in (*cycle, first))
        yield Problem(dotted(path), f"leads in a circle: {shown}; leave one of these out")


@rule(*NAMES_PATHS, "model_type", gaps=True)
def _one_name_has_one_type_of_model(*values: Any) -> Problems:
    *of_names, proxy_type = values
    for route in public_names(*of_names).routes:
        declared = proxy_type if route.model_type is None else route.model_type
        said = "model_type" if declared not in (None, UNKNOWN) else ""
        for target in route.targets:
            theirs = target.of_reference("model_type")
            if theirs in (None, UNKNOWN) or declared is UNKNOWN:
                continue
            if not said:
                declared, said = theirs, dotted(target.path)
            elif theirs != declared:
                yield Problem(
                    target.at("service"),
                    f"is a model of type {theirs}, but {said} is {declared}; one public name has "
                    "one type",
                )


@rule(*NAMES_PATHS, "model_type", gaps=True)
def _fallbacks_do_the_same_work(*values: Any) -> Problems:
    *of_names, proxy_type = values
    names = public_names(*of_names)
    routes = {names.same(route.name): route for route in names.routes}
    for route in names.routes:
        own_type, own_context = _type(route, proxy_type), _least_context(route)
        for path, other, its_type, least in _answering(route, routes, names, proxy_type):
            if None not in (own_type, its_type) and own_type != its_type:
                yield Problem(
                    path,
                    f"{other} is a model of type {its_type}, and {route.name} one of type "
                    f"{own_type}; name a fallback of that type",
                )
            if own_context is not None and least is not None and least < own_context:
                yield Problem(
                    path,
                    f"{other} has a context of {least:g} tokens, and {route.name} one of "
                    f"{own_context:g}: requests that fit there would fail here; name a fallback "
                    "with as much",
                )


def _answering(
    route: NamedRoute, routes: Mapping[str, NamedRoute], names: PublicNames, proxy_type: Any
) -> Iterator[tuple[str, str, Any, float | None]]:
    """Yield each fallback of a route: where it is named, its name, type and least context."""
    for path, name in route.fallbacks:
        other = routes.get(names.same(name), route)
        yield (
            dotted(path),
            name,
            _type(other, proxy_type),
            min(_contexts(other.targets), default=None),
        )
    for part in route.services:
        identity = service_id(part.service, namespace="")
        its_type = part.of_reference("model_type")
        if identity is not UNKNOWN and its_type is not UNKNOWN:
            least = min(_contexts((part,)), default=None)
            yield part.at("service"), name_of(identity), its_type, least


def _named(routes: Any, config: Any, policies: Any) -> Iterator[tuple[Path, Any, Any]]:
    """Yield path and value of every fallback, and the public name of its service, if known."""
    for path, each in fallbacks_in(policies, config, routes):
        service = each["model_service_name"]
        identity = UNKNOWN if service is None else service_id(service, namespace="")
        yield path, each, UNKNOWN if identity is UNKNOWN else name_of(identity)


def _may_be_meant(name: str, names: PublicNames) -> bool:
    """Return whether ``name`` may be a public name, given a workspace that is not known."""
    ends = {each.name.rpartition("/")[2] for each in names.routes}
    return names.workspace_id is UNKNOWN and name.rpartition("/")[2] in ends


def _is_same(one: str, other: str, names: PublicNames) -> bool:
    return names.same(one) == names.same(other)


def _cycles(edges: Mapping[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Yield every shortest way from a name back to itself, once, beginning with its least name.

    A name that leads to itself at once is left out.
    """
    for start in sorted(edges):
        ways: list[tuple[str, ...]] = [(start,)]
        seen = {start}
        while ways:
            way = ways.pop(0)
            following = edges.get(way[-1], [])
            if start in following and len(way) > 1:
                yield way
                break
            fresh = [name for name in following if name > start and name not in seen]
            seen.update(fresh)
            ways.extend((*way, name) for name in fresh)


def _type(route: NamedRoute, proxy_type: Any) -> Any:
    """Return what the models behind a name do, None where that is not known."""
    theirs = (target.of_reference("model_type") for target in route.targets)
    declared = next((each for each in (route.model_type, proxy_type) if each is not None), None)
    if declared is UNKNOWN:
        return None
    return declared or next((each for each in theirs if each not in (None, UNKNOWN)), None)


def _contexts(targets: Iterable[TargetPart]) -> list[float]:
    sizes = (target.of_reference("context_size") for target in targets)
    return [size for size in sizes if size not in (None, UNKNOWN)]


def _least_context(route: NamedRoute) -> float | None:
    """Return the context that callers of a name can count on, None where that is not known."""
    sizes = _contexts(route.targets)
    is_known = route.is_complete and len(sizes) == len(route.targets)
    return min(sizes, default=None) if is_known else None


FALLBACK_RULES: Final[tuple[Rule, ...]] = (
    _names_differ_with_their_workspace,
    _fallbacks_of_a_route_stand_in_one_place,
    _fallbacks_name_one_model,
    _fallbacks_name_one_service,
    _fallbacks_are_public_names,
    _fallbacks_come_to_an_end,
    _one_name_has_one_type_of_model,
    _fallbacks_do_the_same_work,
)
