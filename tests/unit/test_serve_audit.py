"""The audit: one line of JSON for each write, whatever somebody calls things."""

from __future__ import annotations

import json
import logging

import pytest
from starlette.requests import Request

from modelfleet.adapters.query_api.audit import LOGGER, Audit


def request() -> Request:
    return Request({"type": "http", "client": ("192.0.2.7", 1), "state": {"request_id": "ID"}})


def test_a_line_says_who_did_what_to_whom_and_what_came_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    Audit().write(
        request(),
        account="ci",
        verb="update",
        kind="ModelService",
        namespace="models",
        name="qwen",
        outcome="refused",
        status=409,
        before="a1",
        error="ConflictError",
    )
    line = json.loads(caplog.messages[0])
    assert line.pop("time").endswith("Z")
    assert line == {
        "request_id": "ID",
        "account": "ci",
        "client": "192.0.2.7",
        "verb": "update",
        "kind": "ModelService",
        "namespace": "models",
        "name": "qwen",
        "outcome": "refused",
        "before": "a1",
        "error": "ConflictError",
        "status": 409,
    }


@pytest.mark.parametrize("name", ['a\n{"account": "admin"}', "a\r\x1b[2J\u2028", "x" * 100_000])
def test_no_name_breaks_a_line_or_makes_another_one(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    Audit().write(
        request(), account="", verb="create", kind="K", name=name, outcome="refused", status=400
    )
    (message,) = caplog.messages
    assert message.isprintable() and message.isascii() and len(message) < 600
    assert json.loads(message)["name"] == name[:256]
