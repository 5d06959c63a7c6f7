"""``GET credentials/{name}``: the key that AgentRun's SDK calls a service or a proxy with.

The one place where this API tells a secret. Only accounts that may, only what a resource that they
see names as its credential, and each time with a line in the audit log.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from modelfleet.adapters.query_api.agentrun_api.attempts import revealing
from modelfleet.adapters.query_api.agentrun_api.replies import reply
from modelfleet.adapters.query_api.agentrun_api.resources import waits_for_changes
from modelfleet.adapters.query_api.agentrun_api.wire import credentials_of
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.agentrun.registry import Resource
from modelfleet.agentrun.scope import Scope
from modelfleet.errors import NotFoundError
from modelfleet.resource_types import MODEL_PROXY, TYPES
from modelfleet.spec.fields import secret_name_and_key

KIND: Final = "Credential"

_PUBLIC: Final = {"headerKey": "Authorization", "prefix": "Bearer "}


async def get_credential(request: Request, parts: Parts) -> Response:
    """Tell a credential, secret and all."""
    name = request.path_params["name"]
    async with revealing(request, parts, kind=KIND, name=name) as attempt:
        scope = attempt.caller.scope
        naming = await _naming(name, parts=parts, scope=scope)
        if not naming:
            raise NotFoundError(f"{KIND} {name}", "does not exist", status=404)
        secret = await parts.registry.secret_of(name, scope=scope)
        return reply(request, credential_of(name, secret, naming=naming))


def credential_of(name: str, secret: str, *, naming: list[Resource]) -> dict[str, Any]:
    """Return the ``data``; ``naming`` are the resources that name the credential, one at least.

    What opens a proxy is AgentRun's ``internal``, what opens somebody else's model is not.
    """
    first = naming[0]
    is_inbound = first.kind == MODEL_PROXY.kind
    return {
        "credentialId": f"{first.entry.key.namespace}/{name}",
        "credentialName": name,
        "credentialAuthType": "api_key",
        "credentialSourceType": "internal" if is_inbound else "external_llm",
        "credentialPublicConfig": dict(_PUBLIC),
        "credentialSecret": secret,
        "enabled": True,
        "relatedResources": [
            {
                "resourceId": f"{each.entry.key.namespace}/{each.name}",
                "resourceName": each.name,
                "resourceType": each.kind,
            }
            for each in naming
        ],
    }


async def _naming(name: str, *, parts: Parts, scope: Scope) -> list[Resource]:
    """Return the resources in sight that name this credential: its Secret, and the key in it."""
    wanted = _reference(name)
    if wanted is None:
        return []
    fresh = await waits_for_changes(parts)
    listed = [await parts.registry.list(kind=kind, scope=scope, fresh=fresh) for kind in TYPES]
    return [
        each
        for resources in listed
        for each in resources
        if wanted in map(_reference, credentials_of(each))
    ]


def _reference(text: str) -> tuple[str, str] | None:
    parts = text.split("/")
    return secret_name_and_key(text) if 1 <= len(parts) <= 2 and all(parts) else None
