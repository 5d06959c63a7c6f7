"""The words in which readiness is told: reasons, what they lead to, the declared fields they name.

Pure data, shared by what finds reasons (``scheduling``, ``pod_state``, ``readiness``) and what adds
to them (``diagnosis``). Nothing here looks at a Kubernetes object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType


class Code(StrEnum):
    """What keeps a service from being ready, as one word that programs can compare."""

    MISSING = "Missing"  # the Deployment is gone or going
    NOT_OBSERVED = "NotObserved"  # its controller has not seen the last change
    PAUSED = "Paused"
    STOPPING = "Stopping"
    ROLLING_OUT = "RollingOut"  # moving on, nothing is wrong
    UNSCHEDULABLE = "Unschedulable"
    GATED = "SchedulingGated"
    STARTING = "Starting"
    IMAGE_PULL = "ImagePull"
    CONFIG_MISSING = "ConfigMissing"
    CRASH_LOOP = "CrashLoop"
    OOM_KILLED = "OOMKilled"
    PROBE_FAILING = "ProbeFailing"
    POD_FAILED = "PodFailed"  # evicted, or refused by its node
    QUOTA = "Quota"
    ADMISSION_DENIED = "AdmissionDenied"
    CREATE_FAILED = "CreateFailed"
    PROGRESS_DEADLINE = "ProgressDeadline"
    UNREACHABLE = "Unreachable"  # the API server does not answer


@dataclass(frozen=True)
class Reason:
    """One thing that stands between a service and being ready.

    ``text`` says which pod and what, without a full stop; ``field`` is the path in the declaration
    it points to, empty where there is none; ``hint`` one or more sentences on what to change.
    ``pod`` and ``container`` name an example to look into.
    """

    code: Code
    text: str
    field: str = ""
    hint: str = ""
    pod: str = ""
    container: str = ""

    @property
    def sentence(self) -> str:
        """Text and hint, ready to be shown; always names the field."""
        told = f"{self.text.rstrip('.')}. {self.hint}".strip()
        return told if self.field in told else f"{told} (See {self.field}.)"


@dataclass(frozen=True)
class Ready:
    """Ready by what was asked for; ``reasons`` tell of pods beyond that which are not."""

    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """Not ready, and may become so without anybody changing the declaration."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Failed:
    """Will not become ready as declared; the reasons that decided it come first."""

    reasons: tuple[Reason, ...]


Outcome = Ready | Waiting | Failed


@dataclass(frozen=True)
class FieldNames:
    """Where in a declaration each cause is changed; the defaults are a ModelService's.

    ``tolerations``, ``service_account``, ``cpu`` and ``memory`` are empty where nothing declares
    them.
    ``of_secret`` names the field that refers to a Secret, by the Secret's name. ``model_path`` is
    no field, but what the path of the model begins with in its container, to know it in a log.
    """

    replicas: str = "deployment.replicas"
    gpu_count: str = "deployment.gpu.count"
    gpu_product: str = "deployment.gpu.product"
    gpu_memory: str = "deployment.gpu.min_memory_gib"
    gpu_capability: str = "deployment.gpu.compute_capability"
    gpu_mig: str = "deployment.gpu.mig_profile"
    cpu: str = "deployment.cpu"
    memory: str = "deployment.memory_gib"
    storage: str = "deployment.storage"
    model: str = "deployment.model.uri"
    image: str = "deployment.images"
    image_version: str = "deployment.runtime_version"
    command: str = "deployment.command"
    args: str = "deployment.args"
    env: str = "deployment.env"
    startup: str = "deployment.startup_seconds"
    probes: str = "deployment.runtime"
    port: str = "deployment.args"
    strategy: str = "deployment.strategy"
    node_selector: str = "deployment.node_selector"
    tolerations: str = "deployment.tolerations"
    affinity: str = "deployment.affinity"
    priority_class: str = "deployment.priority_class"
    runtime_class: str = "deployment.runtime_class_name"
    service_account: str = "deployment.service_account"
    queue: str = "deployment.queue"
    pod_overrides: str = "deployment.pod_overrides"
    timeout: str = "wait.timeout_seconds"
    model_path: str = "/models/"
    of_secret: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Finding:
    """What is wrong with one pod. The reason's text still lacks its subject, the pod.

    ``fatal``: the pod will not get over it as declared.
    """

    reason: Reason
    fatal: bool = False


def folded(findings: Sequence[Finding], *, pods: int) -> tuple[Reason, ...]:
    """Return one reason per cause, fatal ones first, each saying how many of ``pods`` it concerns.

    Causes are the same when code, field and gravity are; a thousand pods that wait for the same GPU
    are one sentence. The text is that of the first pod.
    """
    groups: dict[tuple[bool, Code, str], list[Reason]] = {}
    for finding in findings:
        cause = (not finding.fatal, finding.reason.code, finding.reason.field)
        groups.setdefault(cause, []).append(finding.reason)
    return tuple(_with_subject(groups[cause], pods=pods) for cause in sorted(groups))


def _with_subject(same: Sequence[Reason], *, pods: int) -> Reason:
    first = same[0]
    subject = f"Pod {first.pod}" if len(same) == 1 else f"{len(same)} of {pods} pods"
    return replace(first, text=f"{subject}: {first.text}")


def sentences(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return the reasons as sentences, for errors and progress lines."""
    return tuple(reason.sentence for reason in reasons)
