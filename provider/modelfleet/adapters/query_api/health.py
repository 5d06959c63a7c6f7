"""What may be asked without credentials: is it alive, is it ready, what does it offer.

Tells strangers nothing about the fleet, the cluster or the accounts.
"""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from modelfleet.adapters.query_api.operations import Operation
from modelfleet.adapters.query_api.parts import Parts


async def healthz(request: Request, parts: Parts) -> Response:  # noqa: ARG001
    """Say that the process answers."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request, parts: Parts) -> Response:  # noqa: ARG001
    """Say whether requests should be sent here.

    They should once everything was listed, and then also while the API server is away: answers go
    on, and say how old they are.
    """
    readiness = parts.readiness
    is_ready = readiness.synced and not readiness.draining
    content = {
        "ready": is_ready,
        "synced": readiness.synced,
        "draining": readiness.draining,
        "age_seconds": math.ceil(parts.catalogue.freshness.age_seconds),
        "accounts": "outdated" if parts.accounts.trouble else "current",
    }
    return JSONResponse(content, status_code=200 if is_ready else 503)


_READY = {
    "title": "Readiness",
    "type": "object",
    "required": ["ready", "synced", "draining", "age_seconds", "accounts"],
    "properties": {
        "ready": {"type": "boolean"},
        "synced": {"type": "boolean", "description": "Whether the fleet was read once."},
        "draining": {"type": "boolean", "description": "Whether the process is ending."},
        "age_seconds": {"type": "integer", "minimum": 0},
        "accounts": {
            "enum": ["current", "outdated"],
            "description": "Outdated: the file has changed and is wrong; the log says how.",
        },
    },
    "additionalProperties": False,
}

OPERATIONS = (
    Operation(
        id="healthz",
        method="GET",
        path="/healthz",
        summary="Whether the process answers",
        tag="health",
        handler=healthz,
        replies={200: None},
    ),
    Operation(
        id="readyz",
        method="GET",
        path="/readyz",
        summary="Whether requests should be sent here",
        tag="health",
        handler=readyz,
        replies={200: _READY, 503: _READY},
    ),
)
