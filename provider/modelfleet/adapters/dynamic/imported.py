"""What runs, as an entry of the document that ``pulumi import --file`` reads.

A dynamic resource cannot be imported by its id, for the engine reads it without a provider; with
inputs and outputs in the document it is not read at all. They are those that an ``up`` of the
declaration would have left. No secret is in them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import PROVIDER_KEY, serialize_provider

from modelfleet.adapters.dynamic import state
from modelfleet.plan import Rendered, plan
from modelfleet.resource_types import MODEL_PROXY, ResourceType
from modelfleet.service import Service
from modelfleet.spec.tree import pruned

TYPE: Final = "pulumi-python:dynamic/modelfleet:{kind}"

_KEYS: Final = "api_keys"


def imported_resource(
    provider: ResourceProvider,
    declaration: Mapping[str, Any],
    *,
    of: ResourceType,
    service: Service,
    renderer_version: int,
) -> dict[str, Any]:
    """Return type, name, id, inputs and outputs of ``service``, as ``declaration`` declares it.

    Its owner stays who it is: the next preview shows that it changes hands, and that keys are made
    anew which only the former state had, and nothing else.
    """
    inputs = plan(_with_keys(declaration), of=of).inputs
    spec = of.model.model_validate(pruned(inputs))
    template_hash = of.template_hash(spec, renderer_version=renderer_version)
    rendered = Rendered(renderer_version, template_hash)
    planned = plan(inputs, of=of, prior=inputs, rendered=rendered)
    # The blob is no secret, and the same in every state.
    own = {state.OWNER: service.owner, PROVIDER_KEY: serialize_provider(provider)}
    kept = {name: declaration[name] for name in (_KEYS,) if name in declaration}
    checked = state.inputs_of({**planned.inputs, **planned.values, **own, **kept})
    outputs = {
        **state.outputs_of(service, renderer_version=renderer_version),
        **({state.GENERATED_KEYS: {}, state.FORMER_KEYS: []} if of is MODEL_PROXY else {}),
    }
    return {
        "type": TYPE.format(kind=of.kind),
        "name": str(inputs[of.name_field]),
        "id": service.id,
        "inputs": checked,
        "outputs": {**checked, **outputs},
    }


def _with_keys(declaration: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``declaration`` with a key that the rules accept where one is not known."""
    keys = {
        name: {**declared, "key": f"unknown-key-of-{name}"} if "key" in declared else declared
        for name, declared in (declaration.get(_KEYS) or {}).items()
    }
    return {**declaration, **({_KEYS: keys} if keys else {})}
