"""The Service of a ModelProxy: what callers may use, on port 80, and nothing else. Pure."""

from __future__ import annotations

from modelfleet import labels
from modelfleet.render.container import PORT_NAME
from modelfleet.render.metadata import Identity, Object, metadata_of, selector_of
from modelfleet.spec.proxy import ModelProxySpec


def proxy_service_of(spec: ModelProxySpec, *, identity: Identity) -> Object:
    """Return the Service in front of the gateway's pods."""
    name = labels.proxy_object_name(spec.name)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(spec, identity=identity, name=name),
        "spec": {
            "type": "ClusterIP",
            "selector": selector_of(spec),
            "ports": [
                {
                    "name": PORT_NAME,
                    "port": labels.SERVICE_PORT,
                    "targetPort": PORT_NAME,
                    "protocol": "TCP",
                }
            ],
        },
    }
