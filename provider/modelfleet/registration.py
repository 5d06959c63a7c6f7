"""How a resource of ours is registered, whichever it is: checked for what it cannot declare, owned.

Owns the properties that a resource registers with, and no class of a program. No cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pulumi
import pulumi.dynamic

from modelfleet.declaration import Model, registered_inputs
from modelfleet.errors import Problem, SpecError

OWNER: Final = "owner"
"""The one input that is not declared on the resource itself: to whom its objects belong."""

CLUSTER: Final = "cluster"
"""The one input that says where to look for a resource, beside its id."""

_BOOKKEEPING: Final = frozenset(
    {"incarnation", "schema_version", "renderer_version", "drift", "former_keys"}
)
"""What the provider keeps in the state beside the outputs; of no use to a program."""

_NOT_AN_INPUT: Final = "is an output, not an input"
_NOT_LOOKED_UP: Final = (
    "is read where a {what} is looked up by its id; besides that only cluster is given"
)
_NO_IMPORT: Final = (
    "a dynamic resource cannot be imported by its id; declare it with adopt=True instead of "
    "import_, and pulumi up takes over what runs (modelfleet import NAME prints the declaration)."
)
_REASONS: Final[Mapping[str, str]] = {
    OWNER: "is not declared per {what}; set modelfleet:fleet in the stack's configuration",
    "base_url": f"{_NOT_AN_INPUT}; an external provider's is provider_settings.base_url",
    "model_names": f"{_NOT_AN_INPUT}; a model's further names are provider_settings.model_names",
    "access_names": f"{_NOT_AN_INPUT}; public names are the keys of routes",
}


class ProviderByName(pulumi.dynamic.ResourceProvider):
    """Pickles into the name of a provider, so that a program need not import the provider."""

    serialize_as_secret_always = False

    def __init__(self, factory: Callable[[], pulumi.dynamic.ResourceProvider]) -> None:
        super().__init__()
        self._factory = factory

    def __reduce__(self) -> Any:
        return self._factory, ()


def registered_props(
    resource_name: str,
    *,
    layers: Sequence[Any],
    options: pulumi.ResourceOptions | None,
    resource: type,
    model: Model,
) -> dict[str, Any]:
    """Return the properties to register ``resource`` with, declared by partial specs ``layers``.

    Raises:
        pulumi.RunError: An output or ``owner`` is declared, or ``options`` has ``import_``.
    """
    subject = f"{model.kind} {resource_name}"
    options = options or pulumi.ResourceOptions()
    if options.import_ is not None:
        raise pulumi.RunError(f"{subject}: {_NO_IMPORT}")
    is_looked_up = options.id is not None
    inputs = registered_inputs(
        layers,
        defaults={} if is_looked_up else {model.name_field: resource_name},
        subject=subject,
        model=model,
    )
    outputs = outputs_of(resource)
    taken = {OWNER, *_BOOKKEEPING, *outputs} - model.model_fields.keys()
    what = model.kind.removeprefix("Model").lower()
    problems = [
        Problem(name, _REASONS.get(name, _NOT_AN_INPUT).format(what=what))
        for name in taken & inputs.keys()
    ]
    if is_looked_up:
        told = _NOT_LOOKED_UP.format(what=what)
        problems += [Problem(name, told) for name in inputs.keys() - {CLUSTER}]
    if problems:
        raise pulumi.RunError(str(SpecError(subject, problems)))
    owner = {} if is_looked_up else {OWNER: stack_owner()}
    return {**dict.fromkeys(outputs), **inputs, **owner}


def stack_owner() -> str:
    """Return to whom this stack's objects belong.

    ``modelfleet:fleet`` where configured, else ``<organization>/<project>/<stack>``.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    return pulumi.Config("modelfleet").get("fleet") or stack


def looked_up_options(
    resource_id: pulumi.Input[str], options: pulumi.ResourceOptions | None
) -> pulumi.ResourceOptions:
    """Return ``options`` of what is only read, by its id."""
    return pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(id=resource_id))


def layers_of(base: Any) -> list[Any]:
    """Return the partial specs that were given as ``base``."""
    if base is None:
        return []
    return [*base] if isinstance(base, list | tuple) else [base]


def outputs_of(resource: type) -> dict[str, property]:
    """Return the outputs of a resource class by name, its own first.

    What is not among a resource's initial properties never resolves.
    """
    classes = [each for each in resource.__mro__ if each.__module__.startswith("modelfleet.")]
    members = (item for each in classes for item in vars(each).items())
    return {name: member for name, member in members if isinstance(member, property)}
