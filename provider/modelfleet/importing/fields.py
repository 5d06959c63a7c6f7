"""What a live pod template suggests for each declared field. Suggestions only.

Whether one is right is found out by rendering it: whoever asks keeps those that bring the rendered
template nearer to the live one. So nothing here repeats how a field is rendered. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelfleet.cluster.managed_fields import quantity
from modelfleet.engines.gpus import VENDORS
from modelfleet.importing.recognition import Recognised
from modelfleet.spec.tree import Path

_GIB: Final = 2**30
_SHM: Final = "/dev/shm"  # noqa: S108  (shared memory, no file)
_PROBES: Final = {
    "startup": "startupProbe",
    "readiness": "readinessProbe",
    "liveness": "livenessProbe",
}
_SCHEMES: Final = ("hf://", "modelscope://", "s3://", "gs://", "oci://", "pvc://", "https://")

_UNKNOWN: Final = "file:///unknown"
"""Where nothing tells: a runtime given in full serves whatever its own command line names."""

Suggestion = tuple[Path, Any]


def model_uris(recognised: Recognised, pod: Mapping[str, Any]) -> list[str]:
    """Return what ``deployment.model.uri`` may be, the most telling first, some URI last."""
    model = recognised.model
    if model.startswith(_SCHEMES):
        return [model, _UNKNOWN]
    if model.startswith("/"):
        return [*_mounted(model, pod), f"file://{model}", _UNKNOWN]
    return [f"{recognised.hub}://{model}", _UNKNOWN] if model else [_UNKNOWN]


def runtime_in_full(recognised: Recognised, container: Mapping[str, Any]) -> dict[str, Any]:
    """Return the runtime that runs ``container`` word for word."""
    name = recognised.engine.replace(".", "-") or "engine"
    probes = {
        field: path
        for field, probe in _PROBES.items()
        if (path := (container.get(probe) or {}).get("httpGet", {}).get("path"))
    }
    runtime = {
        "name": name,
        "image": container.get("image", ""),
        "command": list(container.get("command", ())),
        "args": list(container.get("args", ())),
        "port": recognised.port,
        "probes": probes,
    }
    return {key: value for key, value in runtime.items() if value}


def engine_fields(recognised: Recognised) -> dict[str, Any]:
    """Return the fields of a deployment that say what the engine's command line says."""
    fields: dict[str, Any] = {}
    for path, value in recognised.fields.items():
        *above, name = path.split(".")
        into = fields
        for step in above:
            into = into.setdefault(step, {})
        into[name] = _scalar(value)
    if recognised.options:
        fields["args"] = dict(_argument(*each) for each in recognised.options.items())
    return fields


def suggestions(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[Suggestion]:
    """Yield a value per field of a deployment that the pod template may have been made from."""
    yield from _times(pod, container)
    yield from _resources(pod, container)
    yield from _storage(pod, container)
    yield from _resources(pod, container)  # shared memory is part of memory: neither goes first
    yield from _environment(container)
    yield from _placement(pod)


def _times(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[Suggestion]:
    grace = int(pod.get("terminationGracePeriodSeconds", 30))
    # Hook, drain and margin together make up the grace period.
    for drain in (0, grace - 20, (grace - 10) // 2):
        if drain >= 0:
            yield ("drain_seconds",), drain
    if probe := container.get("startupProbe"):
        seconds = int(probe.get("periodSeconds", 10)) * int(probe.get("failureThreshold", 3))
        for each in (seconds, seconds + int(probe.get("initialDelaySeconds", 0))):
            yield ("startup_seconds",), each


def _resources(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[Suggestion]:
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, count in limits.items():
        yield from _gpus(name, count, pod)
    for each in (requests, limits):
        if cores := quantity(each.get("cpu", "")):
            yield ("cpu",), _number(float(cores))
        if size := quantity(each.get("memory", "")):
            yield ("memory_gib",), _gib(size)


def _gpus(resource: str, count: Any, pod: Mapping[str, Any]) -> Iterator[Suggestion]:
    if "/" not in resource:
        return
    names = {known.resource: vendor for vendor, known in VENDORS.items()}
    domain = resource.partition("/")[0]
    by_domain = {known.resource.partition("/")[0]: vendor for vendor, known in VENDORS.items()}
    vendor = names.get(resource) or by_domain.get(domain)
    gpu: dict[str, Any] = {"count": int(count)}
    if vendor is None or vendor != "nvidia":
        gpu["vendor"] = vendor or "nvidia"
    if resource not in names:
        slice_of = resource.removeprefix("nvidia.com/mig-")
        if slice_of != resource:
            yield ("gpu",), {**gpu, "mig_profile": slice_of}
        gpu["resource_name"] = resource
    yield ("gpu",), gpu
    product = (pod.get("nodeSelector") or {}).get(
        VENDORS[gpu.get("vendor", "nvidia")].product_label
    )
    if product:
        yield ("gpu",), {**gpu, "product": product}


def _storage(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[Suggestion]:
    volumes = {each["name"]: each for each in pod.get("volumes") or ()}
    mounts = {each["mountPath"]: each["name"] for each in container.get("volumeMounts") or ()}
    memory = volumes.get(mounts.get(_SHM, ""), {}).get("emptyDir") or {}
    size = quantity(memory.get("sizeLimit", "")) if memory.get("medium") == "Memory" else None
    yield ("shm_gib",), _gib(size) if size else 0
    for name in mounts.values():
        volume = volumes.get(name, {})
        if claim := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
            yield ("storage",), {"kind": "pvc", "claim": claim}
        if path := (volume.get("hostPath") or {}).get("path"):
            yield ("storage",), {"kind": "host_path", "path": path}
        if size := quantity((volume.get("emptyDir") or {}).get("sizeLimit", "")):
            yield ("storage",), {"size_gib": _gib(size)}


def _environment(container: Mapping[str, Any]) -> Iterator[Suggestion]:
    for each in container.get("env") or ():
        name, source = each["name"], each.get("valueFrom") or {}
        if secret := source.get("secretKeyRef"):
            reference = f"{secret['name']}/{secret['key']}"
            if name in ("HF_TOKEN", "MODELSCOPE_API_TOKEN"):
                yield ("model", "credential_name"), reference
            yield ("env", name), {"secret": reference}
        elif not source:
            yield ("env", name), each.get("value", "")


def _placement(pod: Mapping[str, Any]) -> Iterator[Suggestion]:
    selector = dict(pod.get("nodeSelector") or {})
    for name, value in selector.items():
        if name == "kubernetes.io/arch":
            yield ("cpu_architecture",), value
        yield ("node_selector", name), value
    tolerations = list(pod.get("tolerations") or ())
    for at in range(len(tolerations) + 1):
        # The one for the vendor's taint is added by itself.
        yield ("tolerations",), tolerations[:at] + tolerations[at + 1 :]
    for field, name in (
        ("affinity", "affinity"),
        ("priority_class", "priorityClassName"),
        ("runtime_class_name", "runtimeClassName"),
        ("service_account", "serviceAccountName"),
    ):
        if value := pod.get(name):
            yield (field,), value


def _mounted(path: str, pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield the URIs of mounted volumes that ``path`` may be in."""
    mounts = {
        mount["mountPath"].rstrip("/"): mount["name"]
        for container in pod.get("containers") or ()
        for mount in container.get("volumeMounts") or ()
    }
    volumes = {each["name"]: each for each in pod.get("volumes") or ()}
    for at, name in mounts.items():
        if path != at and not path.startswith(f"{at}/"):
            continue
        below = path[len(at) :].strip("/")
        volume = volumes.get(name, {})
        if claim := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
            yield f"pvc://{claim}/{below}".rstrip("/")
        if image := (volume.get("image") or {}).get("reference"):
            yield f"oci://{image}#{below}".rstrip("#")


def _argument(name: str, value: str | bool | list[str]) -> tuple[str, Any]:
    if isinstance(value, list):
        return name, [_scalar(each) for each in value]
    if value is True and name.startswith("no-"):
        return name.removeprefix("no-"), False
    return name, _scalar(value) if isinstance(value, str) else value


def _scalar(text: str) -> str | int | float:
    """Return a word of a command line as a number, where it would be written as the same word."""
    for number in (int, float):
        try:
            value = number(text)
        except ValueError:
            continue
        if str(value) == text and math.isfinite(value):
            return value
    return text


def _gib(size_bytes: Any) -> float | int:
    return _number(round(float(size_bytes) / _GIB, 4))


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value
