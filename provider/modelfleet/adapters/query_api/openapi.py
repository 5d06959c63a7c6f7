"""The OpenAPI document, from the descriptions that the routes are made of as well. Pure.

A schema with a ``title`` stands under it among the components, once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from modelfleet.adapters.query_api.freshness import AGE, STALE
from modelfleet.adapters.query_api.operations import (
    AGENTRUN_SIGNATURE,
    ZSTACK_ACCESS_KEY,
    ZSTACK_SESSION,
    Operation,
    Parameter,
    Schema,
)
from modelfleet.adapters.query_api.refusal import REQUEST_ID

VERSION: Final = "1"
"""Of the APIs, not of the program: they grow, and break nobody."""

SCHEMES: Final[Mapping[str, Schema]] = {
    AGENTRUN_SIGNATURE: {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`, "
        "as Alibaba Cloud's SDKs sign requests.",
    },
    ZSTACK_SESSION: {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`OAuth <uuid of a session>`; a login makes one.",
    },
    ZSTACK_ACCESS_KEY: {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`ZStack <id of an access key>:<signature>`, with a `Date`.",
    },
}

HEADERS: Final[Mapping[str, Schema]] = {
    REQUEST_ID: {
        "description": "By which the server's log and audit know the request.",
        "schema": {"type": "string"},
    },
    AGE: {
        "description": "For how long changes may have been missed; 0 while they are heard of as "
        "they happen.",
        "schema": {"type": "integer", "minimum": 0},
    },
    STALE: {
        "description": "Why changes may have been missed; absent while none are.",
        "schema": {"type": "string"},
    },
}
"""Of every response."""

_IN_PATH: Final = re.compile(r"\{(\w+)(?::\w+)?\}")


def document_text(operations: Sequence[Operation]) -> str:
    """Return the document as it is served and checked in; equal operations give equal text."""
    return json.dumps(document_of(operations), indent=2, ensure_ascii=False) + "\n"


def document_of(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of all ``operations``."""
    components = _Components()
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        path = _IN_PATH.sub(r"{\1}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = _operation(each, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "modelfleet",
            "version": VERSION,
            "description": "A fleet of LLM inference services on Kubernetes, by the control API "
            "of AgentRun and the query API of ZStack AIOS.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "headers": {name: dict(header) for name, header in HEADERS.items()},
            "securitySchemes": {name: dict(scheme) for name, scheme in SCHEMES.items()},
        },
    }


class _Components:
    """The schemas that have a name."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def taken(self, schema: Any) -> Any:
        """Return ``schema`` with everything that has a name taken out of it.

        Raises:
            ValueError: two different ones have the same name.
        """
        if isinstance(schema, list | tuple):
            return [self.taken(each) for each in schema]
        if not isinstance(schema, Mapping):
            return schema
        # A property may be called "title"; its value is then no text.
        title = schema.get("title")
        inside = {key: self.taken(value) for key, value in schema.items()}
        if not isinstance(title, str):
            return inside
        name = title.replace(" ", "")
        if self.schemas.setdefault(name, inside) != inside:
            raise ValueError(f"two schemas are called {name}")
        return {"$ref": f"#/components/schemas/{name}"}


def _operation(operation: Operation, components: _Components) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
    }
    parameters = [*_parameters(operation, components)]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": components.taken(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    described["responses"] = {
        str(status): _reply(status, schema, components)
        for status, schema in sorted(operation.replies.items())
    }
    if operation.schemes:
        described["security"] = [{scheme: []} for scheme in operation.schemes]
    return described


def _parameters(operation: Operation, components: _Components) -> list[dict[str, Any]]:
    said = {each.name for each in operation.parameters if each.place == "path"}
    of_path = [
        Parameter(name, "", place="path")
        for name in _IN_PATH.findall(operation.path)
        if name not in said
    ]
    return [
        {
            "name": each.name,
            "in": each.place,
            **({"description": each.doc} if each.doc else {}),
            "required": each.required or each.place == "path",
            "schema": components.taken(each.schema),
        }
        for each in (*of_path, *operation.parameters)
    ]


def _reply(status: int, schema: Schema | None, components: _Components) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS},
    }
    if schema is None:
        described["content"] = {"text/plain": {"schema": {"type": "string"}}}
    else:
        described["content"] = {"application/json": {"schema": components.taken(schema)}}
    return described
