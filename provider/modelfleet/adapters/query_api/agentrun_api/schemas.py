"""The bodies of AgentRun's control API, for the OpenAPI document: derived, not written down anew.

Inputs are those of ``agentrun/shapes.py``; what is told is the table in ``agentrun/fields.py``,
whose values have the shapes of the reference. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from modelfleet.adapters.query_api.operations import Schema
from modelfleet.agentrun.fields import FIELDS
from modelfleet.agentrun.names import Status

_TEXT: Final = {"type": "string"}
_NOT_ON_THE_WIRE: Final = (Status.STOPPED, Status.DEGRADED)
_COUNT: Final = {"type": "integer", "minimum": 0}
_TOLD: Final[Mapping[str, Schema]] = {
    "status": {
        "enum": [*(each.value for each in Status if each not in _NOT_ON_THE_WIRE), None],
        "description": "null where it is stopped; statusReason says so.",
    },
    "statusReason": _TEXT,
    "createdAt": _TEXT,
    "lastUpdatedAt": _TEXT,
}
_GENERATED: Final = {
    "type": "object",
    "additionalProperties": _TEXT,
    "description": "Callers' keys that this call has made, by name; told this once.",
}

ERROR: Final[Schema] = {
    "title": "AgentRunError",
    "type": "object",
    "required": ["code", "message", "requestId"],
    "properties": {"code": _TEXT, "message": _TEXT, "requestId": _TEXT},
    "additionalProperties": False,
}

OPENAI_ERROR: Final[Schema] = {
    "title": "OpenAIError",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}

PROVIDER: Final[Schema] = {
    "title": "ModelProvider",
    "type": "object",
    "properties": {
        "providerName": {"type": ["string", "null"]},
        "provider": {"type": ["string", "null"]},
        "baseUrl": {"type": ["string", "null"]},
        "modelType": {"type": ["string", "null"]},
        "models": {"type": "array", "items": _TEXT},
        "modelNames": {"type": "array", "items": _TEXT},
        "modelInfoConfigs": {"type": "array", "items": {"type": "object"}},
    },
    "additionalProperties": False,
}

CREDENTIAL: Final[Schema] = {
    "title": "Credential",
    "type": "object",
    "properties": {
        "credentialId": _TEXT,
        "credentialName": _TEXT,
        "credentialAuthType": _TEXT,
        "credentialSourceType": _TEXT,
        "credentialPublicConfig": {"type": "object", "additionalProperties": _TEXT},
        "credentialSecret": _TEXT,
        "enabled": {"type": "boolean"},
        "relatedResources": {"type": "array", "items": {"type": "object"}},
    },
    "additionalProperties": False,
}


def input_schema(model: type[BaseModel]) -> Schema:
    """Return the schema of a body that is read as ``model``, parts under their own titles."""
    whole = model.model_json_schema(by_alias=True)
    parts = whole.pop("$defs", {})
    return {**_named(whole, parts), "title": model.__name__}


def told_schema(kind: str) -> Schema:
    """Return the schema of what is told of a service or a proxy."""
    properties: dict[str, Schema] = {
        each.wire: _TOLD.get(each.wire, {"description": each.differs} if each.differs else {})
        for each in FIELDS[kind].values()
    }
    return {
        "title": kind,
        "type": "object",
        "required": ["status"],
        "properties": {**properties, "generatedKeys": _GENERATED},
        "additionalProperties": False,
    }


def reply_schema(data: Schema) -> Schema:
    """Return the schema of a reply that holds ``data``."""
    return {
        "type": "object",
        "required": ["code", "requestId", "data"],
        "properties": {"code": {"const": "SUCCESS"}, "requestId": _TEXT, "data": data},
        "additionalProperties": False,
    }


def page_schema(item: Schema) -> Schema:
    """Return the schema of a reply that holds one page of items."""
    return reply_schema(
        {
            "type": "object",
            "required": ["items", "pageNumber", "pageSize", "total"],
            "properties": {
                "items": {"type": "array", "items": item},
                "pageNumber": _COUNT,
                "pageSize": _COUNT,
                "total": _COUNT,
            },
            "additionalProperties": False,
        }
    )


def _named(schema: Any, parts: Mapping[str, Any]) -> Any:
    """Return a schema of pydantic with its parts in place, and no titles but theirs."""
    if isinstance(schema, list):
        return [_named(each, parts) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return {**_named(parts[name], parts), "title": name}
    return {
        # A property may be called "title"; its value is then no text.
        key: _named(value, parts)
        for key, value in schema.items()
        if key != "title" or not isinstance(value, str)
    }
