"""Fields that are refused by name, with the reason and what to write instead.

Two kinds: what the systems unified here have but Kubernetes says otherwise (more of it in
``elsewhere``), and what this release does not do yet. Nothing a user writes is ignored in silence.
No logic beyond look-up.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.elsewhere import ELSEWHERE
from modelfleet.spec.service import ModelServiceSpec

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


def reason_for(path: str, *, known: Iterable[str]) -> str:
    """Return why the field at dotted ``path`` is refused; ``known`` are its siblings' names."""
    owner, _, name = path.rpartition(".")
    siblings, plain = list(known), snake_case(name)
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
    near = difflib.get_close_matches(plain, siblings, n=1)
    return f"unknown field; did you mean `{near[0]}`?" if near else "unknown field"


def snake_case(name: str) -> str:
    """Return ``name`` in this project's spelling: ``requestCpu`` is ``request_cpu``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
