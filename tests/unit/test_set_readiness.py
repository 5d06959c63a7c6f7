"""Whether the one pod of a StatefulSet is ready: by what its controller and its kubelet say."""

from __future__ import annotations

from typing import Any

import pytest

from modelfleet.cluster.reasons import Code, Failed, FieldNames, Ready, Waiting
from modelfleet.cluster.set_readiness import REVISION_LABEL, set_readiness

FIELDS = FieldNames(image="redis.image", storage="redis.storage_class")
OLD, NEW = "gate-redis-1", "gate-redis-2"


def stateful_set(**status: Any) -> dict[str, Any]:
    whole = {"observedGeneration": 2, "currentRevision": OLD, "updateRevision": NEW, **status}
    return {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": whole}


def pod(revision: str, *, reason: str = "", message: str = "", restarts: int = 0) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}} if reason else {"running": {}}
    container = {"name": "redis", "state": state, "ready": not reason, "restartCount": restarts}
    ready = {"type": "Ready", "status": "False" if reason else "True"}
    return {
        "metadata": {"name": "gate-redis-0", "labels": {REVISION_LABEL: revision}},
        "spec": {"containers": [{"name": "redis", "image": "redis:0"}]},
        "status": {"conditions": [ready], "containerStatuses": [container]},
    }


@pytest.mark.parametrize(
    "status",
    [
        {"readyReplicas": 1, "updatedReplicas": 1},
        {"readyReplicas": 1, "currentReplicas": 1, "currentRevision": NEW},
    ],
    ids=["after an update", "as it was created"],
)
def test_it_is_ready_when_its_pod_is_of_the_present_version_and_serves(status: Any) -> None:
    assert set_readiness(stateful_set(**status), [pod(NEW)], fields=FIELDS) == Ready()


def test_a_pod_of_the_former_version_does_not_make_it_ready() -> None:
    status = {"readyReplicas": 1, "currentReplicas": 1, "updatedReplicas": 0}
    outcome = set_readiness(stateful_set(**status), [pod(OLD)], fields=FIELDS)
    assert isinstance(outcome, Waiting)
    assert outcome.reasons[0].code is Code.ROLLING_OUT


def test_what_the_controller_has_not_seen_yet_is_not_judged() -> None:
    status = {"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 1}
    outcome = set_readiness(stateful_set(**status), [pod(NEW)], fields=FIELDS)
    assert isinstance(outcome, Waiting)
    assert outcome.reasons[0].code is Code.NOT_OBSERVED


def test_a_pod_that_will_not_get_over_it_fails_it_and_names_the_field() -> None:
    broken = pod(NEW, reason="ErrImagePull", message="manifest unknown: redis:0")
    outcome = set_readiness(stateful_set(), [broken], fields=FIELDS)
    assert isinstance(outcome, Failed)
    assert outcome.reasons[0].field == "redis.image"
    of_former = pod(OLD, reason="ErrImagePull", message="manifest unknown: redis:0")
    assert isinstance(set_readiness(stateful_set(), [of_former], fields=FIELDS), Waiting)


def test_one_that_is_gone_or_going_has_failed() -> None:
    going = stateful_set()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    for each in (None, going):
        outcome = set_readiness(each, [], fields=FIELDS)
        assert isinstance(outcome, Failed)
        assert outcome.reasons[0].code is Code.MISSING
