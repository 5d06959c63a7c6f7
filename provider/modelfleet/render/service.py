"""The Service of a hosted ModelService: one address, on port 80, whatever the engine's. Pure."""

from __future__ import annotations

from modelfleet import labels
from modelfleet.engines import launch_of
from modelfleet.render.container import PORT_NAME
from modelfleet.render.metadata import Identity, Object, metadata_of, selector_of
from modelfleet.render.pod import pod_template_of
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
                    "targetPort": _target_port(spec),
                    "protocol": "TCP",
                }
            ],
        },
    }


def _target_port(spec: ModelServiceSpec) -> str | int:
    """Return the pods' port: by its name, or by its number where overrides took the name away.

    A service that was taken over has the ports that its pods were made with.
    """
    deployment = spec.deployment
    if deployment is None or not deployment.pod_overrides:
        return PORT_NAME
    containers = pod_template_of(spec)["spec"]["containers"]
    engine = next(each for each in containers if each["name"] == labels.ENGINE_CONTAINER)
    names = [port.get("name") for port in engine.get("ports", ())]
    return PORT_NAME if PORT_NAME in names else launch_of(spec).port
