"""The PodDisruptionBudget of a hosted ModelService, where one is declared. Pure."""

from __future__ import annotations

from modelfleet.render.metadata import Identity, Object, metadata_of, selector_of
from modelfleet.spec.pods import Disruption
from modelfleet.spec.service import ModelServiceSpec


def budget_of(spec: ModelServiceSpec, disruption: Disruption, *, identity: Identity) -> Object:
    """Return the budget: by default one pod at a time may be evicted."""
    if disruption.min_available is not None:
        limit = {"minAvailable": disruption.min_available}
    else:
        unavailable = disruption.max_unavailable
        limit = {"maxUnavailable": 1 if unavailable is None else unavailable}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata_of(spec, identity=identity),
        "spec": {
            **limit,
            "selector": {"matchLabels": selector_of(spec)},
            # A pod that cannot load its model serves nobody: it must not keep its node from being
            # drained, which the default would do for as long as too few pods are ready.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
