"""What is kept of an object while services are waited for.

A process may hold thousands of pods in memory. What readiness and its hints read stays; field
ownership, annotations and the rest of the specs, which is most of an object, goes. Pure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.objects import DEPLOYMENT, Object
from modelfleet.cluster.revisions import DIGEST_KEY, template_digest

_METADATA: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
    "labels",
)
_POD_SPEC: Final = ("nodeName", "nodeSelector", "affinity", "initContainers", "containers")
_CONTAINER: Final = ("name", "image", "resources", "restartPolicy", "startupProbe")
_POD_STATUS: Final = (
    "phase",
    "reason",
    "message",
    "conditions",
    "initContainerStatuses",
    "containerStatuses",
)
_CONTAINER_STATUS: Final = ("name", "state", "lastState", "ready", "started", "restartCount")
_WRITER: Final = ("manager", "operation", "time")
_DEPLOYMENT_SPEC: Final = ("replicas", "strategy", "paused")


def slim_pod(pod: Object) -> Object:
    """Return the parts of a pod that tell why it is not ready."""
    status = _part(pod.get("status") or {}, _POD_STATUS)
    for statuses in ("initContainerStatuses", "containerStatuses"):
        if statuses in status:
            status[statuses] = _parts(status[statuses], _CONTAINER_STATUS)
    spec = _part(pod.get("spec") or {}, _POD_SPEC)
    for containers in ("initContainers", "containers"):
        if containers in spec:
            spec[containers] = _parts(spec[containers], _CONTAINER)
    return {**_head(pod), "spec": spec, "status": status}


def slim_deployment(deployment: Object) -> Object:
    """Return the parts of a Deployment that tell how far its rollout is."""
    return {
        **_head(deployment),
        "spec": _part(deployment.get("spec") or {}, _DEPLOYMENT_SPEC),
        "status": deployment.get("status") or {},
        DIGEST_KEY: template_digest(deployment),
    }


def slim_replica_set(replica_set: Object) -> Object:
    """Return what tells the versions of a Deployment apart."""
    return {**_head(replica_set), DIGEST_KEY: template_digest(replica_set)}


def slim_primary(obj: Object) -> Object:
    """Return what an object tells of the resource it stands for: its record, state and writers.

    Nothing of a Secret's content is among it.
    """
    metadata = obj["metadata"]
    kept = _head(obj)
    kept["metadata"]["annotations"] = {
        key: text
        for key, text in (metadata.get("annotations") or {}).items()
        if key.startswith(labels.PREFIX)
    }
    kept["metadata"]["managedFields"] = _parts(metadata.get("managedFields") or (), _WRITER)
    if obj.get("kind") != DEPLOYMENT.kind:
        return kept
    deployment = slim_deployment(obj)
    return {**deployment, "metadata": kept["metadata"]}


def with_shared_texts(config_map: Object) -> Object:
    """Return all of a ConfigMap; a text that many have, such as a program, is kept once."""
    texts = {key: sys.intern(text) for key, text in (config_map.get("data") or {}).items()}
    return {**config_map, "data": texts} if texts else config_map


def whole(obj: Object) -> Object:
    """Return the object as it came, for those who compare every field."""
    return obj


def _head(obj: Object) -> Object:
    metadata = _part(obj["metadata"], _METADATA)
    return {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": metadata}


def _part(mapping: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}


def _parts(mappings: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> list[dict[str, Any]]:
    return [_part(mapping, keys) for mapping in mappings]
