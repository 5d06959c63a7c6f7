"""The parts of a ModelProxy that rules look at, with their places, in either form it is written.

Works on what is known in part (``known.py``): whatever is ``UNKNOWN`` is left out, or stands as it
is in a field. What fully known routes come to is in ``proxy_routes.py``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as field_of_dataclass
from typing import Any, Final

from modelfleet import labels
from modelfleet.spec.known import known
from modelfleet.spec.tree import UNKNOWN, Path, dotted

ROUTES: Final = "routes"
CONFIG: Final = "proxy_config"
ENDPOINTS: Final = "proxy_config.endpoints"
POLICIES: Final = "policies"

_OF_AN_ENDPOINT: Final = {"service": "model_service_name", "model_name": "model_names"}
_OF_A_FALLBACK: Final = {"service": "model_service_name", "credential_name": "model_service_name"}


@dataclass(frozen=True)
class TargetPart:
    """One upstream, a target, an endpoint or a fallback; each value may be ``UNKNOWN``.

    ``service`` is a name, a map of a reference's fields, or None. ``names`` are those of fields
    that are called otherwise than in a target.
    """

    path: Path
    service: Any
    base_url: Any
    model_name: Any
    weight: Any
    credential_name: Any
    names: Mapping[str, str] = field_of_dataclass(default_factory=dict)

    def at(self, name: str) -> str:
        """Return the path of a field, by the name it has in a target."""
        return dotted((*self.path, self.names.get(name, name)))

    @property
    def is_fallback(self) -> bool:
        """Whether it is an entry of ``fallbacks``, which has neither URL nor Secret of its own."""
        return self.names is _OF_A_FALLBACK

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


def fallbacks_in(policies: Any, config: Any, routes: Any) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of every entry in the ``fallbacks`` of policies, wherever they stand."""
    for path, each in policies_in(policies, config, routes):
        yield from fallbacks_of_policies(path, each)


def fallbacks_of_policies(path: Path, policies: Any) -> Iterator[tuple[Path, Any]]:
    """Yield the known entries of ``fallbacks`` in policies that stand at ``path``."""
    for at, each in known(field(policies, "fallbacks") or ()):
        yield (*path, "fallbacks", at), each


def services_in(policies: Any, config: Any, routes: Any) -> Iterator[TargetPart]:
    """Yield every upstream that is named by its service, or may be: fallbacks, too."""
    for part in targets_in(routes, config):
        yield from (each for each in part.targets if each.service is not None)
    for path, each in policies_in(policies, config, routes):
        yield from services_of_policies(path, each)


def services_of_policies(path: Path, policies: Any) -> Iterator[TargetPart]:
    """Yield the services among the ``fallbacks`` in policies that stand at ``path``."""
    for at, each in fallbacks_of_policies(path, policies):
        service = each["model_service_name"]
        if service is not None:
            yield TargetPart(at, service, None, each["model_name"], 1, None, _OF_A_FALLBACK)


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
        names=_OF_AN_ENDPOINT,
    )
