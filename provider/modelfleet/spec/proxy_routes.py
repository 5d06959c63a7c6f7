"""The one form of a ModelProxy's routes: what both ways of declaring them come to.

By access name: the upstreams with their addresses, the fallbacks, the policies in force. Whatever
comes after validation reads this, and none of ``routes``, ``proxy_config`` and ``policies``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from modelfleet import labels
from modelfleet.spec.policies import Fallback, Policies
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.referring import ServiceReference, name_of
from modelfleet.spec.routing import Endpoint, ProxyMode, Route, Target
from modelfleet.spec.service import ModelType
from modelfleet.spec.tree import Path, dotted

COUNTED: Final = ("concurrency_limit", "token_rate_limiter")
"""Policies that count: the proxy's are counted over all routes, beside a route's own."""


@dataclass(frozen=True)
class Upstream:
    """One server behind a public name.

    ``path`` is where it is declared. ``service`` is the id of a ModelService, None for a plain URL;
    ``credential_name`` the Secret, and key in it, that it is called with.
    """

    path: str
    service: str | None
    base_url: str
    model: str
    weight: int = 1
    credential_name: str | None = None
    model_type: ModelType | None = None
    context_size: int | None = None
    cluster: str | None = None

    @property
    def service_path(self) -> str:
        """Where its service is named."""
        is_target = not (self._is_fallback or self.path.startswith("proxy_config.endpoints"))
        return f"{self.path}.{'service' if is_target else 'model_service_name'}"

    @property
    def credential_path(self) -> str:
        """Where its credential is named: a fallback has none but that of its service."""
        return self.service_path if self._is_fallback else f"{self.path}.credential_name"

    @property
    def _is_fallback(self) -> bool:
        return ".fallbacks[" in self.path


@dataclass(frozen=True)
class PublicRoute:
    """One name that callers send, and what becomes of their requests.

    ``fallbacks`` are access names. ``policies`` are those in force, the proxy's where the route has
    none; of those in ``COUNTED``, the route's own.
    """

    access_name: str
    path: str
    upstreams: tuple[Upstream, ...]
    fallbacks: tuple[str, ...]
    policies: Policies
    model_type: ModelType


@dataclass(frozen=True)
class _Declared:
    """A route as either form declares it: each target with its place."""

    path: Path
    targets: tuple[tuple[Path, Target], ...]
    fallbacks: tuple[str, ...] = ()
    policies: Policies = Policies()  # noqa: RUF009 - a frozen model
    model_type: ModelType | None = None


def routes_of(spec: ModelProxySpec) -> dict[str, PublicRoute]:
    """Return the routes of ``spec`` by access name, in the order of their names."""
    policies = policies_of(spec)
    declared = dict(_declared_routes(spec))
    for name, route in _routes_of_fallbacks(spec, declared):
        declared.setdefault(name, route)
    routes = [_public(spec, name, route, policies=policies) for name, route in declared.items()]
    return {route.access_name: route for route in sorted(routes, key=lambda each: each.access_name)}


def policies_of(spec: ModelProxySpec) -> Policies:
    """Return the policies of the whole proxy, in whichever form they are declared."""
    theirs = spec.proxy_config.policies if spec.proxy_config else Policies()
    return _over(theirs, spec.policies)


def proxy_mode_of(spec: ModelProxySpec) -> ProxyMode:
    """Return the mode of AgentRun's form: as declared, or else as AgentRun derives it."""
    endpoints = spec.proxy_config.endpoints if spec.proxy_config else ()
    return spec.proxy_mode or ("multi" if len(endpoints) > 1 else "single")


def access_name_of(public_name: str, *, workspace_id: str | None) -> str:
    """Return what callers send for a public name; one with a slash in it stays as it is."""
    if "/" in public_name:
        return public_name
    return labels.access_name(public_name, workspace_id=workspace_id)


def _declared_routes(spec: ModelProxySpec) -> Iterator[tuple[str, _Declared]]:
    for name, route in spec.routes.items():
        yield name, _of_a_route(route, at=("routes", name))
    endpoints = spec.proxy_config.endpoints if spec.proxy_config else ()
    at: Path = ("proxy_config", "endpoints")
    if not endpoints:
        return
    targets = tuple(((*at, index), _target_of(each)) for index, each in enumerate(endpoints))
    yield spec.model_proxy_name, _Declared(("proxy_config",), targets)
    if proxy_mode_of(spec) == "single":
        for name in _names_of(endpoints[0]):
            if name != spec.model_proxy_name:
                target = targets[0][1].model_copy(update={"model_name": name})
                yield name, _Declared((*at, 0), (((*at, 0), target),))


def _of_a_route(route: Route, *, at: Path) -> _Declared:
    return _Declared(
        at,
        tuple(((*at, "targets", index), each) for index, each in enumerate(route.targets)),
        fallbacks=route.fallbacks,
        policies=route.policies,
        model_type=route.model_type,
    )


def _target_of(endpoint: Endpoint) -> Target:
    names = endpoint.model_names
    return Target(
        service=endpoint.model_service_name,
        base_url=endpoint.base_url,
        model_name=names[0] if names else None,
        weight=1 if endpoint.weight is None else endpoint.weight,
        credential_name=endpoint.credential_name,
    )


def _names_of(endpoint: Endpoint) -> tuple[str, ...]:
    service = endpoint.model_service_name
    theirs = service.model_names if isinstance(service, ServiceReference) else ()
    return endpoint.model_names or theirs


def _routes_of_fallbacks(
    spec: ModelProxySpec, declared: Mapping[str, _Declared]
) -> Iterator[tuple[str, _Declared]]:
    """Yield a route for each service that is named as a fallback: by its name, and a last resort.

    The gateway calls public names only, so the service gets one.
    """
    places: list[tuple[Path, Policies]] = [(("policies",), spec.policies)]
    if spec.proxy_config:
        places.append((("proxy_config", "policies"), spec.proxy_config.policies))
    places += [((*route.path, "policies"), route.policies) for route in declared.values()]
    for path, policies in places:
        for at, each in enumerate(policies.fallbacks or ()):
            if each.model_service_name is not None:
                place = (*path, "fallbacks", at)
                target = Target(service=each.model_service_name, model_name=each.model_name)
                alone = Policies(fallbacks=())
                yield _public_name(each), _Declared(place, ((place, target),), policies=alone)


def _fallbacks(spec: ModelProxySpec, name: str, route: _Declared) -> tuple[str, ...]:
    """Return the access names that answer for ``name``, the proxy's where it has none itself.

    One that is among the proxy's has those after it, so that nothing leads in a circle.
    """
    own = route.policies.fallbacks
    if route.fallbacks or own is not None:
        return tuple(
            access_name_of(other, workspace_id=spec.workspace_id)
            for other in route.fallbacks or map(_public_name, own or ())
        )
    shared = tuple(
        access_name_of(_public_name(each), workspace_id=spec.workspace_id)
        for each in policies_of(spec).fallbacks or ()
    )
    access_name = access_name_of(name, workspace_id=spec.workspace_id)
    return shared[shared.index(access_name) + 1 :] if access_name in shared else shared


def _public_name(fallback: Fallback) -> str:
    service = fallback.model_service_name
    return (fallback.model_name or "") if service is None else name_of(_identity(service))


def _identity(service: str | ServiceReference) -> str:
    return service.id if isinstance(service, ServiceReference) else service


def _public(
    spec: ModelProxySpec, name: str, route: _Declared, *, policies: Policies
) -> PublicRoute:
    access_name = access_name_of(name, workspace_id=spec.workspace_id)
    fallbacks = _fallbacks(spec, name, route)
    upstreams = tuple(_upstream(spec, target, at=at) for at, target in route.targets)
    types = (route.model_type, spec.model_type, *(each.model_type for each in upstreams))
    return PublicRoute(
        access_name=access_name,
        path=dotted(route.path),
        upstreams=upstreams,
        fallbacks=tuple(dict.fromkeys(each for each in fallbacks if each != access_name)),
        policies=_over(policies.model_copy(update=dict.fromkeys(COUNTED)), route.policies),
        model_type=next((each for each in types if each is not None), ModelType.LLM),
    )


def _upstream(spec: ModelProxySpec, target: Target, *, at: Path) -> Upstream:
    service = target.service
    if service is None:
        return Upstream(
            path=dotted(at),
            service=None,
            base_url=(target.base_url or "").rstrip("/"),
            model=target.model_name or "",
            weight=target.weight,
            credential_name=target.credential_name,
        )
    known = service if isinstance(service, ServiceReference) else ServiceReference(id=service)
    namespace, name = service_place(known.id, namespace=spec.namespace)
    return Upstream(
        path=dotted(at),
        service=f"{namespace}/{name}",
        base_url=(known.base_url or f"{labels.endpoint(name, namespace=namespace)}/v1").rstrip("/"),
        model=target.model_name or next(iter(known.model_names), name),
        weight=target.weight,
        credential_name=target.credential_name or known.credential_name,
        model_type=known.model_type,
        context_size=known.context_size,
        cluster=known.cluster,
    )


def service_place(service: str, *, namespace: str) -> tuple[str, str]:
    """Return namespace and name of a service that is named from within ``namespace``."""
    own, slash, name = service.rpartition("/")
    return (own if slash else namespace), name


def _over(below: Policies, above: Policies) -> Policies:
    """Return ``below`` with every policy that ``above`` declares."""
    declared = {name: value for name, value in above if value is not None}
    return below.model_copy(update=declared)
