"""The OpenAPI document says what is routed, and says it as the standard wants."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from served import asking, parts
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from modelfleet.adapters.query_api.application import application
from modelfleet.adapters.query_api.openapi import HEADERS, SCHEMES, document_of, document_text
from modelfleet.adapters.query_api.operations import Operation, Parameter
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.server import FORMS, OPERATIONS
from modelfleet.codegen.__main__ import generated

CHECKED_IN = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


async def answer(request: Request, parts: Parts) -> Response:
    return PlainTextResponse(request.path_params["name"])


PART = {"title": "Part", "type": "object", "properties": {"title": {"type": "string"}}}
THING = Operation(
    "getThing",
    "GET",
    "/things/{name:path}",
    "One thing",
    "things",
    answer,
    {200: {"title": "Thing", "type": "object", "properties": {"part": PART}}, 404: None},
    parameters=(Parameter("limit", "How many.", {"type": "integer"}),),
    schemes=("zstackSession",),
)


def described(operations: tuple[Operation, ...] = OPERATIONS) -> dict[str, Any]:
    return document_of(operations)


def operations_in(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method.upper(), each)
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    ]


def test_schemas_with_a_title_are_named_once_wherever_they_stand() -> None:
    document = described((THING,))
    schemas = document["components"]["schemas"]
    assert schemas["Thing"]["properties"]["part"] == {"$ref": "#/components/schemas/Part"}
    assert schemas["Part"]["properties"] == {"title": {"type": "string"}}
    responses = document["paths"]["/things/{name}"]["get"]["responses"]
    content = responses["200"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert list(responses["404"]["content"]) == ["text/plain"]


def test_two_schemas_of_one_title_are_a_mistake_of_ours() -> None:
    other = Operation(
        "b", "GET", "/b", "", "t", answer, {200: {"title": "Thing", "type": "string"}}
    )
    with pytest.raises(ValueError, match="two schemas are called Thing"):
        described((THING, other))


def test_parameters_in_a_path_are_described_without_being_asked_for() -> None:
    (_, _, thing) = operations_in(described((THING,)))[0]
    assert [(each["name"], each["in"], each["required"]) for each in thing["parameters"]] == [
        ("name", "path", True),
        ("limit", "query", False),
    ]


def test_every_operation_is_described_once_under_an_id_of_its_own() -> None:
    found = operations_in(described())
    ids = [each["operationId"] for _, _, each in found]
    assert len(set(ids)) == len(ids) == len(OPERATIONS)
    for _, _, each in found:
        assert each["summary"] and each["tags"] and each["responses"]
        assert {name for one in each.get("security", []) for name in one} <= set(SCHEMES)


def test_what_is_routed_is_what_is_described() -> None:
    routed = {
        (re.sub(r":\w+}", "}", route.path), method)
        for route in application(parts(), OPERATIONS, forms=FORMS).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    health = {("/healthz", "GET"), ("/readyz", "GET"), ("/openapi.json", "GET")}
    assert routed - health == {(path, method) for path, method, _ in operations_in(described())}


def test_every_schema_is_one() -> None:
    document = described()
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema), name
    # References lead somewhere.
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)):
        assert reference in document["components"]["schemas"]


def test_every_response_is_described_with_the_headers_that_all_have() -> None:
    for _, _, each in operations_in(described()):
        for response in each["responses"].values():
            assert set(response["headers"]) == set(HEADERS)


async def test_the_document_is_served_as_it_is_checked_in() -> None:
    async with asking(parts(), OPERATIONS, forms=FORMS) as http:
        served = (await http.get("/openapi.json")).text
    assert served == CHECKED_IN.read_text("utf-8")
    assert dict(generated())[Path("docs/reference/openapi.json")] == served


def test_equal_operations_give_equal_text() -> None:
    assert document_text(OPERATIONS) == document_text(OPERATIONS)
