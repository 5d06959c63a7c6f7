"""The report of a service, from objects that were read. Nothing is asked of a cluster."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from modelfleet import labels
from modelfleet.cluster.objects import Object
from modelfleet.cluster.reasons import FieldNames
from modelfleet.report import PodReport, Report, Seen, report_of
from modelfleet.service import (
    CREATE_FAILED,
    CREATING,
    DEGRADED,
    DELETING,
    READY,
    STOPPED,
    UPDATE_FAILED,
    UPDATING,
    Service,
)
from modelfleet.spec.service import ModelServiceSpec

BORN = "2026-01-01T00:00:00Z"


def metadata(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "models", "creationTimestamp": BORN, **fields}


def pod(name: str, *, version: str = "new", ready: bool = True, **fields: Any) -> Object:
    status = {
        "name": "engine",
        "restartCount": 2,
        "ready": ready,
        "state": {} if ready else {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, labels={"pod-template-hash": version}, **fields),
        "spec": {"nodeName": "node-0", "containers": [{"name": "engine", "image": "engine:1"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [status],
        },
    }


def replica_set(version: str, image: str) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(f"qwen-{version}", labels={"pod-template-hash": version}),
        "spec": {"template": {"spec": {"containers": [{"name": "engine", "image": image}]}}},
    }


DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": metadata("qwen", generation=1),
    "spec": {"replicas": 2, "template": replica_set("new", "engine:2")["spec"]["template"]},
    "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1},
}

SECRET: Object = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": metadata("qwen-env"),
    "data": {
        "TOKEN": base64.b64encode(b"hush-hush").decode(),
        "BINARY": base64.b64encode(b"\xff\xfe").decode(),
        labels.HASH_KEY_DATA: base64.b64encode(b"0123456789").decode(),
    },
}


def seen(*pods: Object, events: tuple[Object, ...] = (), **fields: Any) -> Seen:
    spec = ModelServiceSpec.model_validate(
        {
            "model_service_name": "qwen",
            "namespace": "models",
            "deployment": {"model": {"uri": "hf://a/b"}, "gpu": {"count": 1}},
        }
    )
    both = [replica_set("old", "engine:1"), replica_set("new", "engine:2")]
    facts = {"objects": [SECRET, DEPLOYMENT], "replica_sets": both, "spec": spec, **fields}
    return Seen(primary=DEPLOYMENT, fields=FieldNames(), pods=pods, events=events, **facts)


def report(what: Seen) -> Report:
    return report_of(what, what.service(cluster_uid="u"), diagnosis=())


def event(kind: str, name: str, *, at: str = "2026-01-01T00:00:05Z") -> Object:
    return {
        "metadata": {"name": f"{name}.1"},
        "involvedObject": {"kind": kind, "name": name},
        "type": "Normal",
        "reason": f"Of-{name}",
        "message": "with hush-hush in it",
        "lastTimestamp": at,
    }


def test_each_pod_is_told_with_its_version_and_what_it_lacks() -> None:
    going = pod("qwen-old-z", version="old", deletionTimestamp="2026-01-01T00:00:09Z")
    former = pod("qwen-old-a", version="old")
    broken = pod("qwen-new-b", ready=False)
    assert report(seen(going, broken, former)).pods == (
        PodReport(
            name="qwen-new-b",
            node="node-0",
            phase="Running",
            is_ready=False,
            is_former=False,
            restarts=2,
            created_at=BORN,
            lacks="ImagePull",
            why="cannot pull image engine:1: not found",
        ),
        PodReport("qwen-old-a", "node-0", "Running", True, True, 2, BORN, lacks="", why=""),
        PodReport("qwen-old-z", "node-0", "Terminating", True, True, 2, BORN, lacks="", why=""),
    )


def test_how_far_the_rollout_is_is_told_in_words() -> None:
    rollout = report(seen()).rollout
    assert rollout is not None
    assert rollout.told == (
        "0 of 2 pods available, 1 of the new version, 1 of the former version still to stop"
    )


def test_events_of_its_objects_are_told_and_of_its_pods_that_are_gone() -> None:
    events = (
        event("Deployment", "qwen", at="2026-01-01T00:00:01Z"),
        event("Pod", "qwen-old-gone", at="2026-01-01T00:00:02Z"),
        event("ReplicaSet", "qwen-new", at="2026-01-01T00:00:03.5Z"),
        event("Pod", "qwen-2-new-abc"),  # of the service qwen-2
        event("Service", "somebody-else"),
        event("Pod", "qwen-old-older", at="2025-12-31T23:59:59Z"),  # of a namesake
    )
    told = report(seen(pod("qwen-new-b"), events=events)).events
    assert [each.reason for each in told] == ["Of-qwen", "Of-qwen-old-gone", "Of-qwen-new"]
    assert {each.message for each in told} == {"with *** in it"}


def test_its_secrets_are_known_so_that_nobody_is_shown_them() -> None:
    assert seen().secrets == ("hush-hush",)


def test_the_address_follows_from_the_declaration_and_is_left_out_where_that_is_spoilt() -> None:
    assert report(seen()).base_url == "http://qwen.models.svc/v1"
    assert report(seen(spec=None)).base_url == ""


@pytest.mark.parametrize(
    ("status", "is_so"),
    [
        (READY, True),
        (STOPPED, True),
        (DEGRADED, False),
        (CREATING, False),
        (UPDATING, False),
        (DELETING, False),
        (CREATE_FAILED, False),
        (UPDATE_FAILED, False),
    ],
)
def test_what_serves_or_is_stopped_is_as_declared_and_nothing_else(
    status: str, is_so: bool
) -> None:
    told = report_of(seen(), Service("models", "qwen", status), diagnosis=())
    assert told.serves_as_declared is is_so
