"""The operations of ZStack's query API: what is routed and described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modelfleet.adapters.query_api.operations import (
    ZSTACK_ACCESS_KEY,
    ZSTACK_SESSION,
    Operation,
    Parameter,
    Schema,
)
from modelfleet.adapters.query_api.zstack_api import login, model_services, schemas
from modelfleet.adapters.query_api.zstack_api.model_services import written_elsewhere
from modelfleet.adapters.query_api.zstack_api.parameters import PARAMETERS

ROOT: Final = "/zstack/v1"

_SERVICES: Final = f"{ROOT}/ai/model-services"
_SERVICE: Final = f"{_SERVICES}/{{uuid}}"
_SESSION: Final = f"{ROOT}/accounts/sessions/{{uuid}}"
_TAG: Final = "zstack"
_SCHEMES: Final = (ZSTACK_SESSION, ZSTACK_ACCESS_KEY)
_INTEGER: Final[Schema] = {"type": "integer", "minimum": 0}
_BOOLEAN: Final[Schema] = {"type": "boolean"}
_REPEATED: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_PARAMETER_SCHEMAS: Final[Mapping[str, Schema]] = {
    "q": _REPEATED,
    "limit": _INTEGER,
    "start": _INTEGER,
    "count": _BOOLEAN,
    "replyWithCount": _BOOLEAN,
}

_UNPROVED: Final[Mapping[int, Schema | None]] = {
    400: None,
    429: None,
    503: schemas.ERROR_REPLY,
}
_PROVED: Final[Mapping[int, Schema | None]] = {**_UNPROVED, 403: None}


def _write(name: str, method: str, path: str, verb: str, summary: str) -> Operation:
    return Operation(
        id=name,
        method=method,  # type: ignore[arg-type]
        path=path,
        summary=f"{summary}: refused, and told what to do instead",
        tag=_TAG,
        handler=written_elsewhere(verb),
        replies=_PROVED,
        schemes=_SCHEMES,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="zstackLogInByAccount",
        method="PUT",
        path=f"{ROOT}/accounts/login",
        summary="Open a session",
        tag=_TAG,
        handler=login.log_in,
        replies={200: schemas.LOGIN_REPLY, 413: None, **_UNPROVED},
        body=schemas.LOGIN,
    ),
    Operation(
        id="zstackValidateSession",
        method="GET",
        path=f"{_SESSION}/valid",
        summary="Whether a session can be used",
        tag=_TAG,
        handler=login.is_valid,
        replies={200: schemas.VALID_REPLY, **_UNPROVED},
    ),
    Operation(
        id="zstackLogOut",
        method="DELETE",
        path=_SESSION,
        summary="End a session",
        tag=_TAG,
        handler=login.log_out,
        replies={200: schemas.LOGOUT_REPLY, **_UNPROVED},
    ),
    Operation(
        id="zstackQueryModelService",
        method="GET",
        path=_SERVICES,
        summary="Services that fulfil all conditions",
        tag=_TAG,
        handler=model_services.query,
        replies={200: schemas.QUERY_REPLY, **_PROVED},
        parameters=[
            Parameter(name, doc, _PARAMETER_SCHEMAS.get(name, {"type": "string"}))
            for name, doc in PARAMETERS.items()
        ],
        schemes=_SCHEMES,
    ),
    Operation(
        id="zstackGetModelService",
        method="GET",
        path=_SERVICE,
        summary="The service of a UUID, as a list of one or none",
        tag=_TAG,
        handler=model_services.get,
        replies={200: schemas.QUERY_REPLY, **_PROVED},
        schemes=_SCHEMES,
    ),
    _write("zstackAddModelService", "POST", _SERVICES, "create", "Add a service"),
    _write("zstackCloneModelService", "POST", _SERVICE, "create", "Copy a service"),
    _write("zstackUpdateModelService", "PUT", _SERVICE, "update", "Change or deploy a service"),
    _write(
        "zstackActOnModelService", "PUT", f"{_SERVICE}/actions", "update", "The same, as SDKs do it"
    ),
    _write("zstackDeleteModelService", "DELETE", _SERVICE, "delete", "Delete a service"),
)
