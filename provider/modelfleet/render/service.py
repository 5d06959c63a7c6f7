"""The Service of a hosted ModelService: one address, on port 80, whatever the engine's. Pure."""

from __future__ import annotations

from modelfleet import labels
from modelfleet.render.container import PORT_NAME
from modelfleet.render.metadata import Identity, Object, metadata_of, selector_of
from modelfleet.spec.service import ModelServiceSpec


def service_of(spec: ModelServiceSpec, *, identity: Identity) -> Object:
    """Return the Service in front of the pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(spec, identity=identity),
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
