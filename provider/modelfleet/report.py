"""A service or proxy told in full: its rollout, its pods and what they lack, what happened lately.

Values out of objects that were read; who reads them is ``reading``. Pure.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modelfleet import labels
from modelfleet.cluster.events import Event, events_about
from modelfleet.cluster.objects import DEPLOYMENT, SECRET, Object, ref_of
from modelfleet.cluster.pod_state import containers, finding, is_ready
from modelfleet.cluster.readiness import Outcome, Ready, readiness
from modelfleet.cluster.reasons import FieldNames, Reason
from modelfleet.cluster.records import recorded_spec
from modelfleet.cluster.revisions import current_hash, hash_of
from modelfleet.cluster.rollout import Rollout
from modelfleet.render.proxy import redis_password_in
from modelfleet.resource_types import ResourceSpec, type_of
from modelfleet.routing_report import ProxyReport, proxy_report_of
from modelfleet.service import READY, STOPPED, Service, service_of
from modelfleet.spec.proxy import ModelProxySpec


@dataclass(frozen=True)
class PodReport:
    """One pod. ``phase`` is Kubernetes' own, or ``Terminating``.

    ``lacks`` is what it lacks as the one word of a :class:`~modelfleet.cluster.reasons.Code`, empty
    for a pod that serves or is going, and ``why`` the same in a sentence without a subject.
    ``is_former`` says that it is of a version that is being replaced.
    """

    name: str
    node: str
    phase: str
    is_ready: bool
    is_former: bool
    restarts: int
    created_at: str
    lacks: str
    why: str


@dataclass(frozen=True)
class Report:
    """One service or proxy in full. ``rollout`` is None for one that runs elsewhere.

    ``proxy`` is what only a proxy has, None also where its record cannot be read. ``diagnosis`` is
    what keeps it from serving as declared, in the words of a failed update; ``events`` are the
    latest, newest last.
    """

    service: Service
    base_url: str
    proxy: ProxyReport | None
    rollout: Rollout | None
    diagnosis: tuple[Reason, ...]
    pods: tuple[PodReport, ...]
    events: tuple[Event, ...]

    @property
    def serves_as_declared(self) -> bool:
        """Whether it serves, or is stopped, as declared: nothing is under way or wrong."""
        return self.service.status in (READY, STOPPED)


@dataclass(frozen=True)
class Seen:
    """What is in the cluster of one service, at about the same time.

    ``objects`` carry its labels, the primary one among them, in the order of an apply; ``spec`` is
    what it was declared as, None where its record cannot be read. ``events`` are those of its
    namespace, or none where nobody asked for them.
    """

    primary: Object
    spec: ResourceSpec | None
    fields: FieldNames
    objects: Sequence[Object]
    pods: Sequence[Object] = ()
    replica_sets: Sequence[Object] = ()
    events: Sequence[Object] = ()

    @property
    def outcome(self) -> Outcome:
        """How ready it is, and what its pods lack."""
        if self.primary["kind"] != DEPLOYMENT.kind:
            return Ready()
        return readiness(
            self.primary,
            self.pods,
            until="available",
            fields=self.fields,
            current_hash=current_hash(self.primary, self.replica_sets),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody may be shown: a secret environment, the password of a proxy's Redis."""
        metadata = self.primary["metadata"]
        name = (metadata.get("labels") or {}).get(labels.NAME, metadata["name"])
        secrets = {
            obj["metadata"]["name"]: obj for obj in self.objects if ref_of(obj).kind == SECRET
        }
        environment = (secrets.get(labels.env_secret_name(name)) or {}).get("data") or {}
        password = redis_password_in(secrets.get(labels.redis_name(name)))
        values = [_decoded(text) for k, text in environment.items() if k != labels.HASH_KEY_DATA]
        return tuple(value for value in (*values, password) if value)

    def service(self, *, cluster_uid: str) -> Service:
        """Return what is told of it in one line."""
        return service_of(
            self.primary,
            outcome=self.outcome,
            cluster_uid=cluster_uid,
            spec=recorded_spec(self.primary),
        )


def report_of(seen: Seen, service: Service, *, diagnosis: Sequence[Reason]) -> Report:
    """Return the report of what was ``seen``, its reasons looked into."""
    hosted = seen.primary["kind"] == DEPLOYMENT.kind
    return Report(
        service=service,
        base_url=_base_url(seen.spec) if seen.spec else "",
        proxy=(
            proxy_report_of(seen.spec, seen.objects)
            if isinstance(seen.spec, ModelProxySpec)
            else None
        ),
        rollout=Rollout.of(seen.primary) if hosted else None,
        diagnosis=tuple(diagnosis),
        pods=tuple(_pods(seen)),
        events=_events(seen),
    )


def _base_url(spec: ResourceSpec) -> str:
    return str(type_of(spec.kind).planned_of(spec)["base_url"])


def _pods(seen: Seen) -> Iterable[PodReport]:
    present = current_hash(seen.primary, seen.replica_sets) if seen.pods else ""
    for pod in sorted(seen.pods, key=_age_and_name):
        found = finding(pod, fields=seen.fields)
        metadata, status = pod["metadata"], pod.get("status") or {}
        is_going = bool(metadata.get("deletionTimestamp"))
        yield PodReport(
            name=metadata["name"],
            node=str((pod.get("spec") or {}).get("nodeName", "")),
            phase="Terminating" if is_going else str(status.get("phase", "")),
            is_ready=is_ready(pod),
            is_former=bool(present) and hash_of(pod) != present,
            restarts=sum(each.restarts for each in containers(pod)),
            created_at=str(metadata.get("creationTimestamp", "")),
            lacks=str(found.reason.code) if found else "",
            why=found.reason.text if found else "",
        )


def _age_and_name(pod: Object) -> tuple[str, str]:
    return str(pod["metadata"].get("creationTimestamp", "")), pod["metadata"]["name"]


def _events(seen: Seen) -> tuple[Event, ...]:
    """Return what happened to its objects, and to its pods, those that are gone included."""
    own = [*seen.objects, *seen.replica_sets, *seen.pods]
    mine = {(obj["kind"], obj["metadata"]["name"]) for obj in own}
    makers = {obj["metadata"]["name"] for obj in seen.replica_sets}

    def is_mine(kind: str, name: str) -> bool:
        return (kind, name) in mine or (kind == "Pod" and name.rpartition("-")[0] in makers)

    since = str(seen.primary["metadata"].get("creationTimestamp", ""))
    return events_about(seen.events, is_about=is_mine, since=since, secrets=seen.secrets)


def _decoded(text: Any) -> str:
    try:
        return base64.b64decode(str(text)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
