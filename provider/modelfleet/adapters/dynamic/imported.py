"""A service that runs, as an entry of the document that ``pulumi import --file`` reads.

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
from modelfleet.plan import Rendered, plan, spec_of
from modelfleet.render import pod_template_hash
from modelfleet.service import Service

TYPE: Final = "pulumi-python:dynamic/modelfleet:ModelService"


def imported_resource(
    provider: ResourceProvider,
    declaration: Mapping[str, Any],
    *,
    service: Service,
    renderer_version: int,
) -> dict[str, Any]:
    """Return type, name, id, inputs and outputs of ``service``, as ``declaration`` declares it.

    Its owner stays who it is: the next preview shows that it changes hands, and nothing else.
    """
    inputs = plan(declaration).inputs
    template_hash = pod_template_hash(spec_of(inputs), renderer_version=renderer_version)
    planned = plan(declaration, prior=inputs, rendered=Rendered(renderer_version, template_hash))
    # The blob is no secret, and the same in every state.
    own = {state.OWNER: service.owner, PROVIDER_KEY: serialize_provider(provider)}
    checked = state.inputs_of({**planned.inputs, **planned.values, **own})
    outputs = state.outputs_of(service, renderer_version=renderer_version)
    return {
        "type": TYPE,
        "name": str(inputs["model_service_name"]),
        "id": service.id,
        "inputs": checked,
        "outputs": {**checked, **outputs},
    }
