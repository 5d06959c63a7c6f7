"""Values that are known before anything is created, so that a preview can show them.

Each is a formula over declared fields: a caller that has unknowns computes those whose fields are
known. Formulas take raw values, with the spec's defaults filled in. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from modelfleet import labels
from modelfleet.render.history import RENDERER_VERSION
from modelfleet.render.pod import pod_template_hash
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import never_unknown, value_at

Formula = tuple[tuple[str, ...], Callable[..., Any]]
"""The paths of the fields a value depends on, and the function of their values."""


def _model_service_id(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def _access_name(name: str, workspace_id: str | None) -> str:
    return labels.access_name(name, workspace_id=workspace_id)


def _endpoint(namespace: str, name: str, base_url: str | None) -> str:
    if base_url is not None:
        return base_url.rstrip("/").removesuffix("/v1")
    return labels.endpoint(name, namespace=namespace)


def _base_url(namespace: str, name: str, base_url: str | None) -> str:
    return base_url if base_url is not None else f"{_endpoint(namespace, name, None)}/v1"


def _model_names(
    name: str, workspace_id: str | None, base_url: str | None, names: Iterable[str] | None
) -> list[str]:
    """An external provider knows its own names only; a hosted engine is told the access name."""
    declared = list(names or ())
    if base_url is not None:
        return declared
    return list(dict.fromkeys([_access_name(name, workspace_id), *declared]))


def _gpu_total(replicas: float | None, count: float | None) -> int:
    return int((replicas or 0) * (count or 0))


_NAME: Final = ("namespace", "model_service_name")
_BASE_URL: Final = "provider_settings.base_url"

PLANNED: Final[Mapping[str, Formula]] = {
    "model_service_id": (_NAME, _model_service_id),
    "access_name": (("model_service_name", "workspace_id"), _access_name),
    "endpoint": ((*_NAME, _BASE_URL), _endpoint),
    "base_url": ((*_NAME, _BASE_URL), _base_url),
    "model_names": (
        ("model_service_name", "workspace_id", _BASE_URL, "provider_settings.model_names"),
        _model_names,
    ),
    "gpu_total": (("deployment.replicas", "deployment.gpu.count"), _gpu_total),
}
"""Every planned value but ``pod_template_hash``, which depends on the whole deployment."""


def planned_of(
    spec: ModelServiceSpec, *, renderer_version: int = RENDERER_VERSION
) -> dict[str, Any]:
    """Return all planned values of ``spec``, its pods made by ``renderer_version``."""
    values = {
        name: formula(*(_value(spec, path) for path in paths))
        for name, (paths, formula) in PLANNED.items()
    }
    return {
        **values,
        "pod_template_hash": pod_template_hash(spec, renderer_version=renderer_version),
    }


def _value(spec: ModelServiceSpec, path: str) -> Any:
    return value_at(spec, tuple(path.split(".")), model=ModelServiceSpec, is_unknown=never_unknown)
