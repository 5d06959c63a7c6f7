"""Queries over services: every operator on every kind of field, order, pages, groups."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.zstack_api.error_codes import ApiError, Code, RequestError
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS
from modelfleet.adapters.query_api.zstack_api.parameters import query_of
from modelfleet.adapters.query_api.zstack_api.queries import answer_of, find
from modelfleet.adapters.query_api.zstack_api.rows import Row, Rows
from zstack_fleet import EXTERNAL, HOSTED, service, snapshot_of

SMALL = {
    **HOSTED,
    "description": "50% of what=it!=was",
    "tags": {"team": "chat"},
    "deployment": {
        "model": {"uri": "hf://Qwen/Qwen3-0.6B"},
        "gpu": {"vendor": "amd"},
        "cpu": 2,
        "memory_gib": 8,
    },
}


@pytest.fixture(scope="module")
def rows() -> Sequence[Row]:
    """Three services: ``embed`` (external, no tags), ``large`` and ``small`` (hosted)."""
    objects = [service("large"), service("small", of=SMALL), service("embed", of=EXTERNAL)]

    async def read() -> Sequence[Row]:
        return await Rows().seen_by(Account("all", namespaces=None), await snapshot_of(objects))

    return asyncio.run(read())


def answer(rows: Sequence[Row], *conditions: str, **parameters: str) -> Any:
    pairs = [*(("q", each) for each in conditions), *parameters.items()]
    asked = query_of(pairs)
    return json.loads(answer_of(asked, asyncio.run(find(asked, rows))))


def names(rows: Sequence[Row], *conditions: str, **parameters: str) -> str:
    return " ".join(each["name"] for each in answer(rows, *conditions, **parameters)["inventories"])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name=small", "small"),
        ("name!=small", "embed large"),
        ("name>embed", "large small"),
        ("name>=large", "large small"),
        ("name<large", "embed"),
        ("name<=large", "embed large"),
        ("name?=small,embed,none", "embed small"),
        ("name!?=small,embed", "large"),
        ("name~=%a%", "large small"),
        ("name!~=%a%", "embed"),
        ("description is null", "embed"),
        ("description not null", "large small"),
        ("description=null", "embed"),
        ("description!=null", "large small"),
        ("description=50% of what=it!=was", "small"),
        (r"description~=50\%%", "small"),
        ("description=", ""),
        # In SQL nothing is known of what has no value, so it is not "different" either.
        ("description!=x", "large small"),
        ("requestCpu=8", "large"),
        ("requestCpu>=2", "large small"),
        ("requestCpu<8", "small"),
        ("requestCpu!=8", "small"),
        ("requestCpu?=2,3", "small"),
        ("requestCpu~=_", "large small"),
        ("requestCpu is null", "embed"),
        ("requestMemory=103079215104", "large"),
        ("system=false", "embed large small"),
        ("system=TRUE", ""),
        ("system!=true", "embed large small"),
        ("hasNewVersion?=true,false", "large small"),
        ("hasNewVersion~=f%", "large small"),
        ("createDate=2026-11-02T13:04:05Z", "embed large small"),
        ("createDate=Nov 2, 2026 1:04:05 PM", "embed large small"),
        ("createDate>2026-11-02", "embed large small"),
        ("createDate>2026-11-03", ""),
        ("createDate~=Nov 2, 2026%", "embed large small"),
        ("cpuArchitectures=x86_64", "large"),
        ("cpuArchitectures!=x86_64", "embed small"),
        ("cpuArchitectures is null", "embed small"),
        ("cpuArchitectures not null", "large"),
        ("vendorToSpecUuidsMap=NVIDIA", "large"),
        ("vendorToSpecUuidsMap?=NVIDIA,AMD", "large small"),
        ("modelServiceImages.dockerImage~=%vllm%", "large small"),
        ("modelServiceImages.acceleratorType=AMD", "small"),
        ("modelServiceImages.vmImageUuid not null", ""),
        ("modelServiceImages is null", "embed"),
        ("modelServiceRefs not null", "large small"),
        ("__userTag__=team::search", "large"),
        ("__userTag__~=team::%", "large small"),
        ("__userTag__!=team::search", "embed small"),
        ("__userTag__ is null", "embed"),
        ("__systemTag__=kind::external", "embed"),
        ("__systemTag__=status::READY", "embed large small"),
        ("__systemTag__=namespace::models", "embed large small"),
        ("__systemTag__=workspace::default", "embed large small"),
        ("__systemTag__=owner::acme/models/prod", "embed large small"),
        ("__systemTag__=cluster::default", "embed large small"),
        ("__systemTag__=provider::openai", "embed"),
        ("__systemTag__=modelType::text-embedding", "embed"),
        ("__systemTag__=gpuVendor::amd", "small"),
        ("__systemTag__?=gpuVendor::amd,gpuVendor::nvidia", "large small"),
        ("__systemTag__!?=gpuVendor::amd,gpuVendor::nvidia", "embed"),
    ],
)
def test_a_condition_holds_for(rows: Sequence[Row], condition: str, expected: str) -> None:
    assert names(rows, condition) == expected


def test_all_conditions_must_hold_and_equal_ones_count_once(rows: Sequence[Row]) -> None:
    assert names(rows) == "embed large small"
    assert names(rows, "name~=%a%", "requestCpu>2") == "large"
    assert names(rows, *["name=small"] * 200) == "small"


def test_services_of_the_same_weights_refer_to_the_same_model(rows: Sequence[Row]) -> None:
    [large] = answer(rows, "name=large")["inventories"]
    [reference] = large["modelServiceRefs"]
    assert reference["modelServiceUuid"] == large["uuid"]
    assert names(rows, f"modelServiceRefs.modelUuid={reference['modelUuid']}") == "large"


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("nmae=x", "Did you mean name?"),
        ("Name=x", "Did you mean name?"),
        ("modelServiceImage.dockerImage=x", "Did you mean modelServiceImages.dockerImage?"),
        ("zzz=x", "It has: uuid, name"),
        ("na-me=x", "no field [na-me]"),
        ("requestCpu=many", "[requestCpu] is a whole number, not [many]"),
        ("requestCpu=", "[requestCpu] is a whole number"),
        ("requestCpu>1.5", "whole number"),
        ("requestCpu=" + "9" * 5_000, "whole number"),
        ("requestCpu=٣", "whole number"),
        ("system=yes", "[system] is true or false, not [yes]"),
        ("system>true", "[system] is true or false"),
        ("createDate>yesterday", "[createDate] is a point in time, not [yesterday]"),
        ("modelServiceRefs=x", "[modelServiceRefs] holds objects"),
        ("name~=" + "%x" * 129, "a pattern of 258 characters is too long"),
    ],
)
def test_a_condition_that_can_never_hold_is_an_error_that_says_why(
    condition: str, says: str
) -> None:
    with pytest.raises(ApiError) as raised:
        query_of([("q", condition)])
    assert raised.value.error.code is Code.INVALID_ARGUMENT
    assert says in raised.value.error.details
    assert len(raised.value.error.details) < 1_000


def test_pages_are_of_the_order_that_is_asked_for(rows: Sequence[Row]) -> None:
    assert names(rows, limit="2") == "embed large"
    assert names(rows, limit="2", start="2") == "small"
    assert names(rows, limit="0") == ""
    assert names(rows, start="99") == ""
    assert names(rows, sort="-name") == "small large embed"
    assert names(rows, sort="+name") == names(rows, sort=" name") == names(rows, sort="name")
    # As in MySQL, what has no value comes first, and last in descending order.
    assert names(rows, sort="requestCpu") == "embed small large"
    assert names(rows, sort="-requestCpu") == "large small embed"
    assert names(rows, sort="createDate") == names(rows, sort="-createDate") == names(rows)


def test_a_count_is_of_all_that_match(rows: Sequence[Row]) -> None:
    assert answer(rows, "name~=%a%", count="true") == {"total": 2, "schema": {}}
    counted = answer(rows, replyWithCount="true", limit="1")
    assert (counted["total"], len(counted["inventories"])) == (3, 1)
    assert "total" not in answer(rows, replyWithCount="yes", count="1")


def test_only_the_fields_that_are_asked_for_are_returned(rows: Sequence[Row]) -> None:
    assert answer(rows, "name=small", fields="requestCpu, name,name")["inventories"] == [
        {"name": "small", "requestCpu": 2}
    ]
    whole = answer(rows, "name=small")["inventories"]
    assert list(whole[0]) == [field.name for field in FIELDS]
    assert answer(rows, "name=small", fields=",".join(whole[0]))["inventories"] == whole


def test_groups_are_told_by_their_first_service(rows: Sequence[Row]) -> None:
    assert names(rows, groupBy="framework") == "embed large"
    assert names(rows, groupBy="framework", sort="-name") == "small embed"
    assert answer(rows, groupBy="framework", count="true")["total"] == 2


def test_the_schema_says_what_stands_at_each_place(rows: Sequence[Row]) -> None:
    assert answer(rows, "name?=embed,small")["schema"] == {
        "inventories[0]": "ModelServiceInventory",
        "inventories[1]": "ModelServiceInventory",
        "inventories[1].modelServiceRefs[0]": "ModelServiceRefInventory",
        "inventories[1].modelServiceImages[0]": "ModelServiceTemplateInventory",
    }
    assert answer(rows, fields="name", limit="1")["schema"] == {
        "inventories[0]": "ModelServiceInventory"
    }


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("limit=ten", "'limit' must be an integer"),
        ("limit=", "'limit' must be an integer"),
        ("limit=-1", "'limit' must be an integer, 0 or greater"),
        ("limit=99999999999", "'limit' must be an integer"),
        ("limit=1.0", "'limit' must be an integer"),
        ("start=x", "'start' must be an integer"),
        ("fields=", "'fields' contains zero field"),
        ("fields=,", "'fields' contains zero field"),
        ("&".join(f"q=name={number}" for number in range(33)), "at most 32 are allowed"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_a_wrong_request(parameters: str, says: str) -> None:
    with pytest.raises(RequestError) as raised:
        query_of(parse_qsl(parameters, keep_blank_values=True))
    assert raised.value.status == 400
    assert says in raised.value.text


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("sort=nmae", "Did you mean name?"),
        ("sort=__userTag__", "cannot be taken for sort"),
        ("groupBy=modelServiceRefs", "cannot be taken for groupBy"),
        ("groupBy=", "has no field []"),
        ("fields=name,dockerImage", "no field [dockerImage]"),
        ("fields=__systemTag__", "no field [__systemTag__]"),
        ("filterName=ai:mine", "no filter is called [ai:mine]"),
    ],
)
def test_a_parameter_that_names_what_is_not_there_is_an_invalid_argument(
    parameters: str, says: str
) -> None:
    with pytest.raises(ApiError) as raised:
        query_of(parse_qsl(parameters, keep_blank_values=True))
    assert raised.value.error.code is Code.INVALID_ARGUMENT
    assert says in raised.value.error.details


def test_the_first_of_equal_parameters_counts_and_unknown_ones_are_ignored() -> None:
    said = query_of([("limit", " 3 "), ("limit", "x"), ("unknown", "x"), ("Q", "x")])
    assert (said.limit, said.tests) == (3, [])


async def test_a_long_query_lets_others_have_their_turns(rows: Sequence[Row]) -> None:
    slow = asyncio.create_task(find(query_of([("q", "yaml~=%a_%e_%i_%zz")]), list(rows) * 80_000))
    turns = 0
    while not slow.done():
        await asyncio.sleep(0)
        turns += 1
    assert slow.result() == []
    assert turns > 3
