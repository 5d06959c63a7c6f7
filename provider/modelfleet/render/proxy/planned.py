"""Values of a ModelProxy that are known before anything is created. Pure.

Formulas over declared fields, as ``render/planned.py`` has them for a ModelService. Those that look
into maps and lists take them with gaps (``spec/known.py``): access names are known as soon as the
names are, whatever is still unknown of those who answer to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from modelfleet import labels
from modelfleet.render.planned import Formula
from modelfleet.render.proxy.history import PROXY_RENDERER_VERSION
from modelfleet.render.proxy.pod import proxy_pod_template_hash
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import access_name_of
from modelfleet.spec.referring import name_of
from modelfleet.spec.tree import UNKNOWN, never_unknown, value_at


def _model_proxy_id(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def _endpoint(namespace: str, name: str) -> str:
    return labels.endpoint(labels.proxy_object_name(name), namespace=namespace)


def _base_url(namespace: str, name: str) -> str:
    return f"{_endpoint(namespace, name)}/v1"


def _proxy_mode(proxy_config: Any, mode: Any) -> Any:
    """Return the mode, as declared or derived; ``UNKNOWN`` where that cannot be told yet."""
    endpoints = _field(proxy_config, "endpoints")
    if mode is not None or endpoints is UNKNOWN:
        return UNKNOWN if mode is None else mode
    return "multi" if len(endpoints or ()) > 1 else "single"


def _access_names(
    name: Any, workspace_id: Any, routes: Any, proxy_config: Any, mode: Any, fallbacks: Any
) -> Any:
    """Return all access names, sorted; ``UNKNOWN`` where one of them may be missing."""
    names = {
        *_each(routes),
        *_names_of_endpoints(name, proxy_config, mode),
        *_names_of_fallbacks(fallbacks, proxy_config, routes),
    }
    if UNKNOWN in (*names, workspace_id):
        return UNKNOWN
    return sorted({access_name_of(each, workspace_id=workspace_id) for each in names})


def _names_of_endpoints(name: Any, proxy_config: Any, mode: Any) -> Iterator[Any]:
    endpoints = _field(proxy_config, "endpoints")
    if endpoints is UNKNOWN:
        yield UNKNOWN
        return
    if not endpoints:
        return
    yield name
    mode = _proxy_mode(proxy_config, mode)
    if mode is UNKNOWN:
        yield UNKNOWN
    elif mode == "single":
        service = _field(endpoints[0], "model_service_name")
        theirs = None if isinstance(service, str) else _field(service, "model_names")
        yield from _each(_field(endpoints[0], "model_names") or theirs)


def _names_of_fallbacks(fallbacks: Any, proxy_config: Any, routes: Any) -> Iterator[Any]:
    """Yield the names of services that are named as fallbacks: each has one of its own."""
    known = routes.values() if isinstance(routes, Mapping) else ()
    owners = [_field(each, "policies") for each in (proxy_config, *known)]
    for each in (fallbacks, *(_field(policies, "fallbacks") for policies in owners)):
        for fallback in _each(each):
            identity = _field(_field(fallback, "model_service_name"), "id")
            if identity is not None:
                yield identity if identity is UNKNOWN else name_of(identity)


def _each(values: Any) -> Iterator[Any]:
    yield from (UNKNOWN,) if values is UNKNOWN else values or ()


def _field(value: Any, name: str) -> Any:
    """Return a field of what may be a model or a map of it; whatever else it is stays that."""
    if isinstance(value, BaseModel):
        return getattr(value, name)
    return value.get(name) if isinstance(value, Mapping) else value


_NAME: Final = ("namespace", "model_proxy_name")

PROXY_PLANNED: Final[Mapping[str, Formula]] = {
    "model_proxy_id": (_NAME, _model_proxy_id),
    "endpoint": (_NAME, _endpoint),
    "base_url": (_NAME, _base_url),
    "access_names": (
        (
            "model_proxy_name",
            "workspace_id",
            "routes",
            "proxy_config",
            "proxy_mode",
            "policies.fallbacks",
        ),
        _access_names,
    ),
    "proxy_mode": (("proxy_config", "proxy_mode"), _proxy_mode),
}
"""Every planned value but ``pod_template_hash``, which depends on the whole declaration."""

TAKE_GAPS: Final = frozenset({"access_names", "proxy_mode"})
"""Those that take values with gaps, and are ``UNKNOWN`` themselves only where it matters."""


def proxy_planned_of(
    spec: ModelProxySpec, *, renderer_version: int = PROXY_RENDERER_VERSION
) -> dict[str, Any]:
    """Return all planned values of ``spec``, its pods made by ``renderer_version``."""
    values = {
        name: formula(*(_value(spec, path) for path in paths))
        for name, (paths, formula) in PROXY_PLANNED.items()
    }
    template = proxy_pod_template_hash(spec, renderer_version=renderer_version)
    return {**values, "pod_template_hash": template}


def _value(spec: ModelProxySpec, path: str) -> Any:
    return value_at(spec, tuple(path.split(".")), model=ModelProxySpec, is_unknown=never_unknown)
