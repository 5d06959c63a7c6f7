"""The 29 fields of ZStack's model service: the one table of what each is here, and where from.

``docs/reference/query-api.md`` and the OpenAPI document are made from it. What cannot be known is
null, as in the original. Pure.
"""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from modelfleet.adapters.query_api.zstack_api.dates import point_in_time, written
from modelfleet.adapters.query_api.zstack_api.described import Described
from modelfleet.adapters.query_api.zstack_api.document import document_of
from modelfleet.cluster.managed_fields import quantity
from modelfleet.cluster.masking import without_lookalikes
from modelfleet.engines import ENGINES
from modelfleet.spec.runtime import RuntimeSpec


class Kind(StrEnum):
    """What a value is on the wire, in the words of ZStack's reference."""

    TEXT = "String"
    INT = "Integer"
    LONG = "Long"
    BOOL = "Boolean"
    DATE = "Timestamp"
    TEXTS = "List<String>"
    MAP = "Map<String, List<String>>"
    OBJECTS = "List"


@dataclass(frozen=True)
class Part:
    """A field of the objects in a list; all are texts."""

    name: str
    doc: str


@dataclass(frozen=True)
class Field:
    """One field: what it says, where from, and its value for a service.

    ``source`` names the declared fields, the rendered pods or the live object it is read from.
    """

    name: str
    kind: Kind
    doc: str
    source: str
    of: Callable[[Described], Any]
    parts: Sequence[Part] = ()
    item: str = ""


ARCHITECTURES: Final[Mapping[str, str]] = {"amd64": "x86_64", "arm64": "aarch64"}
"""ZStack's names of CPU architectures, by Kubernetes'."""

GPU_VENDORS: Final[Mapping[str, str]] = {
    "nvidia": "NVIDIA",
    "amd": "AMD",
    "intel": "Intel",
    "gaudi": "HABANA",
    "ascend": "HUAWEI",
}
"""ZStack's names of GPU vendors, by ours; it knows no Gaudi, whose maker is Habana."""


def _nothing(_: Described) -> None:
    return None


def _request_cpu(it: Described) -> int | None:
    cores = quantity(it.requests["cpu"]) if "cpu" in it.requests else None
    return None if cores is None else math.ceil(cores)


def _request_memory(it: Described) -> int | None:
    size = quantity(it.requests["memory"]) if "memory" in it.requests else None
    return None if size is None else int(size)


def _framework(it: Described) -> str | None:
    if it.deployment is None:
        return None
    runtime = it.deployment.runtime
    return runtime.name if isinstance(runtime, RuntimeSpec) else runtime


def _source(it: Described) -> str | None:
    if it.spec is None:
        return None
    from_hub = it.deployment is not None and it.deployment.model.uri.startswith("hf://")
    return "HuggingFace" if from_hub else "Other"


def _has_new_version(it: Described) -> bool | None:
    if it.deployment is None or not isinstance(it.deployment.runtime, str):
        return None
    used = _release(it.deployment.runtime_version or "")
    newest = _release(ENGINES[it.deployment.runtime].default_version)
    return None if used is None or newest is None else used < newest


def _release(tag: str) -> tuple[int, ...] | None:
    """Return the number in a tag such as ``v0.30.0-cu129`` or ``b9999``, None in ``nightly-…``."""
    found = re.match(r"[a-z]?(\d{1,9}(?:\.\d{1,9})*)", tag)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def _compute_capability(it: Described) -> str | None:
    declared = it.gpu.compute_capability if it.gpu else None
    needed = it.launch.min_compute_capability if it.launch and it.gpu else None
    least = max((each for each in (declared, needed) if each is not None), default=None)
    return None if least is None else f"{least:.1f}"


def _command(it: Described, *fields: str) -> str | None:
    if it.container is None:
        return None
    words = [str(word) for field in fields for word in it.container.get(field) or ()]
    return without_lookalikes(shlex.join(words)) or None


def _architectures(it: Described) -> list[str] | None:
    declared = it.deployment.cpu_architecture if it.deployment else None
    return None if declared is None else [ARCHITECTURES[declared]]


def _vendors(it: Described) -> dict[str, list[str]] | None:
    if it.deployment is None:
        return None
    if it.gpu is None:
        return {}
    return {GPU_VENDORS[it.gpu.vendor]: [it.gpu.product] if it.gpu.product else []}


def _uuid(it: Described) -> str:
    return it.entry.uid.replace("-", "")


def _model_refs(it: Described) -> list[dict[str, str]]:
    if it.deployment is None:
        return []
    return [{"modelUuid": model_uuid(it), "modelServiceUuid": _uuid(it)}]


def model_uuid(it: Described) -> str:
    """Return 32 hex digits that are the same for all services of the same weights."""
    model = it.deployment.model if it.deployment else None
    weights = f"{model.uri}\n{model.revision or ''}" if model else ""
    return hashlib.sha256(weights.encode()).hexdigest()[:32]


def _images(it: Described) -> list[dict[str, str | None]]:
    image = (it.container or {}).get("image")
    if it.deployment is None or not isinstance(image, str):
        return []
    architecture = it.deployment.cpu_architecture
    found: dict[str, str | None] = {
        "cpuArchitecture": ARCHITECTURES[architecture] if architecture else None,
        "vmImageUuid": None,
        "dockerImage": image,
        "name": _framework(it),
        "acceleratorType": GPU_VENDORS[it.gpu.vendor] if it.gpu else None,
        "imageNamePattern": None,
    }
    return [found]


def _date(text: str) -> str | None:
    moment = moment_of(text)
    return None if moment is None else written(moment)


def moment_of(text: str | None) -> datetime | None:
    """Return the point in time of a date field."""
    return None if text is None else point_in_time(text)


_NO_COUNTERPART: Final = "null: nothing of the kind is declared or known"

FIELDS: Final[tuple[Field, ...]] = (
    Field("uuid", Kind.TEXT, "Its identity: another creation under the same name has another one.",
          "live: UID of the primary object, without dashes", _uuid),
    Field("name", Kind.TEXT, "Its name, one per namespace.",
          "`model_service_name`", lambda it: it.entry.service.name),
    Field("description", Kind.TEXT, "For people.",
          "`description`", lambda it: it.spec.description if it.spec else None),
    Field("readme", Kind.TEXT, "A longer text for people.", _NO_COUNTERPART, _nothing),
    Field("yaml", Kind.TEXT,
          "Ports, health paths, start-up time and environment; secret values are masked.",
          "rendered: the engine's container; `deployment.startup_seconds`", document_of),
    Field("requestCpu", Kind.INT, "CPU cores of one pod, rounded up.",
          "rendered: the container's requests (`deployment.cpu`)", _request_cpu),
    Field("requestMemory", Kind.LONG, "Memory of one pod, in bytes.",
          "rendered: the container's requests (`deployment.memory_gib`)", _request_memory),
    Field("modelCenterUuid", Kind.TEXT, "The model centre its files are in.",
          _NO_COUNTERPART, _nothing),
    Field("type", Kind.TEXT, "What it is for: always `Endpoint`, it answers requests.",
          "constant", lambda _: "Endpoint"),
    Field("framework", Kind.TEXT, "The engine: `vllm`, `sglang`, … or the name of a runtime given "
          "in full.", "`deployment.runtime`", _framework),
    Field("source", Kind.TEXT, "Where the model comes from: `HuggingFace` or `Other`.",
          "`deployment.model.uri`", _source),
    Field("size", Kind.LONG, "Bytes of its files.", _NO_COUNTERPART, _nothing),
    Field("system", Kind.BOOL, "Whether it came with the platform: never.",
          "constant", lambda _: False),
    Field("hasNewVersion", Kind.BOOL, "Whether this release would give a new service a later "
          "version of the engine.", "`deployment.runtime_version`", _has_new_version),
    Field("gpuComputeCapability", Kind.TEXT, "Least CUDA compute capability, such as `8.0`: what "
          "is declared or what the image needs, the greater.",
          "`deployment.gpu.compute_capability`, the engine's table", _compute_capability),
    Field("installPath", Kind.TEXT, "Where the weights are taken from, a URI.",
          "`deployment.model.uri`",
          lambda it: without_lookalikes(it.deployment.model.uri) if it.deployment else None),
    Field("pythonVersion", Kind.TEXT, "Version of Python in the image.", _NO_COUNTERPART, _nothing),
    Field("condaVersion", Kind.TEXT, "Version of Conda in the image.", _NO_COUNTERPART, _nothing),
    Field("version", Kind.TEXT, "Version of a built-in engine.", "`deployment.runtime_version`",
          lambda it: it.deployment.runtime_version if it.deployment else None),
    Field("startCommand", Kind.TEXT, "The whole command line of the engine, quoted for a shell; "
          "what looks like a secret is masked, here and in its parts.",
          "rendered: the container's command and args",
          lambda it: _command(it, "command", "args")),
    Field("containerCommand", Kind.TEXT, "Its entry point.", "rendered: the container's command",
          lambda it: _command(it, "command")),
    Field("containerArgs", Kind.TEXT, "Its arguments.", "rendered: the container's args",
          lambda it: _command(it, "args")),
    Field("supportDistributed", Kind.BOOL, "Whether one replica may span nodes: not yet.",
          "constant for hosted services", lambda it: False if it.deployment else None),
    Field("cpuArchitectures", Kind.TEXTS, "CPU architectures of its nodes: `x86_64`, `aarch64`; "
          "null where any will do.", "`deployment.cpu_architecture`", _architectures),
    Field("vendorToSpecUuidsMap", Kind.MAP, "The maker of its GPUs (`NVIDIA`, `AMD`, `Intel`, "
          "`HABANA`, `HUAWEI`), and the product as nodes are labelled, since there are no GPU "
          "specs with a UUID. Conditions look at the makers.",
          "`deployment.gpu.vendor`, `deployment.gpu.product`", _vendors),
    Field("modelServiceRefs", Kind.OBJECTS, "The models it serves.",
          "`deployment.model.uri`, `deployment.model.revision`", _model_refs, parts=(
              Part("modelUuid", "Stands for the weights: the same for services of the same URI and "
                   "revision."),
              Part("modelServiceUuid", "`uuid` of the service."),
          ), item="ModelServiceRefInventory"),
    Field("modelServiceImages", Kind.OBJECTS, "The image it runs.",
          "rendered: the container's image", _images, parts=(
              Part("cpuArchitecture", "As in `cpuArchitectures`."),
              Part("vmImageUuid", "Null: there are no virtual machines."),
              Part("dockerImage", "The container image."),
              Part("name", "As `framework`."),
              Part("acceleratorType", "The maker of its GPUs, null without any."),
              Part("imageNamePattern", "Null."),
          ), item="ModelServiceTemplateInventory"),
    Field("createDate", Kind.DATE, "When its primary object was made.",
          "live: creation timestamp", lambda it: _date(it.entry.service.created_at)),
    Field("lastOpDate", Kind.DATE, "When modelfleet last wrote it.",
          "live: field ownership", lambda it: _date(it.entry.service.last_updated_at)),
)  # fmt: skip
"""Every field, in the order of ZStack's reference."""
