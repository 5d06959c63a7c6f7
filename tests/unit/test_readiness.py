"""Readiness as a table: a Deployment's status and its pods in, an outcome and its sentences out.

Dimensions: what is waited for, how far the rollout is, and for pods that are not ready, everything
a scheduler, a kubelet or a ReplicaSet controller writes down about why. The shapes are those that
Kubernetes 1.36 writes; the lifecycle tests meet them live.
"""

from __future__ import annotations

from typing import Any

import pytest

from modelfleet.cluster.objects import Object
from modelfleet.cluster.readiness import (
    Code,
    Failed,
    FieldNames,
    Outcome,
    Ready,
    Reason,
    Until,
    Waiting,
    readiness,
)

OLD, NEW = "5d8f9c7b4f", "7c6b5d4e3f"


def deployment(
    *,
    replicas: int = 1,
    updated: int | None = None,
    total: int | None = None,
    available: int = 0,
    generation: int = 1,
    observed: int | None = None,
    strategy: dict[str, Any] | None = None,
    conditions: tuple[dict[str, str], ...] = (),
    **spec: Any,
) -> Object:
    updated = replicas if updated is None else updated
    status = {
        "observedGeneration": generation if observed is None else observed,
        "replicas": updated if total is None else total,
        "updatedReplicas": updated,
        "availableReplicas": available,
        "conditions": list(conditions),
    }
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen", "namespace": "models", "generation": generation},
        "spec": {"replicas": replicas, "strategy": strategy or rolling, **spec},
        # The controller leaves out what is zero.
        "status": {key: value for key, value in status.items() if value},
    }


def pod(
    name: str = "qwen-7c6b5d4e3f-abcde",
    *,
    version: str = NEW,
    ready: bool = False,
    unschedulable: str = "",
    node: str | None = "gpu-1",
    containers: tuple[dict[str, Any], ...] = (),
    init: tuple[dict[str, Any], ...] = (),
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> Object:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    if unschedulable:
        refused = {"status": "False", "reason": "Unschedulable", "message": unschedulable}
        conditions.append({"type": "PodScheduled", **refused})
        node = None
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "models",
            "labels": {"pod-template-hash": version},
        },
        "spec": {"nodeName": node, "containers": [ENGINE], **(spec or {})},
        "status": {
            "phase": "Pending",
            "conditions": conditions,
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
            **status,
        },
    }


ENGINE: dict[str, Any] = {
    "name": "engine",
    "image": "vllm/vllm-openai:v9.9.9",
    "resources": {
        "requests": {"cpu": "8", "nvidia.com/gpu": "4"},
        "limits": {"memory": "64Gi", "nvidia.com/gpu": "4"},
    },
    "startupProbe": {"periodSeconds": 10, "failureThreshold": 60},
}


def container(
    *,
    waiting: tuple[str, str] | None = None,
    ended: dict[str, Any] | None = None,
    ended_before: dict[str, Any] | None = None,
    restarts: int = 0,
    started: bool = False,
    name: str = "engine",
) -> dict[str, Any]:
    state: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    if waiting is not None:
        state = {"waiting": {"reason": waiting[0], "message": waiting[1]}}
    if ended is not None:
        state = {"terminated": ended}
    return {
        "name": name,
        "state": state,
        "lastState": {"terminated": ended_before} if ended_before else {},
        "ready": False,
        "started": started,
        "restartCount": restarts,
    }


def crashed(code: int = 1, reason: str = "Error", *, lived_seconds: int = 2) -> dict[str, Any]:
    minutes, seconds = divmod(lived_seconds, 60)
    return {
        "exitCode": code,
        "reason": reason,
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": f"2026-01-01T00:{minutes:02}:{seconds:02}Z",
    }


def judged(
    live: Object | None,
    *pods: Object,
    until: Until = "available",
    current_hash: str | None = None,
    fields: FieldNames | None = None,
) -> Outcome:
    return readiness(live, pods, until=until, current_hash=current_hash, fields=fields)


def only_reason(outcome: Outcome) -> Reason:
    assert len(outcome.reasons) == 1, outcome
    return outcome.reasons[0]


# -- the Deployment's own status


@pytest.mark.parametrize(
    ("why", "live", "until", "expected"),
    [
        ("everything serves", deployment(replicas=2, available=2), "all", Ready),
        ("accepted asks for nothing more", deployment(observed=0), "accepted", Ready),
        ("one of two is not all", deployment(replicas=2, available=1), "all", Waiting),
        ("and none may be unavailable", deployment(replicas=2, available=1), "available", Waiting),
        (
            "a status of an older generation is not trusted",
            deployment(available=1, generation=2, observed=1),
            "available",
            Waiting,
        ),
        ("a status never written is not trusted", deployment(observed=0), "available", Waiting),
        (
            "old pods that serve do not make it ready",
            deployment(replicas=2, updated=1, total=3, available=2, generation=2),
            "available",
            Waiting,
        ),
        (
            "an old pod left over is not ready yet",
            deployment(replicas=2, updated=2, total=3, available=3, generation=2),
            "available",
            Waiting,
        ),
        ("stopped when none are left", deployment(replicas=0), "available", Ready),
        ("stopping while some are left", deployment(replicas=0, total=2), "available", Waiting),
        (
            "stopping while the last one drains",
            deployment(replicas=0)
            | {"status": {"observedGeneration": 1, "terminatingReplicas": 1}},
            "available",
            Waiting,
        ),
    ],
)
def test_ready_follows_from_the_observed_status(
    why: str, live: Object, until: Until, expected: type[Outcome]
) -> None:
    assert isinstance(judged(live, until=until), expected), why


@pytest.mark.parametrize(
    ("strategy", "replicas", "enough"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}, 4, 3),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}},
            4,
            2,
        ),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "100%"}},
            3,
            1,
        ),
        # Rounded down to nothing, and no surge: the controller takes one.
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "1%"}}, 4, 3),
        ({"type": "RollingUpdate"}, 8, 6),
        ({"type": "Recreate"}, 4, 4),
    ],
)
def test_available_tolerates_what_the_strategy_lets_be_unavailable_but_needs_one(
    strategy: dict[str, Any], replicas: int, enough: int
) -> None:
    just = deployment(replicas=replicas, available=enough, strategy=strategy)
    one_less = deployment(replicas=replicas, available=enough - 1, strategy=strategy)
    assert isinstance(judged(just), Ready)
    assert isinstance(judged(one_less), Waiting)


def test_a_service_that_is_ready_still_tells_of_the_pods_that_are_not() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    live = deployment(replicas=2, available=1, strategy=strategy)
    outcome = judged(live, pod("qwen-a", ready=True), pod("qwen-b", unschedulable=SHORT_OF_GPUS))
    assert isinstance(outcome, Ready)
    assert only_reason(outcome).code == Code.UNSCHEDULABLE


def test_a_pod_that_was_evicted_long_ago_does_not_spoil_a_service_that_is_ready() -> None:
    evicted = pod("qwen-old", phase="Failed", reason="Evicted")
    assert judged(deployment(available=1), evicted, pod(ready=True)) == Ready()
    assert judged(deployment(replicas=0), evicted) == Ready()


def test_a_deployment_that_is_gone_or_going_has_failed() -> None:
    going = deployment(available=1)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    for live, words in ((None, "does not exist any more"), (going, "is being deleted")):
        outcome = judged(live, pod(ready=True))
        assert isinstance(outcome, Failed)
        assert words in only_reason(outcome).sentence


def test_waiting_without_any_complaint_says_how_far_the_rollout_is() -> None:
    live = deployment(replicas=4, updated=2, total=5, available=3, generation=2)
    assert only_reason(judged(live)).sentence == (
        "3 of 4 pods available, 2 of the new version, 3 of the former version still to stop."
    )


def test_a_paused_rollout_says_that_somebody_paused_it() -> None:
    outcome = judged(deployment(paused=True))
    assert isinstance(outcome, Waiting)
    assert "paused" in only_reason(outcome).sentence


# -- pods that cannot be scheduled

SHORT_OF_GPUS = (
    "0/18 nodes are available: 12 Insufficient nvidia.com/gpu, 6 node(s) didn't match Pod's node "
    "affinity/selector. no new claims to deallocate, preemption: 0/18 nodes are available: 12 No "
    "preemption victims found for incoming pod, 6 Preemption is not helpful for scheduling."
)
SELECTS_H100 = {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}}


@pytest.mark.parametrize(
    ("message", "spec", "field", "words"),
    [
        (
            SHORT_OF_GPUS,
            SELECTS_H100,
            "deployment.gpu.count",
            "none of 18 nodes fits: 12 short of nvidia.com/gpu (4 asked per pod), 6 without "
            "nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3. Lower deployment.gpu.count, or add or "
            "free nodes with nvidia.com/gpu. Compare deployment.gpu.product with the labels",
        ),
        (
            "0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.",
            SELECTS_H100,
            "deployment.gpu.product",
            "4 without nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3. Compare "
            "deployment.gpu.product with the labels of the nodes",
        ),
        (
            "0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.",
            {"nodeSelector": {"topology.kubernetes.io/zone": "a"}},
            "deployment.node_selector",
            "4 without topology.kubernetes.io/zone=a",
        ),
        (
            "0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.",
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {
                                    "matchExpressions": [
                                        {
                                            "key": "nvidia.com/gpu.memory",
                                            "operator": "Gt",
                                            "values": ["81000"],
                                        }
                                    ]
                                }
                            ]
                        }
                    }
                }
            },
            "deployment.gpu.min_memory_gib",
            "4 without nvidia.com/gpu.memory Gt (81000)",
        ),
        (
            "0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
            {},
            "deployment.cpu",
            "1 short of cpu (8 asked per pod), 1 short of memory",
        ),
        (
            "0/1 nodes are available: 1 Insufficient memory.",
            {},
            "deployment.memory_gib",
            "none of 1 node fits",
        ),
        (
            "0/9 nodes are available: 3 node(s) had untolerated taint(s), 6 node(s) were "
            "unschedulable.",
            {},
            "deployment.tolerations",
            "3 with taints that are not tolerated, 6 cordoned",
        ),
        (
            "0/9 nodes are available: 9 node(s) had untolerated taint {nvidia.com/gpu: present}.",
            {},
            "deployment.tolerations",
            "Add a toleration of nvidia.com/gpu=present to deployment.tolerations",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint "
            "{node.kubernetes.io/not-ready: }.",
            {},
            "",
            "1 not-ready. Wait for the nodes, or mend them.",
        ),
        (
            '0/3 nodes are available: persistentvolumeclaim "weights" not found. not found',
            {},
            "deployment.storage",
            "Create PersistentVolumeClaim weights (kubernetes.core.v1.PersistentVolumeClaim in a ",
        ),
        (
            "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption:"
            " 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
            {},
            "deployment.storage",
            "3 waiting for a volume to be bound",
        ),
        ("no nodes available to schedule pods", {}, "", "the cluster has no nodes"),
        (
            "0/2 nodes are available: 2 node(s) had a novel objection.",
            {},
            "",
            "2 saying 'node(s) had a novel objection'",
        ),
        ("running Bind plugin failed", {}, "", "cannot be scheduled: running Bind plugin failed"),
    ],
)
def test_an_unschedulable_pod_waits_and_says_which_declared_field_and_what_to_change(
    message: str, spec: dict[str, Any], field: str, words: str
) -> None:
    outcome = judged(deployment(), pod(unschedulable=message, spec=spec))
    assert isinstance(outcome, Waiting)
    reason = only_reason(outcome)
    assert reason.code == Code.UNSCHEDULABLE
    assert reason.field == field
    assert words in reason.sentence
    assert reason.sentence.startswith("Pod qwen-7c6b5d4e3f-abcde: cannot be scheduled")


def test_a_new_pod_short_of_gpus_is_told_that_the_old_pods_hold_them() -> None:
    live = deployment(replicas=2, updated=1, total=3, available=2, generation=2)
    outcome = judged(live, pod(unschedulable=SHORT_OF_GPUS), current_hash=NEW)
    assert "Pods of the former version (2) still hold theirs" in only_reason(outcome).sentence
    assert "deployment.strategy" in only_reason(outcome).hint


def test_a_pod_held_by_a_queue_says_so() -> None:
    held = pod(unschedulable="Scheduling is blocked due to non-empty scheduling gates")
    held["status"]["conditions"][1]["reason"] = "SchedulingGated"
    reason = only_reason(judged(deployment(), held))
    assert (reason.code, reason.field) == (Code.GATED, "deployment.queue")


# -- containers

NOT_FOUND = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/vllm/'
    'vllm-openai:v9.9.9": failed to resolve reference: docker.io/vllm/vllm-openai:v9.9.9: not found'
)

RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable to start container process"
)


@pytest.mark.parametrize(
    ("why", "status", "expected", "code", "field", "words"),
    [
        (
            "an image that does not exist",
            container(waiting=("ErrImagePull", NOT_FOUND)),
            Failed,
            Code.IMAGE_PULL,
            "deployment.images",
            "Correct deployment.images or deployment.runtime_version",
        ),
        (
            "the same, between two tries",
            container(
                waiting=(
                    "ImagePullBackOff",
                    f'Back-off pulling image "vllm/vllm-openai:v9.9.9": ErrImagePull: {NOT_FOUND}',
                )
            ),
            Failed,
            Code.IMAGE_PULL,
            "deployment.images",
            "cannot pull image vllm/vllm-openai:v9.9.9",
        ),
        (
            "an older kubelet does not say why",
            container(waiting=("ImagePullBackOff", 'Back-off pulling image "vllm/x:1"')),
            Waiting,
            Code.IMAGE_PULL,
            "deployment.images",
            "The node tries again.",
        ),
        (
            "a registry that wants credentials",
            container(
                waiting=("ErrImagePull", "pull access denied, repository does not exist or may …")
            ),
            Failed,
            Code.IMAGE_PULL,
            "deployment.images",
            "image pull secret",
        ),
        (
            "a registry that limits us, although it mentions authentication",
            container(
                waiting=(
                    "ErrImagePull",
                    "toomanyrequests: You have reached your unauthenticated pull rate limit.",
                )
            ),
            Waiting,
            Code.IMAGE_PULL,
            "deployment.images",
            "the node tries again",
        ),
        (
            "a registry that does not answer",
            container(waiting=("ErrImagePull", "dial tcp 192.0.2.1:443: i/o timeout")),
            Waiting,
            Code.IMAGE_PULL,
            "deployment.images",
            "The registry is slow, limited or down",
        ),
        (
            "no such name of an image can be",
            container(
                waiting=("InvalidImageName", 'Failed to apply default image tag "a:b:c": invalid')
            ),
            Failed,
            Code.IMAGE_PULL,
            "deployment.images",
            "Correct deployment.images",
        ),
        (
            "a Secret that is not there",
            container(waiting=("CreateContainerConfigError", 'secret "hf-token" not found')),
            Failed,
            Code.CONFIG_MISSING,
            "deployment.model.credential_name",
            "Create Secret hf-token in the same namespace (kubernetes.core.v1.Secret in a Pulumi "
            "program), or change deployment.model.credential_name.",
        ),
        (
            "a Secret without the key",
            container(
                waiting=(
                    "CreateContainerConfigError",
                    "couldn't find key api_key in Secret models/other",
                )
            ),
            Failed,
            Code.CONFIG_MISSING,
            "deployment.env",
            "Create key api_key in Secret other in the same namespace",
        ),
        (
            "a ConfigMap that is not there",
            container(waiting=("CreateContainerConfigError", 'configmap "settings" not found')),
            Failed,
            Code.CONFIG_MISSING,
            "deployment.env",
            "Create ConfigMap settings",
        ),
        (
            "a first crash may have been bad luck",
            container(waiting=("CrashLoopBackOff", "back-off"), ended_before=crashed(), restarts=1),
            Waiting,
            Code.CRASH_LOOP,
            "deployment.args",
            "container engine exits with code 1, 1 restart.",
        ),
        (
            "the third is a habit",
            container(waiting=("CrashLoopBackOff", "back-off"), ended_before=crashed(), restarts=3),
            Failed,
            Code.CRASH_LOOP,
            "deployment.args",
            "exits with code 1, 3 restarts",
        ),
        (
            "just crashed, not yet backing off",
            container(ended=crashed(2), restarts=3),
            Failed,
            Code.CRASH_LOOP,
            "deployment.args",
            "exits with code 2",
        ),
        (
            "it may have got over it while it runs",
            container(ended_before=crashed(), restarts=7, started=True),
            Waiting,
            Code.CRASH_LOOP,
            "deployment.args",
            "runs again now",
        ),
        (
            "a shell that does not find the program",
            container(waiting=("CrashLoopBackOff", ""), ended_before=crashed(127), restarts=1),
            Waiting,
            Code.CRASH_LOOP,
            "deployment.command",
            "exit code 127",
        ),
        (
            "a program that is not in the image will not appear",
            container(
                waiting=(
                    "RunContainerError",
                    'failed to create containerd task: exec: "vllmm": executable file not found in '
                    "$PATH",
                )
            ),
            Failed,
            Code.CRASH_LOOP,
            "deployment.command",
            "the image must have that program",
        ),
        (
            "the same once it backs off",
            container(
                waiting=("CrashLoopBackOff", "back-off"),
                ended_before={
                    "exitCode": 128,
                    "reason": "StartError",
                    "message": 'exec: "vllmm": executable file not found in $PATH',
                },
                restarts=1,
            ),
            Failed,
            Code.CRASH_LOOP,
            "deployment.command",
            "vllmm",
        ),
        (
            "out of memory once",
            container(ended=crashed(137, "OOMKilled")),
            Waiting,
            Code.OOM_KILLED,
            "deployment.memory_gib",
            "Raise deployment.memory_gib above the present limit of 64Gi.",
        ),
        (
            "out of memory again",
            container(ended=crashed(137, "OOMKilled"), restarts=1),
            Failed,
            Code.OOM_KILLED,
            "deployment.memory_gib",
            "was killed, out of memory, 1 restart",
        ),
        (
            "out of memory twice, running for the third time",
            container(ended_before=crashed(137, "OOMKilled"), restarts=2, started=True),
            Failed,
            Code.OOM_KILLED,
            "deployment.memory_gib",
            "2 restarts",
        ),
        (
            "stopped by the startup probe",
            container(
                waiting=("CrashLoopBackOff", "back-off"),
                ended_before=crashed(137, lived_seconds=630),
                restarts=3,
            ),
            Failed,
            Code.PROBE_FAILING,
            "deployment.startup_seconds",
            "not started within 600 s, 3 restarts. Raise deployment.startup_seconds (now 600 s)",
        ),
        (
            "stopped by the startup probe, in good order",
            container(ended=crashed(0, "Completed", lived_seconds=595), restarts=3),
            Failed,
            Code.PROBE_FAILING,
            "deployment.startup_seconds",
            "not started within 600 s, 3 restarts",
        ),
        (
            "a volume that cannot be mounted is no matter of the program",
            container(
                waiting=(
                    "RunContainerError",
                    f"{RUNC}: error during container init: error mounting "
                    '"/var/lib/kubelet/pods/e12e/volumes/x" to rootfs at "/models/weights": mount '
                    "/var/lib/kubelet/pods/e12e/volumes/x:/models/weights: no such file or "
                    "directory: unknown",
                )
            ),
            Waiting,
            Code.CRASH_LOOP,
            "deployment.model.uri",
            "the volume at /models/weights cannot be mounted, no such file or directory. Look at",
        ),
        (
            "no memory even to begin",
            container(
                waiting=(
                    "RunContainerError",
                    f"{RUNC}: container init was OOM-killed (memory limit too low?): unknown",
                )
            ),
            Waiting,
            Code.OOM_KILLED,
            "deployment.memory_gib",
            "Raise deployment.memory_gib above the present limit of 64Gi.",
        ),
        (
            "a registry whose name nobody knows",
            container(waiting=("ErrImagePull", "dial tcp: lookup regstry.io: no such host")),
            Waiting,
            Code.IMAGE_PULL,
            "deployment.images",
            "Check the registry's name in deployment.images",
        ),
        (
            "killed early on is no matter of the startup probe",
            container(ended=crashed(137, lived_seconds=20), restarts=1),
            Waiting,
            Code.CRASH_LOOP,
            "deployment.args",
            "exits with code 137",
        ),
        (
            "within its startup budget",
            container(),
            Waiting,
            Code.STARTING,
            "deployment.startup_seconds",
            "still starting, it may take 600 s",
        ),
        (
            "started, but not healthy",
            container(started=True),
            Waiting,
            Code.PROBE_FAILING,
            "deployment.runtime",
            "its readiness probe does not pass",
        ),
        (
            "nothing wrong, not there yet",
            container(waiting=("ContainerCreating", "")),
            Waiting,
            Code.STARTING,
            "",
            "starting its container engine",
        ),
    ],
)
def test_a_container_that_is_not_ready_says_why_and_which_field(
    why: str, status: dict[str, Any], expected: type[Outcome], code: Code, field: str, words: str
) -> None:
    fields = FieldNames(of_secret={"hf-token": "deployment.model.credential_name"})
    outcome = judged(deployment(), pod(containers=(status,)), fields=fields)
    reason = only_reason(outcome)
    assert isinstance(outcome, expected), (why, outcome)
    assert (reason.code, reason.field) == (code, field), why
    assert words in reason.sentence, why
    assert reason.container == "engine"
    assert reason.pod == "qwen-7c6b5d4e3f-abcde"


def test_init_containers_and_sidecars_are_told_by_name() -> None:
    download = {"name": "download", "image": "fetch:1"}
    sidecar = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
    spec = {"initContainers": [download, sidecar]}
    waiting = container(waiting=("PodInitializing", ""))

    loading = pod(spec=spec, init=(container(name="download"),), containers=(waiting,))
    assert "running its init container download" in only_reason(judged(deployment(), loading)).text

    failing = container(name="download", ended=crashed(), restarts=3)
    outcome = judged(deployment(), pod(spec=spec, init=(failing,), containers=(waiting,)))
    assert isinstance(outcome, Failed)
    assert only_reason(outcome).field == "deployment.model.uri"

    done = container(name="download", ended={"exitCode": 0, "reason": "Completed"})
    crashing = container(
        name="proxy", waiting=("CrashLoopBackOff", ""), ended_before=crashed(), restarts=4
    )
    outcome = judged(deployment(), pod(spec=spec, init=(done, crashing), containers=(waiting,)))
    assert isinstance(outcome, Failed)
    assert "sidecar proxy exits with code 1" in only_reason(outcome).text

    serving = container(name="proxy", started=True)
    outcome = judged(deployment(), pod(spec=spec, init=(done, serving), containers=(container(),)))
    assert only_reason(outcome).container == "engine"


def test_a_fatal_container_is_told_before_one_that_only_waits() -> None:
    side = container(name="logs", waiting=("ErrImagePull", NOT_FOUND))
    outcome = judged(deployment(), pod(containers=(container(), side)))
    assert isinstance(outcome, Failed)
    assert only_reason(outcome).container == "logs"


def test_a_pod_refused_by_its_node_waits_for_the_one_that_takes_its_place() -> None:
    refused = pod(phase="Failed", reason="UnexpectedAdmissionError", message="no devices left")
    outcome = judged(deployment(), refused)
    assert isinstance(outcome, Waiting)
    assert "ended: UnexpectedAdmissionError (no devices left)" in only_reason(outcome).text


def test_many_pods_with_the_same_cause_are_one_sentence() -> None:
    pods = [pod(f"qwen-{index}", unschedulable=SHORT_OF_GPUS) for index in range(3)]
    outcome = judged(deployment(replicas=4, available=1), *pods, pod("qwen-3", ready=True))
    assert only_reason(outcome).sentence.startswith("3 of 4 pods: cannot be scheduled, none of 18")
    assert only_reason(outcome).pod == "qwen-0"


def test_fatal_reasons_come_first() -> None:
    outcome = judged(
        deployment(replicas=2),
        pod("qwen-a", unschedulable=SHORT_OF_GPUS),
        pod("qwen-b", containers=(container(waiting=("ErrImagePull", NOT_FOUND)),)),
    )
    assert isinstance(outcome, Failed)
    assert [reason.code for reason in outcome.reasons] == [Code.IMAGE_PULL, Code.UNSCHEDULABLE]


def test_pods_that_are_merely_on_their_way_are_no_part_of_a_failure() -> None:
    lost = pod("qwen-a", containers=(container(waiting=("ErrImagePull", NOT_FOUND)),))
    starting = pod("qwen-b", containers=(container(),))
    outcome = judged(deployment(replicas=2), lost, starting)
    assert [reason.code for reason in outcome.reasons] == [Code.IMAGE_PULL]


def test_one_pod_beyond_help_fails_the_service_only_if_it_is_needed() -> None:
    lost = pod("qwen-lost", containers=(container(waiting=("ErrImagePull", NOT_FOUND)),))
    starting = [pod(f"qwen-{index}", containers=(container(),)) for index in range(3)]
    tolerant = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    spared = deployment(replicas=4, strategy=tolerant)
    assert isinstance(judged(spared, lost, *starting), Waiting)
    assert isinstance(judged(spared, lost, *starting, until="all"), Failed)
    assert isinstance(judged(deployment(replicas=4), lost, *starting), Failed)
    # In the middle of a rollout the controller goes no further with a pod down.
    halfway = deployment(replicas=4, updated=1, total=4, generation=2, strategy=tolerant)
    assert isinstance(judged(halfway, lost, current_hash=NEW), Failed)


def test_pods_of_an_older_version_explain_nothing() -> None:
    crashing = container(
        waiting=("CrashLoopBackOff", ""), ended_before=crashed(), restarts=9, started=True
    )
    old = pod("qwen-old", version=OLD, containers=(crashing,))
    new = pod("qwen-new", containers=(container(),))
    live = deployment(updated=1, total=2, generation=2)
    assert only_reason(judged(live, old, new, current_hash=NEW)).pod == "qwen-new"
    # Which version is the present one is not known yet: none of them is it.
    assert only_reason(judged(live, old, new, current_hash="")).code == Code.ROLLING_OUT


def test_a_pod_that_is_going_explains_nothing() -> None:
    going = pod(containers=(container(waiting=("ErrImagePull", NOT_FOUND)),))
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert only_reason(judged(deployment(), going)).code == Code.ROLLING_OUT


# -- pods that are not even created


def not_created(message: str) -> dict[str, str]:
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": message,
    }


@pytest.mark.parametrize(
    ("message", "expected", "code", "field", "words"),
    [
        (
            f'pods "qwen-{NEW}-x2x2x" is forbidden: exceeded quota: gpus, requested: '
            "requests.nvidia.com/gpu=4, used: requests.nvidia.com/gpu=8, limited: "
            "requests.nvidia.com/gpu=8",
            Waiting,
            Code.QUOTA,
            "deployment.gpu.count",
            "Lower deployment.gpu.count or deployment.replicas, or raise requests.nvidia.com/gpu "
            "of ResourceQuota gpus (kubernetes.core.v1.ResourceQuota in a Pulumi program).",
        ),
        (
            f'pods "qwen-{NEW}-x2x2x" is forbidden: exceeded quota: all, requested: pods=1, used: '
            "pods=8, limited: pods=8",
            Waiting,
            Code.QUOTA,
            "deployment.replicas",
            "No pod can be created: ResourceQuota all is short of 1 pods (requested: pods=1, used: "
            "pods=8, limited: pods=8)",
        ),
        (
            f'pods "qwen-{NEW}-x2x2x" is forbidden: failed quota: all: must specify limits.cpu for:'
            " engine",
            Failed,
            Code.ADMISSION_DENIED,
            "deployment.pod_overrides",
            "ResourceQuota all counts limits.cpu, which the pods do not specify",
        ),
        (
            'admission webhook "images.example.com" denied the request: only images of '
            "registry.example.com, service account or not",
            Failed,
            Code.ADMISSION_DENIED,
            "",
            'refuses its pods: admission webhook "images.example.com" denied the request: only',
        ),
        (
            f'pods "qwen-{NEW}-x2x2x" is forbidden: violates PodSecurity "restricted:latest": '
            "runAsNonRoot != true",
            Failed,
            Code.ADMISSION_DENIED,
            "",
            "runAsNonRoot != true",
        ),
        (
            f'pods "qwen-{NEW}-x2x2x" is forbidden: error looking up service account models/loader:'
            ' serviceaccount "loader" not found',
            Failed,
            Code.ADMISSION_DENIED,
            "deployment.service_account",
            "Create ServiceAccount loader (kubernetes.core.v1.ServiceAccount in a Pulumi program), "
            "or change deployment.service_account.",
        ),
        (
            f'pods "qwen-{NEW}-x2x2x" is forbidden: no PriorityClass with name urgent was found',
            Failed,
            Code.ADMISSION_DENIED,
            "deployment.priority_class",
            "Create PriorityClass urgent (kubernetes.scheduling.v1.PriorityClass in a Pulumi ",
        ),
        (
            'Internal error occurred: failed calling webhook "images.example.com": connection '
            "refused",
            Waiting,
            Code.CREATE_FAILED,
            "",
            "cannot be created at present",
        ),
        ("something new", Waiting, Code.CREATE_FAILED, "", "Pods cannot be created: something new"),
    ],
)
def test_a_pod_that_is_not_created_says_who_does_not_let_it(
    message: str, expected: type[Outcome], code: Code, field: str, words: str
) -> None:
    live = deployment(updated=0, conditions=(not_created(message),))
    outcome = judged(live)
    assert isinstance(outcome, expected)
    assert (only_reason(outcome).code, only_reason(outcome).field) == (code, field)
    assert words in only_reason(outcome).sentence


def test_a_refusal_of_an_older_version_is_not_told_of_the_present_one() -> None:
    denied = not_created(f'pods "qwen-{OLD}-x2x2x" is forbidden: violates PodSecurity "restricted"')
    live = deployment(updated=0, generation=2, conditions=(denied,))
    assert isinstance(judged(live, current_hash=NEW), Waiting)
    assert isinstance(judged(live, current_hash=OLD), Failed)


def test_old_pods_that_fill_the_quota_are_named() -> None:
    exceeded = not_created(
        f'pods "qwen-{NEW}-x" is forbidden: exceeded quota: gpus, requested: '
        "requests.nvidia.com/gpu=4, used: requests.nvidia.com/gpu=4, limited: "
        "requests.nvidia.com/gpu=4"
    )
    live = deployment(updated=0, total=1, generation=2, conditions=(exceeded,))
    hint = only_reason(judged(live, current_hash=NEW)).hint
    assert "Pods of the former version (1) still count; deployment.strategy" in hint


# -- the controller's own deadline

GAVE_UP = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": f'ReplicaSet "qwen-{NEW}" has timed out progressing.',
}


def test_a_passed_progress_deadline_fails_with_whatever_else_is_known() -> None:
    live = deployment(conditions=(GAVE_UP,))
    assert [reason.code for reason in judged(live).reasons] == [Code.PROGRESS_DEADLINE]
    unhealthy = pod(containers=(container(started=True),))
    outcome = judged(live, unhealthy)
    assert isinstance(outcome, Failed)
    assert [each.code for each in outcome.reasons] == [Code.PROBE_FAILING, Code.PROGRESS_DEADLINE]


@pytest.mark.parametrize(
    "patient", [pod(unschedulable=SHORT_OF_GPUS), pod(containers=(container(),))]
)
def test_a_passed_progress_deadline_says_nothing_about_pods_that_may_yet_start(
    patient: Object,
) -> None:
    assert isinstance(judged(deployment(conditions=(GAVE_UP,)), patient), Waiting)


def test_a_deadline_passed_by_an_older_version_is_not_held_against_the_present_one() -> None:
    live = deployment(updated=0, total=1, generation=2, conditions=(GAVE_UP,))
    assert isinstance(judged(live, current_hash=OLD), Waiting)
