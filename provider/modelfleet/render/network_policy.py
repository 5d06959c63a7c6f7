"""Who may connect to the pods of a hosted ModelService, on by default. Pure.

Pods of the same namespace, proxies anywhere, and who is declared. The kubelet's probes come from
the node and are never subject to it.
"""

from __future__ import annotations

from typing import Any

from modelfleet import labels
from modelfleet.engines import launch_of
from modelfleet.render.metadata import PROXY_KIND, Identity, Object, metadata_of, selector_of
from modelfleet.spec.resource import Peer
from modelfleet.spec.service import ModelServiceSpec


def network_policy_of(spec: ModelServiceSpec, *, identity: Identity) -> Object:
    """Return the NetworkPolicy of the pods."""
    neighbours: dict[str, Any] = {"podSelector": {}}
    proxies = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {labels.KIND: PROXY_KIND}},
    }
    declared = [peer_of(peer) for peer in spec.network_configuration.allow_from]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata_of(spec, identity=identity),
        "spec": {
            "podSelector": {"matchLabels": selector_of(spec)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [neighbours, proxies, *declared],
                    "ports": [{"port": launch_of(spec).port, "protocol": "TCP"}],
                }
            ],
        },
    }


def peer_of(peer: Peer) -> dict[str, Any]:
    """Return a declared peer as a NetworkPolicy lists it."""
    selectors = {
        "namespaceSelector": _selector(peer.namespace_labels),
        "podSelector": _selector(peer.pod_labels),
    }
    # A peer without any selector is no peer to the API server; here it is every neighbour.
    given = {name: selector for name, selector in selectors.items() if selector is not None}
    return given or {"podSelector": {}}


def _selector(wanted: dict[str, str] | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    return {"matchLabels": dict(sorted(wanted.items()))} if wanted else {}
