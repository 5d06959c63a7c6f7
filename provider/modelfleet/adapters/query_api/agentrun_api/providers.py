"""``GET model-providers``: who provides the models that are there, as the services tell.

AgentRun lists a catalogue of its own; there is none here, so it is what is declared. One item for
each provider, base URL and type of model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from modelfleet.adapters.query_api.agentrun_api.attempts import looking
from modelfleet.adapters.query_api.agentrun_api.bodies import asked_of
from modelfleet.adapters.query_api.agentrun_api.replies import reply
from modelfleet.adapters.query_api.agentrun_api.resources import page_data, waits_for_changes
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.agentrun.registry import Resource
from modelfleet.agentrun.told import wire_of
from modelfleet.resource_types import MODEL_SERVICE

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
    """Return the items, by provider, base URL and type.

    ``providerName`` and ``models`` are what AgentRun's clients read, ``provider`` and
    ``modelNames`` what its documentation calls the same.
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for service in services:
        data = wire_of(service.fields, kind=service.kind)
        settings = data.get("providerSettings") or {}
        provider, model_type = data.get("provider"), data.get("modelType")
        base_url = settings.get("baseUrl")
        item = found.setdefault(
            (provider or "", base_url or "", model_type or ""),
            {
                "providerName": provider,
                "provider": provider,
                "baseUrl": base_url,
                "modelType": model_type,
                "models": [],
                "modelNames": [],
                "modelInfoConfigs": [],
            },
        )
        names = {*item["models"], *(settings.get("modelNames") or ())}
        item["models"] = item["modelNames"] = sorted(names)
        item["modelInfoConfigs"] += data.get("modelInfoConfigs") or ()
    return [found[key] for key in sorted(found)]


def _is_meant(item: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    name = filters.get("modelName")
    return (name is None or name in item["modelNames"]) and all(
        item[each] == filters[each] for each in ("modelType", "provider") if each in filters
    )
