"""What is told of a service and a proxy, in Python and on the wire: all there is, and no secret.

Entries are rendered, recorded and read again, so that what is told is what a cluster holds.
"""

from __future__ import annotations

import copy
import json
from datetime import datetime
from typing import Any

import pytest
from agentrun_entries import OWNER, entry_in, entry_of, primary_of, recorded, unreadable
from declarations import (
    FULL_RUNTIME,
    external,
    external_declarations,
    hosted,
    hosted_declarations,
)
from hypothesis import given, settings
from proxy_declarations import proxies, proxy, route

from modelfleet import labels
from modelfleet.agentrun.fields import FIELDS, Source
from modelfleet.agentrun.names import Status
from modelfleet.agentrun.told import fields_of, status_on_the_wire, told_of, wire_of
from modelfleet.cluster.readiness import Failed
from modelfleet.cluster.reasons import Code, Reason

SERVICE, PROXY = "ModelService", "ModelProxy"
RUNS = {"runtime_version": None, "runtime": FULL_RUNTIME}
HUSH = "hush-hush-hush-0123456789"


def test_an_external_service_is_told_as_agentrun_tells_it() -> None:
    declared = external(
        {"api_key": HUSH, "model_names": ["m"]}, namespace="models", provider="openai"
    )
    told = fields_of(entry_of(declared, kind=SERVICE))
    assert told == {
        "model_service_name": "qwen",
        "model_type": "llm",
        "provider": "openai",
        "workspace_id": None,
        "model_info_configs": [],
        "provider_settings": {"base_url": "https://api.example.com/v1", "model_names": ["m"]},
        "credential_name": None,
        "model_service_id": "models/qwen",
        "deployment": None,
        "model_names": ["m"],
        "access_name": "qwen",
        "gpu_total": 0,
        "replicas": 0,
        "ready_replicas": 0,
        "description": None,
        "network_configuration": {"network_mode": "PRIVATE", "allow_from": []},
        "status": "READY",
        "status_reason": None,
        "created_at": "2026-11-21T10:26:48.000000Z",
        "last_updated_at": "2026-11-21T10:26:48.000000Z",
        "tags": {},
        "deletion_protection": False,
        "adopt": None,
        "wait": None,
        "namespace": "models",
        "cluster": "default",
        "owner": OWNER,
        "endpoint": "https://api.example.com",
        "base_url": "https://api.example.com/v1",
    }


def test_a_hosted_service_is_told_with_the_address_and_the_names_that_answer() -> None:
    declared = hosted(
        RUNS,
        namespace="models",
        workspace_id="team",
        provider_settings={"model_names": ["alias"]},
    )
    told = fields_of(entry_of(declared, kind=SERVICE))
    assert told["provider_settings"] == {
        "base_url": "http://qwen.models.svc/v1",
        "model_names": ["team/qwen", "alias"],
    }
    assert told["access_name"] == "team/qwen"
    assert told["deployment"]["model"] == {"uri": "hf://org/model"}


def test_a_proxy_is_told_as_agentrun_tells_it() -> None:
    declared = proxy(
        proxy_config={"endpoints": [{"model_service_name": {"id": "models/chat"}, "weight": 70}]},
        litellm_version="1.108.10",
    )
    told = fields_of(entry_of(declared, kind=PROXY))
    assert told["proxy_config"] == {"endpoints": [{"model_service_name": "chat", "weight": 70}]}
    assert (told["cpu"], told["memory"], told["proxy_mode"]) == (2, 4096, "single")
    assert told["endpoint"] == "http://gateway-proxy.models.svc"
    assert told["base_url"] == "http://gateway-proxy.models.svc/v1"
    assert told["model_proxy_id"] == "models/gateway"
    nowhere = {name for name, field in FIELDS[PROXY].items() if field.source is Source.NOWHERE}
    assert {told[name] for name in nowhere} == {None}


@pytest.mark.parametrize("kind", [SERVICE, PROXY])
def test_every_field_of_the_table_is_told_and_no_other(kind: str) -> None:
    entry = entry_of(external() if kind == SERVICE else proxy(), kind=kind)
    assert list(fields_of(entry)) == list(FIELDS[kind])


def test_what_is_told_is_the_callers_to_change() -> None:
    declared = hosted(
        {**RUNS, "env": {"A": "1"}},
        tags={"a": "b"},
        model_info_configs=[{"model_name": "m", "model_properties": {"context_size": 1}}],
    )
    entry = entry_of(declared, kind=SERVICE)
    before = copy.deepcopy(fields_of(entry))
    told = fields_of(entry)
    told["deployment"]["env"]["A"] = "2"
    told["tags"].clear()
    told["network_configuration"]["allow_from"].append({})
    told["model_info_configs"][0]["model_properties"]["context_size"] = 2
    told["provider_settings"]["model_names"].clear()
    assert fields_of(entry) == before


def test_times_are_read_by_the_format_of_agentruns_own_tests() -> None:
    told = wire_of(fields_of(entry_of(external(), kind=SERVICE)), kind=SERVICE)
    for name in ("createdAt", "lastUpdatedAt"):
        moment = datetime.strptime(told[name], "%Y-%m-%dT%H:%M:%S.%f%z")
        assert moment.isoformat() == "2026-11-21T10:26:48+00:00"


def test_a_failure_says_why() -> None:
    failed = Failed((Reason(Code.CRASH_LOOP, "Pod qwen-1: exits with 1"),))
    entry = entry_of(hosted(RUNS), kind=SERVICE, outcome=failed)
    told = fields_of(entry)
    assert told["status"] == "CREATE_FAILED"
    assert "Pod qwen-1: exits with 1" in told["status_reason"]


# -- the wire --------------------------------------------------------------------------------------

_OURS = (Status.STOPPED, Status.DEGRADED)

WIRE_STATUSES: list[tuple[str, str, str | None, str | None]] = [
    *((str(status), "", str(status), None) for status in Status if status not in _OURS),
    ("CREATE_FAILED", "no node has 8 GPUs.", "CREATE_FAILED", "no node has 8 GPUs."),
    ("STOPPED", "", None, "STOPPED: no replicas are declared."),
    ("DEGRADED", "1 of 2 replicas serve.", "READY", "DEGRADED: 1 of 2 replicas serve."),
    ("DEGRADED", "", "READY", "DEGRADED"),
]
_AGENTRUNS = {
    "CREATING",
    "CREATE_FAILED",
    "UPDATING",
    "UPDATE_FAILED",
    "READY",
    "DELETING",
    "DELETE_FAILED",
}


@pytest.mark.parametrize(("status", "reason", "word", "why"), WIRE_STATUSES)
def test_the_wire_has_agentruns_words_for_a_status_and_says_what_they_leave_out(
    status: str, reason: str, word: str | None, why: str | None
) -> None:
    entry = entry_of(hosted(RUNS), kind=SERVICE, status=status, status_reason=reason)
    told = fields_of(entry)
    assert told["status"] == status
    wire = wire_of(told, kind=SERVICE)
    assert (wire["status"], wire.get("statusReason")) == (word, why)
    assert wire["status"] in _AGENTRUNS | {None}
    assert status_on_the_wire(status, reason or None) == (word, why)


def test_the_wire_leaves_out_what_is_not_known_but_for_the_status() -> None:
    wire = wire_of(fields_of(entry_of(external(), kind=SERVICE)), kind=SERVICE)
    assert None not in wire.values()
    assert wire_of({}, kind=SERVICE) == {"status": None}


def test_the_wire_spells_fields_in_camel_case_and_keys_as_they_are() -> None:
    declared = hosted(
        {**RUNS, "env": {"MY_VAR": "x"}, "node_selector": {"my_pool": "a"}, "memory_gib": 8},
        tags={"cost_center": "1"},
        model_info_configs=[
            {"model_name": "m", "model_parameter_rules": [{"name": "top_p", "default": {"a_b": 1}}]}
        ],
    )
    wire = wire_of(fields_of(entry_of(declared, kind=SERVICE)), kind=SERVICE)
    assert wire["deployment"]["memoryGib"] == 8
    assert wire["deployment"]["env"] == {"MY_VAR": "x"}
    assert wire["deployment"]["nodeSelector"] == {"my_pool": "a"}
    assert wire["tags"] == {"cost_center": "1"}
    assert wire["modelInfoConfigs"] == [
        {"modelName": "m", "modelParameterRules": [{"name": "top_p", "default": {"a_b": 1}}]}
    ]
    routed = proxy(routes={"some_name": route("chat")}, api_keys={"a_b": {"generate": {}}})
    wire = wire_of(fields_of(entry_of(routed, kind=PROXY)), kind=PROXY)
    assert wire["routes"] == {"some_name": {"targets": [{"service": "chat"}]}}
    assert wire["apiKeys"] == {"a_b": {"generate": {}}}


# -- what nobody is told -------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(hosted_declarations | external_declarations | proxies)
def test_no_secret_is_ever_told(declaration: dict[str, Any]) -> None:
    kind = PROXY if "model_proxy_name" in declaration else SERVICE
    declared = {"namespace": "models", **declaration}
    for each in (declared, recorded(declared, kind=kind) or declared):
        told = told_of(each, kind=kind)
        assert "hush" not in json.dumps([told, wire_of(told, kind=kind)])


def test_a_place_for_a_secret_is_not_told_either() -> None:
    told = fields_of(entry_of(external({"api_key": HUSH}), kind=SERVICE))
    assert "api_key" not in told["provider_settings"]
    told = fields_of(entry_of(hosted({**RUNS, "secret_env": {"A": HUSH}}), kind=SERVICE))
    assert "secret_env" not in told["deployment"]
    told = fields_of(
        entry_of(proxy(api_keys={"a": {"key": HUSH, "limits": {"rpm": 5}}}), kind=PROXY)
    )
    assert told["api_keys"] == {"a": {"limits": {"rpm": 5}}}


# -- records that cannot be read -----------------------------------------------------------------

SPOILT: list[tuple[str, str | None, str]] = [
    ("by hand", "{", "cannot be read: it is not the JSON that modelfleet writes"),
    ("a newer one", '{"v": 99}', "it was made by a newer one"),
    ("without parts", '{"v": 1}', "is missing or wrong"),
]


@pytest.mark.parametrize("kind", [SERVICE, PROXY])
@pytest.mark.parametrize(("record", "told"), [pytest.param(*row[1:], id=row[0]) for row in SPOILT])
def test_of_a_record_that_cannot_be_read_there_is_told_why(
    kind: str, record: str, told: str
) -> None:
    entry = entry_of(hosted(RUNS) if kind == SERVICE else proxy(), kind=kind)
    fields = fields_of(unreadable(entry, record=record))
    assert list(fields) == list(FIELDS[kind])
    assert told in fields["status_reason"]
    name = "model_service_name" if kind == SERVICE else "model_proxy_name"
    assert fields[name] == entry.key.name
    assert fields[name.replace("name", "id")] == entry.service.id
    assert (fields["status"], fields["owner"]) == (entry.service.status, OWNER)
    wire = wire_of(fields, kind=kind)
    assert told in wire["statusReason"]


def test_a_record_of_another_form_says_which_field_is_not_understood() -> None:
    primary = primary_of(external(), kind=SERVICE)
    entry = entry_in(primary)
    record = json.loads(primary["metadata"]["annotations"][labels.RECORD])
    record["spec"]["novelty"] = {"of": "tomorrow"}
    fields = fields_of(unreadable(entry, record=json.dumps(record)))
    assert "novelty: unknown field" in fields["status_reason"]
    assert "tomorrow" not in fields["status_reason"]


def test_why_a_record_cannot_be_read_stands_before_why_it_does_not_serve() -> None:
    entry = entry_of(hosted(RUNS), kind=SERVICE, status="CREATE_FAILED", status_reason="No node.")
    reason: Any = fields_of(unreadable(entry, record="{"))["status_reason"]
    assert reason.endswith("No node.")
    assert "cannot be read" in reason
