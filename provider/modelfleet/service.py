"""A service or proxy as it is: what is live, told in AgentRun's status words.

Reads objects and readiness, asks nobody. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from modelfleet import labels
from modelfleet.cluster.objects import DEPLOYMENT
from modelfleet.cluster.pod_state import condition
from modelfleet.cluster.readiness import Outcome, Ready, Waiting, readiness
from modelfleet.cluster.reasons import sentences
from modelfleet.cluster.records import recorded_spec
from modelfleet.cluster.rollout import Rollout
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import routes_of

READY: Final = "READY"
CREATING: Final = "CREATING"
UPDATING: Final = "UPDATING"
STOPPED: Final = "STOPPED"  # no replicas declared, and no pod left
DEGRADED: Final = "DEGRADED"  # as declared but for replicas that do not serve
DELETING: Final = "DELETING"
CREATE_FAILED: Final = "CREATE_FAILED"
UPDATE_FAILED: Final = "UPDATE_FAILED"

FAILED: Final = (CREATE_FAILED, UPDATE_FAILED)

_ROUTES_TOLD: Final = 4


@dataclass(frozen=True)
class Service:
    """One service or proxy in one cluster. Times are RFC 3339 in UTC, empty where not known.

    ``kind`` is the resource's, empty for an object that was not made by modelfleet. ``model`` says
    what is served: a model's URI, an address, or the routes of a proxy.
    """

    namespace: str
    name: str
    status: str
    status_reason: str = ""
    owner: str = ""
    incarnation: str = ""
    cluster_uid: str = ""
    access_name: str = ""
    created_at: str = ""
    last_updated_at: str = ""
    replicas: int = 0
    ready_replicas: int = 0
    gpus: int = 0
    model: str = ""
    kind: str = ""

    @property
    def id(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def is_settled(self) -> bool:
        """Whether it serves, or is stopped as declared: nothing is under way, nothing failed."""
        return self.status in (READY, STOPPED) or (
            self.status == DEGRADED and self.ready_replicas > 0
        )


def service_of(
    primary: Mapping[str, Any],
    *,
    outcome: Outcome,
    cluster_uid: str = "",
    spec: Mapping[str, Any] | None = None,
) -> Service:
    """Return the service whose primary object is ``primary`` and whose readiness is ``outcome``.

    ``spec`` is the declaration its record holds, for what people want to see in a table.
    """
    metadata = primary["metadata"]
    annotations = metadata.get("annotations") or {}
    spec = spec or {}
    kind = (metadata.get("labels") or {}).get(labels.KIND, "")
    status = _status(primary, outcome)
    replicas = int((primary.get("spec") or {}).get("replicas", 0))
    ready_replicas = int((primary.get("status") or {}).get("readyReplicas") or 0)
    # Deployments and pods come by two watches: of a pod that serves the last word may be old.
    reason = "" if status in (READY, STOPPED) else " ".join(sentences(outcome.reasons))
    if status == DEGRADED:
        reason = reason or f"{ready_replicas} of {replicas} replicas serve."
    return Service(
        namespace=metadata["namespace"],
        name=(metadata.get("labels") or {}).get(labels.NAME, metadata["name"]),
        status=status,
        status_reason=reason,
        owner=annotations.get(labels.OWNER, ""),
        incarnation=annotations.get(labels.INCARNATION, ""),
        cluster_uid=cluster_uid,
        access_name=annotations.get(labels.ACCESS_NAME, ""),
        created_at=metadata.get("creationTimestamp", ""),
        last_updated_at=_last_applied(metadata),
        replicas=replicas,
        ready_replicas=ready_replicas,
        gpus=replicas * _gpus_per_pod(spec.get("deployment") or {}),
        model=_routes(spec) if kind == ModelProxySpec.kind else _model(spec),
        kind=kind,
    )


def service_alone(primary: Mapping[str, Any], *, cluster_uid: str) -> Service:
    """Return the service as far as its primary object alone tells: nobody has seen its pods."""
    hosted = primary["kind"] == DEPLOYMENT.kind
    outcome = readiness(dict(primary), (), until="available") if hosted else Ready()
    spec = recorded_spec(dict(primary))
    return service_of(primary, outcome=outcome, cluster_uid=cluster_uid, spec=spec)


def _status(primary: Mapping[str, Any], outcome: Outcome) -> str:
    if primary["metadata"].get("deletionTimestamp"):
        return DELETING
    if primary["kind"] != DEPLOYMENT.kind:
        return READY
    rollout = Rollout.of(dict(primary))
    if isinstance(outcome, Ready):
        if rollout.replicas == 0:
            return STOPPED
        return READY if rollout.available >= rollout.replicas else DEGRADED
    if _has_been_ready(primary, rollout):
        return DEGRADED
    is_new = primary["metadata"].get("generation", 1) <= 1
    if isinstance(outcome, Waiting):
        return CREATING if is_new else UPDATING
    return CREATE_FAILED if is_new else UPDATE_FAILED


def _has_been_ready(primary: Mapping[str, Any], rollout: Rollout) -> bool:
    """Return whether the present version was rolled out once: what is missing was lost since."""
    progressing = condition(dict(primary), "Progressing").get("reason")
    return rollout.observed and rollout.out and progressing == "NewReplicaSetAvailable"


def _last_applied(metadata: Mapping[str, Any]) -> str:
    """Return when one of our managers last wrote the object, as its field ownership says.

    The API server takes that time before the one of a creation, which may be a second later.
    """
    times = (
        str(entry.get("time", ""))
        for entry in metadata.get("managedFields") or ()
        if str(entry.get("manager", "")).startswith("modelfleet-")
    )
    return max(*times, str(metadata.get("creationTimestamp", "")), "")


def _model(spec: Mapping[str, Any]) -> str:
    deployment = spec.get("deployment") or {}
    if uri := (deployment.get("model") or {}).get("uri"):
        return str(uri)
    return str((spec.get("provider_settings") or {}).get("base_url", ""))


def _routes(spec: Mapping[str, Any]) -> str:
    """Return how many names callers may send, and the first of them."""
    try:
        names = list(routes_of(ModelProxySpec.model_validate(spec)))
    except ValidationError:
        return ""
    count = "1 route" if len(names) == 1 else f"{len(names)} routes"
    more = ", …" if len(names) > _ROUTES_TOLD else ""
    return f"{count}: {', '.join(names[:_ROUTES_TOLD])}{more}"


def _gpus_per_pod(deployment: Mapping[str, Any]) -> int:
    gpu = deployment.get("gpu")
    return 0 if gpu is None else int(gpu.get("count", 1))
