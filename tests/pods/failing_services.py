"""Services that cannot become ready on real nodes, each for one reason, and what has to be said.

``FAILING`` holds them by name: what is wrong with a declaration, the declared field that the error
must point to, its words, and the same declaration once it is corrected as these words say. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from small_services import REAL

from modelfleet.engines.llama_cpp import DEFAULT_VERSION

IMAGE: Final = f"ghcr.io/ggml-org/llama.cpp:server-{DEFAULT_VERSION}"
REGISTRY: Final = "127.0.0.1:5017"
"""Where, on ``REGISTRY_NODE`` alone, a registry answers that has no image at all."""

REGISTRY_NODE: Final = "pods-0"

LOCKED: Final = "locked"
"""A claim on a folder that only root may read."""

NO_FOLDER: Final = "no-folder"
"""A claim on a folder that no node has."""

WAITS_SECONDS: Final = 5
"""How long an ``up`` waits for what nobody gives up by himself: a node, a volume or a registry may
still come, an engine that was stopped may load in time after all. What keeps it is known by then.
"""

FAILS_SECONDS: Final = 900
"""The same for what fails by itself, and ends the waiting."""

_BASE: Final[Mapping[str, Any]] = {
    "model": {"uri": "pvc://models/tiny-chat.gguf"},
    "cpu": 0.02,
    "memory_gib": 0.25,
    "shm_gib": 0,
    "drain_seconds": 1,
}
_RESTARTS: Final = r"\d+ restarts?(, runs again now)?"
_EXITS: Final = rf"container engine exits with code 1, {_RESTARTS}: "
_TOO_EARLY: Final = r"(FailedMount: .*no relationship found between node \S+ and this object\. )?"
"""What a kubelet may have said before: it asked sooner than the API server knew of its pod."""
_UNSTARTED: Final = r"container engine was stopped, not started within 10 s, \d+ restarts?: "


@dataclass(frozen=True)
class Failing:
    """One service: ``says`` is a pattern of all that follows the pod's name, hint included.

    ``corrected`` is None where the hint asks for what the declaration does not have.
    """

    deployment: Mapping[str, Any]
    code: str
    field: str
    says: str
    corrected: Mapping[str, Any] | None = None
    wait_seconds: int = FAILS_SECONDS


def built_in(**changes: Any) -> dict[str, Any]:
    """Return a deployment of the built-in engine."""
    return {**_BASE, "runtime": "llama.cpp", "max_model_len": 512, **changes}


def in_full(
    *,
    listens_on: int = 8080,
    also: Sequence[str] = (),
    runtime: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return a deployment of the same engine as a runtime that is given in full."""
    given = {
        "name": "own",
        "image": IMAGE,
        "command": ["/app/llama-server"],
        "args": [
            *("--model", "$(MODEL_PATH)", "--ctx-size", "512"),
            *("--host", "0.0.0.0", "--port", str(listens_on), *also),  # noqa: S104  (a pod)
        ],
        "port": 8080,
    }
    return {**_BASE, "runtime": {**given, **(runtime or {})}, **changes}


def sleeping(seconds: int) -> dict[str, Any]:
    """Return a runtime that takes so long to load."""
    start = f"sleep {seconds}; exec /app/llama-server --model $MODEL_PATH --host 0.0.0.0"
    return {"command": ["/bin/sh", "-c", f"{start} --port $PORT"], "args": []}


def mounting(volume: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    """Return a deployment with one volume more."""
    mount = {"name": "engine", "volumeMounts": [{"name": "more", "mountPath": at}]}
    spec = {"containers": [mount], "volumes": [{"name": "more", **volume}]}
    return built_in(pod_overrides={"spec": spec})


def on_registry_node(**changes: Any) -> dict[str, Any]:
    """Return a deployment in full on the node that has a registry of its own."""
    return in_full(node_selector={"kubernetes.io/hostname": REGISTRY_NODE}, **changes)


FAILING: Final[Mapping[str, Failing]] = {
    "no-model": Failing(
        built_in(model={"uri": "pvc://models/none.gguf"}),
        "CrashLoop",
        "deployment.model.uri",
        _EXITS
        + r"gguf_init_from_file: failed to open GGUF file '/models/models/none.gguf' "
        + r"\(No such file or directory\)\. Correct deployment\.model\.uri, or put the model "
        + r"there: its volume has no such file\.",
        built_in(),
    ),
    "unreadable": Failing(
        built_in(model={"uri": f"pvc://{LOCKED}/tiny-chat.gguf"}),
        "CrashLoop",
        "deployment.model.uri",
        _EXITS
        + r"gguf_init_from_file: failed to open GGUF file '/models/locked/tiny-chat.gguf' "
        + r"\(Permission denied\)\. Let the engine, which does not run as root, read what "
        + r"deployment\.model\.uri names: its files and the folders above them must be readable by "
        + r"all, or by group 0\.",
        # The same, as new pods: those that failed are tried again by and by only.
        built_in(model={"uri": f"pvc://{LOCKED}/tiny-chat.gguf"}, cpu=0.03),
    ),
    "wrong-flag": Failing(
        in_full(also=["--no-such-flag"]),
        "CrashLoop",
        "deployment.runtime.args",
        _EXITS
        + r"error: invalid argument: --no-such-flag\. Correct deployment\.runtime\.args: the "
        + r"engine does not take that\.",
        in_full(),
    ),
    "wrong-value": Failing(
        built_in(args={"chat-template-kwargs": "{no json}"}),
        "CrashLoop",
        "deployment.args",
        _EXITS
        + r".*chat-template-kwargs.*\. Correct deployment\.args: the engine does not take that\.",
        built_in(args={"chat-template-kwargs": "{}"}),
    ),
    "no-memory": Failing(
        built_in(
            model={"uri": "pvc://models/slow-chat.gguf"},
            args={"load-mode": "none"},
            memory_gib=0.03125,
        ),
        "OOMKilled",
        "deployment.memory_gib",
        r"container engine was killed, out of memory, \d+ restarts?\. Last log lines: [^|]*\. "
        r"Raise deployment\.memory_gib above the present limit of 32Mi\.",
        built_in(model={"uri": "pvc://models/slow-chat.gguf"}, args={"load-mode": "none"}),
    ),
    "out-of-reach": Failing(
        built_in(runtime_version="b99999"),
        "ImagePull",
        "deployment.images",
        r"cannot pull image ghcr\.io/ggml-org/llama\.cpp:server-b99999: dial tcp: lookup ghcr\.io "
        r".*\. Check the registry's name in deployment\.images, and that the nodes can reach it; "
        r"they try again\.",
        wait_seconds=WAITS_SECONDS,
    ),
    "slow": Failing(
        in_full(runtime=sleeping(25), startup_seconds=10),
        "ProbeFailing",
        "deployment.startup_seconds",
        _UNSTARTED
        + r"nothing listens on port 8080\. Raise deployment\.startup_seconds \(now 10 s\) if it "
        + r"was still loading; if not, see why its health path does not answer\.",
        in_full(runtime=sleeping(25), startup_seconds=600),
        WAITS_SECONDS,
    ),
    "wrong-port": Failing(
        in_full(listens_on=9999, startup_seconds=10),
        "ProbeFailing",
        "deployment.runtime.port",
        _UNSTARTED
        + r"it listens on port 9999, and not on 8080\. Correct deployment\.runtime\.port or "
        + r"deployment\.runtime\.args: probes and requests go to port 8080\.",
        in_full(listens_on=9999, runtime={"port": 9999}),
        WAITS_SECONDS,
    ),
    "wrong-path": Failing(
        in_full(runtime={"probes": {"startup": "/healthy"}}, startup_seconds=10),
        "ProbeFailing",
        "deployment.runtime.probes",
        _UNSTARTED
        + r"its health path answers with status 404\. Correct deployment\.runtime\.probes: the "
        + r"engine serves, but not that path\.",
        in_full(),
        WAITS_SECONDS,
    ),
    "no-claim": Failing(
        built_in(model={"uri": "pvc://nowhere/tiny-chat.gguf"}),
        "Unschedulable",
        "deployment.model.uri",
        r"cannot be scheduled, none of \d+ nodes fits: \d+ waiting for volume claim nowhere\. "
        r"Create PersistentVolumeClaim nowhere "
        r"\(kubernetes\.core\.v1\.PersistentVolumeClaim in a Pulumi "
        r"program\), or change deployment\.model\.uri\.",
        built_in(),
        WAITS_SECONDS,
    ),
    "no-folder": Failing(
        built_in(model={"uri": f"pvc://{NO_FOLDER}/tiny-chat.gguf"}),
        "Starting",
        "deployment.model.uri",
        r"starting its container engine\. FailedMount: MountVolume\.SetUp failed for volume "
        r'"[^"]*" : hostPath type check failed: /var/lib/modelfleet/\S+ is not a directory\. '
        + _TOO_EARLY
        + r"Look at that volume: volumes come from deployment\.model\.uri and "
        r"deployment\.pod_overrides\.",
        built_in(),
        WAITS_SECONDS,
    ),
    "no-secret": Failing(
        mounting({"secret": {"secretName": "absent"}}, at="/run/absent"),
        "Starting",
        "deployment.pod_overrides",
        r"starting its container engine\. FailedMount: MountVolume\.SetUp failed for volume "
        r'"more" : secret "absent" not found\. '
        + _TOO_EARLY
        + r"Create Secret absent in the same namespace "
        r"\(kubernetes\.core\.v1\.Secret in a Pulumi program\), or change "
        r"deployment\.pod_overrides\.",
        wait_seconds=WAITS_SECONDS,
    ),
    "no-mount": Failing(
        mounting({"emptyDir": {}}, at="/app/llama-server"),
        "CrashLoop",
        "deployment.pod_overrides",
        r"cannot start its container engine: the volume at /app/llama-server cannot be mounted, "
        r"not a directory\. Look at what is mounted at /app/llama-server: volumes come from "
        r"deployment\.model\.uri and deployment\.pod_overrides\.",
    ),
    "no-gpus": Failing(
        built_in(gpu={**REAL, "count": 5}),
        "Unschedulable",
        "deployment.gpu.count",
        r"cannot be scheduled, none of \d+ nodes fits: 2 short of nvidia\.com/gpu \(5 asked per "
        r"pod\), .*\. Lower deployment\.gpu\.count, or add or free nodes with nvidia\.com/gpu\..*",
        built_in(gpu={**REAL, "count": 1}),
        WAITS_SECONDS,
    ),
    "no-image": Failing(
        on_registry_node(runtime={"image": f"{REGISTRY}/none:1"}),
        "ImagePull",
        "deployment.runtime.image",
        rf"cannot pull image {REGISTRY}/none:1: {REGISTRY}/none:1: not found\. Correct "
        r"deployment\.runtime\.image: no such image can be had\.",
        on_registry_node(),
    ),
    "denied": Failing(
        on_registry_node(runtime={"image": f"{REGISTRY}/denied:1"}),
        "ImagePull",
        "deployment.runtime.image",
        rf"cannot pull image {REGISTRY}/denied:1: .*401 Unauthorized\. Check the name in "
        r"deployment\.runtime\.image, and that deployment\.service_account names an account with "
        r"an image pull secret for that registry\.",
    ),
    "no-program": Failing(
        built_in(command=["/app/lama-server"]),
        "CrashLoop",
        "deployment.command",
        r'cannot start its container engine: exec: "/app/lama-server": stat /app/lama-server: no '
        r"such file or directory\. Correct deployment\.command: the image must have that program\.",
        built_in(),
    ),
}
