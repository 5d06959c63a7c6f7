"""The bodies of the API as JSON Schemas, those of services from the table of fields. Pure."""

from __future__ import annotations

from typing import Any, Final

from modelfleet.adapters.query_api.operations import Schema
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS, Field, Kind
from modelfleet.adapters.query_api.zstack_api.login import ACTION

_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}


def _field(field: Field) -> dict[str, Any]:
    return {**_shape(field), "description": field.doc}


def _shape(field: Field) -> dict[str, Any]:
    match field.kind:
        case Kind.INT | Kind.LONG:
            return {"type": ["integer", "null"]}
        case Kind.BOOL:
            return {"type": ["boolean", "null"]}
        case Kind.TEXTS:
            return {"type": ["array", "null"], "items": _TEXT}
        case Kind.MAP:
            values = {"type": "array", "items": _TEXT}
            return {"type": ["object", "null"], "additionalProperties": values}
        case Kind.OBJECTS:
            return {"type": "array", "items": _item(field)}
        case _:
            return dict(_TEXT_OR_NULL)


def _item(field: Field) -> dict[str, Any]:
    return {
        "title": field.item,
        "type": "object",
        "required": [part.name for part in field.parts],
        "properties": {
            part.name: {**_TEXT_OR_NULL, "description": part.doc} for part in field.parts
        },
        "additionalProperties": False,
    }


INVENTORY: Final[Schema] = {
    "title": "ModelServiceInventory",
    "description": "All fields, or those that `fields` names.",
    "type": "object",
    "properties": {field.name: _field(field) for field in FIELDS},
    "additionalProperties": False,
}

QUERY_REPLY: Final[Schema] = {
    "title": "QueryModelServiceReply",
    "type": "object",
    "required": ["schema"],
    "properties": {
        "inventories": {"type": "array", "items": INVENTORY},
        "total": {"type": "integer", "minimum": 0},
        "schema": {
            "type": "object",
            "description": "What stands at each place of the answer, by its path.",
            "additionalProperties": _TEXT,
        },
    },
    "additionalProperties": False,
}

_ERROR_CODE: Final[Schema] = {
    "title": "ErrorCode",
    "type": "object",
    "required": ["code", "description", "details"],
    "properties": {
        "code": {"type": "string", "description": "Such as SYS.1007 or ID.1001."},
        "description": {"type": "string", "description": "What the code means in general."},
        "details": {"type": "string", "description": "What is wrong here."},
        "elaboration": {"type": ["string", "null"], "description": "What to do about it."},
        "location": _TEXT_OR_NULL,
        "cost": _TEXT_OR_NULL,
        "opaque": {"type": ["object", "null"]},
        "cause": {"type": ["object", "null"], "description": "The error behind it, if any."},
        "causes": {"type": ["array", "null"]},
    },
    "additionalProperties": False,
}

ERROR_REPLY: Final[Schema] = {
    "title": "ErrorReply",
    "type": "object",
    "required": ["error"],
    "properties": {"error": _ERROR_CODE},
    "additionalProperties": False,
}

LOGIN: Final[Schema] = {
    "title": "LogInByAccount",
    "type": "object",
    "required": [ACTION],
    "properties": {
        ACTION: {
            "type": "object",
            "required": ["accountName", "password"],
            "properties": {
                "accountName": _TEXT,
                "password": {
                    "type": "string",
                    "description": "SHA-512 of the password, in hex.",
                },
            },
        }
    },
}

LOGIN_REPLY: Final[Schema] = {
    "title": "LogInReply",
    "type": "object",
    "required": ["inventory"],
    "properties": {
        "inventory": {
            "title": "SessionInventory",
            "type": "object",
            "required": ["uuid", "accountUuid", "userUuid", "expiredDate", "createDate"],
            "properties": {
                "uuid": {"type": "string", "description": "What `Authorization: OAuth` takes."},
                "accountUuid": _TEXT,
                "userUuid": _TEXT,
                "userType": _TEXT_OR_NULL,
                "expiredDate": _TEXT,
                "createDate": _TEXT,
            },
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}

VALID_REPLY: Final[Schema] = {
    "title": "ValidateSessionReply",
    "type": "object",
    "required": ["valid"],
    "properties": {"valid": {"type": "boolean"}},
    "additionalProperties": False,
}

LOGOUT_REPLY: Final[Schema] = {
    "title": "LogOutReply",
    "type": "object",
    "additionalProperties": False,
}
