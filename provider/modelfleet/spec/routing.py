"""Where a ModelProxy sends requests: public names, the services behind them, their shares.

Two ways to write the same: ``routes``, and AgentRun's ``proxy_config``. Shapes only; what both
come to is in ``proxy_routes.py``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from modelfleet.spec.fields import (
    ChangeClass,
    Int,
    SecretName,
    SpecModel,
    declared,
    text,
)
from modelfleet.spec.policies import ModelName, Policies
from modelfleet.spec.referring import Service
from modelfleet.spec.service import HttpUrl, ModelType

ROLLING = ChangeClass.ROLLING

PublicName = Annotated[
    str,
    text(
        r"^[a-zA-Z0-9]([-._:/a-zA-Z0-9]*[a-zA-Z0-9])?$",
        says="must be letters, digits, dashes, dots, colons, slashes and underscores",
        max_length=128,
    ),
]
Weight = Int


class Target(SpecModel):
    """One of the upstreams that share the requests for a public name."""

    service: Service | None = declared(
        None,
        change=ROLLING,
        doc="A ModelService: of the same program, or the name of one that is there.",
    )
    base_url: HttpUrl | None = declared(
        None, change=ROLLING, doc="An OpenAI-compatible base URL, where it is no ModelService."
    )
    model_name: ModelName | None = declared(
        None, change=ROLLING, doc="The name it is asked for; unset = the service's own first one."
    )
    weight: Weight = declared(
        1, change=ROLLING, doc="Its share of the requests, beside the others'.", ge=0, le=1_000_000
    )
    credential_name: SecretName | None = declared(
        None,
        change=ROLLING,
        doc="Existing Secret with the key it is called with: `name` or `name/key`.",
    )


class Route(SpecModel):
    """One public name: who answers to it, and what is done with its requests."""

    targets: tuple[Target, ...] = declared(
        change=ROLLING, doc="Who answers, each by its weight.", min_length=1
    )
    fallbacks: tuple[PublicName, ...] = declared(
        (), change=ROLLING, doc="Public names that answer where this one fails, in this order."
    )
    policies: Policies = declared(
        Policies(), change=ROLLING, doc="What is done with its requests; wins over the proxy's."
    )
    model_type: ModelType | None = declared(
        None, change=ROLLING, doc="What the model does; unset = the proxy's, or its services'."
    )


class Endpoint(SpecModel):
    """An upstream in AgentRun's form."""

    model_service_name: Service | None = declared(
        None, change=ROLLING, doc="A ModelService: of the same program, or the name of one."
    )
    base_url: HttpUrl | None = declared(
        None, change=ROLLING, doc="An OpenAI-compatible base URL, where it is no ModelService."
    )
    model_names: tuple[ModelName, ...] = declared(
        (), change=ROLLING, doc="Names it is asked for, the first one under the proxy's name."
    )
    weight: Weight | None = declared(
        None, change=ROLLING, doc="Its share of the requests; unset = 1.", ge=0, le=1_000_000
    )
    credential_name: SecretName | None = declared(
        None,
        change=ROLLING,
        doc="Existing Secret with the key it is called with: `name` or `name/key`.",
    )


class ProxyConfig(SpecModel):
    """AgentRun's form of a proxy: upstreams that share one public name, the proxy's own."""

    endpoints: tuple[Endpoint, ...] = declared((), change=ROLLING, doc="The upstreams.")
    policies: Policies = declared(
        Policies(), change=ROLLING, doc="What is done with every request of the proxy."
    )


ProxyMode = Literal["single", "multi"]
