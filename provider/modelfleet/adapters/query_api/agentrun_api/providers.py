"""``GET model-providers``: who provides the models that are there, as the services tell.

AgentRun lists a catalogue of its own; there is none here, so it is what is declared. One item for
each provider, base URL and type of model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from modelfleet import labels
from modelfleet.adapters.query_api.agentrun_api.attempts import looking
from modelfleet.adapters.query_api.agentrun_api.bodies import asked_of
from modelfleet.adapters.query_api.agentrun_api.replies import reply
from modelfleet.adapters.query_api.agentrun_api.resources import page_data, waits_for_changes
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.agentrun.registry import Resource
from modelfleet.agentrun.spelling import on_the_wire
from modelfleet.cluster.records import Record
from modelfleet.resource_types import MODEL_SERVICE
from modelfleet.spec.service import ModelServiceSpec

FILTERS: Final = frozenset({"modelName", "modelType", "provider"})


async def list_providers(request: Request, parts: Parts) -> Response:
    """Tell of one page of the providers of all services that the caller sees."""
    async with looking(request, parts, kind="ModelProvider", name="") as attempt:
        asked, account = asked_of(request, filters=FILTERS), attempt.caller

        async def made() -> Sequence[dict[str, Any]]:
            services = await parts.registry.list(
                kind=MODEL_SERVICE.kind, scope=account.scope, fresh=await waits_for_changes(parts)
            )
            return [each for each in providers_of(services) if _is_meant(each, asked.filters)]

        key = (account.name, account.scope, "providers", tuple(sorted(asked.filters.items())))
        page = await parts.pages.page(
            key, number=asked.page_number, size=asked.page_size, make=made
        )
        return reply(request, page_data(page, page.items))


def providers_of(services: Iterable[Resource]) -> list[dict[str, Any]]:
    """Return the items, by provider, base URL and type; services that cannot be read are in none.

    ``providerName`` and ``models`` are what AgentRun's clients read, ``provider`` and
    ``modelNames`` what its documentation calls the same.
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for service in services:
        spec, record = service.entry.spec, service.entry.record
        if not isinstance(spec, ModelServiceSpec) or record is None:
            continue
        base_url, names = _where(spec, access_name=service.entry.service.access_name)
        model_type = str(spec.model_type or "") or None
        item = found.setdefault(
            (spec.provider or "", base_url, model_type or ""),
            {
                "providerName": spec.provider,
                "provider": spec.provider,
                "baseUrl": base_url,
                "modelType": model_type,
                "models": [],
                "modelNames": [],
                "modelInfoConfigs": [],
            },
        )
        item["models"] = item["modelNames"] = sorted({*item["models"], *names})
        item["modelInfoConfigs"] += _configs(record)
    return [found[key] for key in sorted(found)]


def _where(spec: ModelServiceSpec, *, access_name: str) -> tuple[str, Sequence[str]]:
    """Return the base URL of a service and its names, as ``told.py`` does.

    Without asking for everything else that there is to tell: it is done for all services at once.
    """
    settings = spec.provider_settings
    declared = (settings.model_names if settings else None) or ()
    if settings is not None and settings.base_url is not None:
        return str(settings.base_url), tuple(declared)
    url = labels.endpoint(spec.name, namespace=spec.namespace)
    return f"{url}/v1", (access_name, *declared)


def _configs(record: Record) -> list[Any]:
    declared = record.spec.get("model_info_configs") or []
    configs: list[Any] = on_the_wire("model_info_configs", declared, kind=MODEL_SERVICE.kind)
    return configs


def _is_meant(item: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    name = filters.get("modelName")
    return (name is None or name in item["modelNames"]) and all(
        item[each] == filters[each] for each in ("modelType", "provider") if each in filters
    )
