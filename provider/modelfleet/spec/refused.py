"""Fields that are refused by name, with the reason and what to write instead.

Two kinds: what the systems unified here have but Kubernetes says otherwise (more of it in
``elsewhere``), and what this release does not do yet. Nothing a user writes is ignored in silence.
No logic beyond look-up.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_origin

from pydantic import BaseModel

from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.elsewhere import ELSEWHERE
from modelfleet.spec.policies import Policies
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_refused import OWNERS_OF_ELSEWHERE, PROXY_ELSEWHERE, PROXY_REFUSED
from modelfleet.spec.routing import Endpoint, Target
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import alternatives, model_in

NOT_YET: Final = "not available yet"

REFUSED: Final[Mapping[str, str]] = {
    "network_configuration.vpc_id": "has no meaning on Kubernetes: the cluster is the network; "
    "choose it with `cluster`, and say who may connect with network_configuration.allow_from",
    "network_configuration.vswitch_ids": "has no meaning on Kubernetes: choose nodes with "
    "deployment.node_selector",
    "network_configuration.security_group_id": "has no meaning on Kubernetes: say who may "
    "connect with network_configuration.allow_from",
    "service_region_id": "has no meaning on Kubernetes: a region is a cluster; set `cluster`",
    "execution_role_arn": "has no meaning on Kubernetes: set deployment.service_account",
    "status": "is an output, not an input",
    "status_reason": "is an output, not an input",
    "model_service_id": "is an output, not an input",
    "created_at": "is an output, not an input",
    "last_updated_at": "is an output, not an input",
    "deployment.autoscaling": f"{NOT_YET}; set deployment.replicas",
    "deployment.lora_adapters": NOT_YET,
    "deployment.ingress": NOT_YET,
    "deployment.gpu.claim": f"{NOT_YET}; set deployment.gpu.count",
    "deployment.parallelism.data": f"{NOT_YET}; set deployment.replicas",
    "deployment.parallelism.expert": NOT_YET,
    "deployment.parallelism.nodes": NOT_YET,
}

NETWORK_MODES_NOT_YET: Final = ("PUBLIC", "PUBLIC_AND_PRIVATE")
NETWORK_MODE_INSTEAD: Final = (
    "leave it out or set PRIVATE, and publish the Service by an Ingress of your own"
)


def reason_for(
    path: str,
    *,
    known: Iterable[str],
    model: type[BaseModel] = ModelServiceSpec,
    owner: type[BaseModel] | None = None,
) -> str:
    """Return why the field at dotted ``path`` of a ``model`` is refused.

    ``known`` are its siblings' names, and ``owner`` the model they belong to: ``model`` itself
    unless given.
    """
    siblings = list(known)
    name = path.rpartition(".")[2]
    if model is ModelProxySpec:
        reason = _reason_in_proxy(name, owner=owner or model, siblings=siblings)
    else:
        reason = _reason_in_service(path, siblings=siblings)
    if reason is not None:
        return reason
    near = difflib.get_close_matches(snake_case(name), siblings, n=1)
    return f"unknown field; did you mean `{near[0]}`?" if near else "unknown field"


def _reason_in_service(path: str, *, siblings: list[str]) -> str | None:
    owner, _, name = path.rpartition(".")
    plain = snake_case(name)
    refused = REFUSED.get(f"{owner}.{plain}" if owner else plain)
    if refused is not None:
        return refused
    if plain != name and plain in siblings:
        return f"write it in snake_case: `{plain}`"
    if owner == "" and plain in DeploymentSpec.model_fields:
        return f"is a field of the deployment: set deployment.{plain}"
    if owner == "deployment" and plain in ModelServiceSpec.model_fields:
        return f"is a field of the service, not of its deployment: set {plain} beside deployment"
    if owner in ("", "deployment") and plain in ELSEWHERE:
        system, advice = ELSEWHERE[plain]
        return f"is a field of {system}: {advice}"
    return None


def _reason_in_proxy(name: str, *, owner: type[BaseModel], siblings: list[str]) -> str | None:
    plain = snake_case(name)
    refused = PROXY_REFUSED.get(owner, {}).get(plain)
    if refused is not None:
        return refused
    if plain != name and plain in siblings:
        return f"write it in snake_case: `{plain}`"
    if owner in (Target, Endpoint) and plain in Policies.model_fields:
        return f"is a policy, of a route or of the proxy: set policies.{plain} there"
    if plain in PROXY_ELSEWHERE and owner in OWNERS_OF_ELSEWHERE:
        system, advice = PROXY_ELSEWHERE[plain]
        return f"is a field of {system}: {advice}"
    if (place := place_below(owner, plain)) is not None:
        return f"stands elsewhere: set {place}"
    of_services = ModelServiceSpec.model_fields.keys() | DeploymentSpec.model_fields.keys()
    if owner is ModelProxySpec and plain in of_services:
        return (
            "is a field of a ModelService: a proxy runs no model; declare the service, and name it "
            "as a target of a route"
        )
    # What a part of a proxy does not have either.
    answers = (PROXY_REFUSED[part].get(plain) for part in PROXY_REFUSED if part is not owner)
    return next(filter(None, answers), None) if owner is ModelProxySpec else None


def place_below(owner: type[BaseModel], name: str) -> str | None:
    """Return the shortest way to a field called ``name`` in what ``owner`` holds, None if none.

    Of two as short, one through no map or list.
    """
    ways: list[tuple[str, type[BaseModel]]] = [("", owner)]
    seen = {owner}
    for prefix, model in ways:  # grows while it is gone through
        parts = [
            (mark, f"{prefix}{own}{mark}.", below)
            for own, field in model.model_fields.items()
            for mark, below in _models_in(field.annotation)
        ]
        for _, place, below in sorted(parts, key=lambda part: part[0] != ""):
            if name in below.model_fields:
                return place + name
        ways.extend((place, below) for _, place, below in parts if below not in seen)
        seen.update(below for _, _, below in parts)
    return None


def _models_in(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models a field holds, each with what stands for its keys or places in a path."""
    marks: dict[Any, str] = {dict: ".<name>", tuple: "[]", list: "[]"}
    for each in alternatives(annotation):
        below = model_in(each)
        if below is not None:
            yield marks.get(get_origin(each), ""), below


def snake_case(name: str) -> str:
    """Return ``name`` in this project's spelling: ``requestCpu`` is ``request_cpu``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
