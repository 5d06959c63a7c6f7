"""Fields that are refused by name, with the reason and what to write instead.

Two kinds: what the systems unified here have but Kubernetes says otherwise, and what this
release does not do yet. Nothing a user writes is ignored in silence. No logic beyond look-up.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

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
RUNTIMES_NOT_YET: Final = ("sglang",)


def reason_for(path: str, *, known: Iterable[str]) -> str:
    """Return why the field at dotted ``path`` is refused; ``known`` are its siblings' names."""
    if path in REFUSED:
        return REFUSED[path]
    near = difflib.get_close_matches(path.rpartition(".")[2], list(known), n=1)
    return f"unknown field; did you mean `{near[0]}`?" if near else "unknown field"
