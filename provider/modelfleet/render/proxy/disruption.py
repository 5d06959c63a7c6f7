"""The PodDisruptionBudget of a ModelProxy of several replicas. Pure."""

from __future__ import annotations

from modelfleet import labels
from modelfleet.render.metadata import Identity, Object, metadata_of, selector_of
from modelfleet.spec.proxy import ModelProxySpec


def proxy_budgets_of(spec: ModelProxySpec, *, identity: Identity) -> list[Object]:
    """Return the budget: one pod at a time may be evicted. None for a single pod.

    A budget that allows no disruption of the only pod would keep its node from being drained.
    """
    if spec.replicas <= 1:
        return []
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata_of(
                spec, identity=identity, name=labels.proxy_object_name(spec.name)
            ),
            "spec": {
                "maxUnavailable": 1,
                "selector": {"matchLabels": selector_of(spec)},
                # A pod that does not come up serves nobody: it must not hold its node.
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        }
    ]
