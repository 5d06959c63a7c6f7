"""The parts of a ModelProxy that rules look at, with their places, in either form it is written.

Works on what is known in part (``known.py``): whatever is ``UNKNOWN`` is left out, or stands as it
is in a field. What fully known routes come to is in ``proxy_routes.py``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet import labels
from modelfleet.spec.known import known
from modelfleet.spec.tree import UNKNOWN, Path, dotted

ROUTES: Final = "routes"
CONFIG: Final = "proxy_config"
ENDPOINTS: Final = "proxy_config.endpoints"
POLICIES: Final = "policies"


@dataclass(frozen=True)
class TargetPart:
    """One upstream, a target or an endpoint; each value may be ``UNKNOWN``.

    ``service`` is a name, a map of a reference's fields, or None.
    """

    path: Path
    service: Any
    base_url: Any
    model_name: Any
    weight: Any
    credential_name: Any
    is_endpoint: bool = False

    def at(self, name: str) -> str:
        """Return the path of a field, by the name it has in a target."""
        if self.is_endpoint:
            name = {"service": "model_service_name", "model_name": "model_names"}.get(name, name)
        return dotted((*self.path, name))

    def of_reference(self, name: str) -> Any:
        """Return a field of the service, where it is a reference, else None."""
        if isinstance(self.service, Mapping):
            return self.service.get(name)
        return UNKNOWN if self.service is UNKNOWN else None


@dataclass(frozen=True)
class TargetsPart:
    """The upstreams of one route: those that are known, and whether these are all."""

    path: Path
    targets: tuple[TargetPart, ...]
    is_complete: bool


def targets_in(routes: Any, config: Any) -> Iterator[TargetsPart]:
    """Yield the upstreams of every route of ``routes``, then those of ``proxy_config``."""
    for name, route in known(routes):
        yield _targets((ROUTES, name, "targets"), route["targets"], of=_target)
    endpoints = field(config, "endpoints")
    if known_items(endpoints) or endpoints is UNKNOWN:
        yield _targets(("proxy_config", "endpoints"), endpoints, of=_endpoint)


def policies_in(policies: Any, config: Any, routes: Any) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of the policies of the proxy, in both forms, and of every route."""
    for at, value in (((POLICIES,), policies), ((CONFIG, POLICIES), field(config, POLICIES))):
        if isinstance(value, Mapping):
            yield at, value
    for name, route in known(routes):
        if isinstance(route[POLICIES], Mapping):
            yield (ROUTES, name, POLICIES), route[POLICIES]


def field(owner: Any, name: str) -> Any:
    """Return a field of what may be absent (None) or ``UNKNOWN``, which it then is itself."""
    return owner.get(name) if isinstance(owner, Mapping) else owner


def known_items(values: Any) -> list[Any]:
    """Return the items of a list, or the values of a map, of which anything is known."""
    return [value for _, value in known(values)]


def service_id(service: Any, *, namespace: Any) -> Any:
    """Return ``namespace/name`` of a service, or ``UNKNOWN``."""
    identity: Any = service["id"] if isinstance(service, Mapping) else service
    if identity is UNKNOWN or "/" in identity:
        return identity
    return UNKNOWN if namespace is UNKNOWN else f"{namespace}/{identity}"


def address_in_cluster(identity: str) -> str:
    """Return the base URL of the service ``namespace/name`` inside its cluster."""
    namespace, _, name = identity.partition("/")
    return f"{labels.endpoint(name, namespace=namespace)}/v1"


def _targets(path: Path, values: Any, *, of: Any) -> TargetsPart:
    found = tuple(of((*path, at), value) for at, value in known(values))
    is_complete = values is not UNKNOWN and len(found) == len(values)
    return TargetsPart(path, found, is_complete)


def _target(path: Path, value: Mapping[str, Any]) -> TargetPart:
    return TargetPart(path, **value)


def _endpoint(path: Path, value: Mapping[str, Any]) -> TargetPart:
    names = value["model_names"]
    return TargetPart(
        path,
        service=value["model_service_name"],
        base_url=value["base_url"],
        model_name=names if names is UNKNOWN else next(iter(names), None),
        weight=1 if value["weight"] is None else value["weight"],
        credential_name=value["credential_name"],
        is_endpoint=True,
    )
