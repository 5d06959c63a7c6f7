"""A ModelService where a proxy's declaration names one: everything a gateway must know of it.

What the service declares is turned into plain values and Outputs, so that Pulumi orders the work,
a preview checks the proxy against it, and a change of the service shows as one of the proxy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pulumi

from modelfleet.spec.service_reference import context_size_of, credential_name_of


class Referred(Protocol):
    """What is asked of a ModelService of a program; ``declared`` is what it registered with."""

    declared: Mapping[str, Any]

    @property
    def model_service_id(self) -> pulumi.Output[str]:
        """Its id."""

    @property
    def base_url(self) -> pulumi.Output[str]:
        """Where it answers."""

    @property
    def model_names(self) -> pulumi.Output[Sequence[str]]:
        """The names it answers to."""


def with_references(value: Any, *, service: type[Any]) -> Any:
    """Return ``value`` with every ``service`` in its maps and lists as a reference to it."""
    if isinstance(value, service):
        return reference_to(value)
    if isinstance(value, Mapping):
        return {key: with_references(item, service=service) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_references(item, service=service) for item in value]
    return value


def reference_to(service: Referred) -> dict[str, Any]:
    """Return the fields of a ServiceReference, for a ModelService of this program."""
    declared = service.declared

    def field(name: str) -> pulumi.Output[Any]:
        return pulumi.Output.from_input(declared.get(name))

    credential = pulumi.Output.all(
        name=field("model_service_name"),
        credential_name=field("credential_name"),
        settings=field("provider_settings"),
    ).apply(_credential_name)
    context_size = pulumi.Output.all(
        deployment=field("deployment"), models=field("model_info_configs")
    ).apply(_context_size)
    return {
        "id": service.model_service_id,
        "base_url": service.base_url,
        "model_names": service.model_names,
        "credential_name": pulumi.Output.unsecret(credential),
        "model_type": declared.get("model_type"),
        "context_size": pulumi.Output.unsecret(context_size),
        "cluster": declared.get("cluster") or "default",
    }


def _credential_name(declared: Mapping[str, Any]) -> str | None:
    named = declared["credential_name"]
    return credential_name_of(
        declared["name"],
        credential_name=None if named is None else str(named),
        has_api_key=bool((declared["settings"] or {}).get("api_key")),
    )


def _context_size(declared: Mapping[str, Any]) -> int | None:
    return context_size_of(declared["deployment"], declared["models"])
