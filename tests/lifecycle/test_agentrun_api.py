"""AgentRun's control API on a real API server: what its wire says, to whom, and what it refuses.

What the verbs leave in the cluster is for test_registry.py.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from agentrun_server import (
    PROXIES,
    ROOT,
    SERVICES,
    account,
    asked_as,
    external,
    parts_of,
    proxy,
)
from fleets import ENGINE, desired, until_gone
from fleets import external as declared
from proxies import SMALL, make_secret

from modelfleet.adapters.query_api.audit import LOGGER
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api

KEY = "sk-not-a-real-key-0123"
WITH_KEY = {
    "baseUrl": "https://api.example.com/v1",
    "modelNames": ["gpt-x"],
    "apiKey": KEY,
}


@pytest.fixture
def parts(fleet: Fleet, namespace: str) -> Parts:
    """A server whose accounts are one who may everything, one who reads, and two tenants."""
    return parts_of(
        fleet,
        account("ci", namespace, may_write=True, may_read_credentials=True),
        account("reader", namespace),
        *(
            account(name, namespace, may_write=True, may_read_credentials=True, workspaces=[name])
            for name in ("red", "blue")
        ),
    )


@pytest.fixture
def audit(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """``audit()`` returns the lines that were written, and forgets them."""
    caplog.set_level(logging.INFO, logger=LOGGER)

    def lines() -> list[dict[str, Any]]:
        found = [json.loads(each.message) for each in caplog.records if each.name == LOGGER]
        caplog.clear()
        return found

    yield lines


@asynccontextmanager
async def as_ci(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with asked_as(parts, "ci") as http:
        yield http


def data(reply: httpx.Response) -> Any:
    """Return the data of a reply, which AgentRun's clients read."""
    content = reply.json()
    assert reply.status_code == 200, content
    assert set(content) == {"code", "requestId", "data"}
    assert content["requestId"] == reply.headers["X-Request-Id"]
    return content["data"]


def refusal(reply: httpx.Response, status: int) -> str:
    """Return the message of a refusal."""
    content = reply.json()
    assert reply.status_code == status, content
    assert set(content) == {"code", "message", "requestId"}
    assert KEY not in reply.text
    return str(content["message"])


def names(reply: httpx.Response, field: str = "modelServiceName") -> list[str]:
    return [each[field] for each in data(reply)["items"]]


async def test_a_service_is_created_told_changed_and_deleted(parts: Parts, namespace: str) -> None:
    async with as_ci(parts) as http:
        made = data(await http.post(SERVICES, json=external("qwen", providerSettings=WITH_KEY)))
        assert made["status"] == "READY"
        assert made["modelServiceId"] == f"{namespace}/qwen"
        assert made["providerSettings"] == {
            "baseUrl": "https://api.example.com/v1",
            "modelNames": ["gpt-x"],
        }
        there = refusal(await http.post(SERVICES, json=external("qwen")), 409)
        assert "already exists" in there
        # What AgentRun's SDK sends of an update that says one thing.
        told = {"description": "tiny", "modelInfoConfigs": []}
        changed = data(await http.put(f"{SERVICES}/qwen", json=told))
        assert changed["description"] == "tiny"
        assert changed["createdAt"] == made["createdAt"]
        assert data(await http.get(f"{SERVICES}/qwen")) == changed
        cleared = data(await http.put(f"{SERVICES}/qwen", json={"description": None}))
        assert "description" not in cleared
        gone = data(await http.delete(f"{SERVICES}/qwen"))
        assert gone["status"] == "DELETING"
        await until_gone(parts.fleet.client, namespace)
        for method in ("GET", "DELETE"):
            missing = await http.request(method, f"{SERVICES}/qwen")
            assert "does not exist" in refusal(missing, 404)
        missing = await http.put(f"{SERVICES}/qwen", json={"description": "x"})
        assert "does not exist" in refusal(missing, 404)


async def test_a_proxy_is_created_told_changed_and_deleted(parts: Parts, namespace: str) -> None:
    async with as_ci(parts) as http:
        data(await http.post(SERVICES, json=external("qwen")))
        asked = proxy("gate", "qwen", apiKeys={"team": {"generate": {}}}, **SMALL)
        made = data(await http.post(PROXIES, json=asked))
        assert made["proxyMode"] == "single"
        assert made["endpoint"] == f"http://gate-proxy.{namespace}.svc"
        key = made["generatedKeys"]["team"]
        assert key.startswith("sk-")
        told = data(await http.get(f"{PROXIES}/gate"))
        assert "generatedKeys" not in told, "it is said once"
        assert key not in json.dumps(told)
        assert "already exists" in refusal(await http.post(PROXIES, json=asked), 409)
        used = refusal(await http.delete(f"{SERVICES}/qwen"), 409)
        assert f"ModelProxy {namespace}/gate" in used
        changed = data(await http.put(f"{PROXIES}/gate", json={"description": "a door"}))
        assert changed["description"] == "a door"
        assert data(await http.delete(f"{PROXIES}/gate"))["status"] == "DELETING"


async def test_a_proxy_says_where_it_is_reached_from_outside(fleet: Fleet, namespace: str) -> None:
    parts = parts_of(
        fleet, account("ci", namespace, may_write=True), public_address="https://models.example.com"
    )
    async with as_ci(parts) as http:
        data(await http.post(SERVICES, json=external("qwen")))
        made = data(await http.post(PROXIES, json=proxy("gate", "qwen", **SMALL)))
        assert made["endpoint"] == "https://models.example.com/models/gate"


WRONG = {
    "unknown": ({"modelServiceNam": "x"}, "modelServiceNam"),
    "unknown inside": ({"providerSettings": {"baseUrll": "x"}}, "providerSettings.baseUrll"),
    "ill-typed": ({"providerSettings": {"modelNames": "x"}}, "providerSettings.modelNames"),
    "not available": (
        {"networkConfiguration": {"networkMode": "PUBLIC"}},
        "networkConfiguration.networkMode",
    ),
    "elsewhere": ({"networkConfiguration": {"vpcId": "vpc-1"}}, "networkConfiguration.vpcId"),
    "bad name": ({"modelServiceName": "No Name"}, "modelServiceName"),
    "no url": ({"providerSettings": {"baseUrl": "api"}}, "providerSettings.baseUrl"),
}


@pytest.mark.parametrize(("part", "path"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_with_a_body_is_told_by_its_name_on_the_wire(
    parts: Parts, part: dict[str, Any], path: str
) -> None:
    async with as_ci(parts) as http:
        reply = await http.post(SERVICES, json={**external("qwen"), **part})
        assert path in refusal(reply, 400)
        assert "does not exist" in refusal(await http.get(f"{SERVICES}/qwen"), 404)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "must be a JSON object"),
        (b'{"description": "a", "description": "b"}', "the same name twice"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
async def test_a_body_that_is_no_object_is_refused(parts: Parts, content: bytes, says: str) -> None:
    async with as_ci(parts) as http:
        assert says in refusal(await http.post(SERVICES, content=content), 400)


async def test_the_pages_of_a_listing_are_of_one_moment(parts: Parts) -> None:
    async with as_ci(parts) as http:
        for name in ("aa", "cc", "dd", "ee", "ff"):
            data(await http.post(SERVICES, json=external(name)))

        async def page(number: int) -> Any:
            where = {"pageNumber": number, "pageSize": 2}
            return data(await http.get(SERVICES, params=where))

        first = await page(1)
        assert {key: first[key] for key in ("pageNumber", "pageSize", "total")} == {
            "pageNumber": 1,
            "pageSize": 2,
            "total": 5,
        }
        data(await http.delete(f"{SERVICES}/aa"))
        data(await http.post(SERVICES, json=external("bb")))
        pages = [first, await page(2), await page(3), await page(4)]
        listed = [each["modelServiceName"] for one in pages for each in one["items"]]
        assert listed == ["aa", "cc", "dd", "ee", "ff"]
        assert names(await http.get(SERVICES)) == ["bb", "cc", "dd", "ee", "ff"]


async def test_a_listing_takes_the_filters_of_agentrun_and_no_others(parts: Parts) -> None:
    async with as_ci(parts) as http:
        data(await http.post(SERVICES, json=external("one", workspaceId="red")))
        data(await http.post(SERVICES, json=external("two", provider="tongyi", modelType="rerank")))
        data(await http.post(PROXIES, json=proxy("gate", "one", **SMALL)))
        for where, wanted in (
            ({}, ["one", "two"]),
            ({"modelType": "llm"}, ["one"]),
            ({"modelType": "deployment"}, []),
            ({"provider": "tongyi"}, ["two"]),
            ({"provider": ""}, ["one", "two"]),
            ({"providerType": "external"}, ["one", "two"]),
            ({"providerType": "hosted"}, []),
            ({"workspaceId": "red"}, ["one"]),
            ({"workspaceId": "default"}, ["two"]),
            ({"workspaceIds": "red, default,none"}, ["one", "two"]),
            ({"workspaceIds": "none"}, []),
            ({"workspaceId": "red", "provider": "tongyi"}, []),
        ):
            assert names(await http.get(SERVICES, params=where)) == wanted, where
        for where, wanted in (
            ({"proxyMode": "single"}, ["gate"]),
            ({"proxyMode": "multi"}, []),
            ({"status": "DELETE_FAILED"}, []),
        ):
            assert names(await http.get(PROXIES, params=where), "modelProxyName") == wanted, where
        for wrong, says in (
            ("?status=READY", "status: unknown parameter"),
            ("?pageSize=0", "pageSize: must be a number from 1 to 100"),
            ("?pageSize=101", "pageSize"),
            ("?pageNumber=two", "pageNumber"),
            ("?provider=a&provider=b", "provider: given more than once"),
        ):
            assert says in refusal(await http.get(SERVICES + wrong), 400)


async def test_the_providers_are_those_of_the_services_there(parts: Parts) -> None:
    async with as_ci(parts) as http:
        data(await http.post(SERVICES, json=external("one")))
        other = {"baseUrl": "https://api.example.com/v1", "modelNames": ["gpt-y"]}
        data(await http.post(SERVICES, json=external("two", providerSettings=other)))
        config = {"modelName": "gpt-x", "modelFeatures": {"toolCall": True}}
        told = external("three", provider="tongyi", modelInfoConfigs=[config])
        three = data(await http.post(SERVICES, json=told))
        deployment = {"model": {"uri": "file:///models/qwen"}, "runtime": ENGINE, "replicas": 0}
        here = {"modelServiceName": "here", "modelType": "llm", "deployment": deployment}
        hosted = data(await http.post(SERVICES, json=here))
        path = f"{ROOT}/model-providers"
        listed = data(await http.get(path))
        providers = [each["providerName"] for each in listed["items"]]
        assert providers == [None, "openai", "tongyi"]
        own, first, last = listed["items"]
        assert own["baseUrl"] == hosted["providerSettings"]["baseUrl"]
        assert own["modelNames"] == hosted["providerSettings"]["modelNames"]
        assert last["modelInfoConfigs"] == three["modelInfoConfigs"]
        assert first["models"] == first["modelNames"] == ["gpt-x", "gpt-y"]
        assert first["baseUrl"] == "https://api.example.com/v1"
        assert data(await http.get(path, params={"modelName": "gpt-y"}))["total"] == 1
        assert data(await http.get(path, params={"provider": "nobody"}))["total"] == 0


async def test_a_credential_is_told_to_who_may_if_a_resource_names_it(
    parts: Parts, plane_api: Api, namespace: str, audit: Any
) -> None:
    make_secret(plane_api, namespace, "provider", api_key=KEY, other="sk-other")
    make_secret(plane_api, namespace, "unnamed", api_key=KEY)
    path = f"{ROOT}/credentials"
    async with as_ci(parts) as http, asked_as(parts, "reader") as reader:
        data(await http.post(SERVICES, json=external("named", credentialName="provider")))
        data(await http.post(SERVICES, json=external("keyed", credentialName="provider/other")))
        data(await http.post(SERVICES, json=external("own", providerSettings=WITH_KEY)))
        audit()
        told = data(await http.get(f"{path}/provider"))
        assert told["credentialSecret"] == KEY
        assert told["credentialPublicConfig"] == {"headerKey": "Authorization", "prefix": "Bearer "}
        assert [each["resourceName"] for each in told["relatedResources"]] == ["named"]
        assert data(await http.get(f"{path}/provider%2Fother"))["credentialSecret"] == "sk-other"
        # The key of an external service, which AgentRun would tell with the service.
        own = data(await http.get(f"{SERVICES}/own"))["credentialName"]
        assert data(await http.get(f"{path}/{own}"))["credentialSecret"] == KEY
        for name in ("unnamed", "missing", "provider%2Fnone", "provider%2Fa%2Fb", ""):
            assert "does not exist" in refusal(await http.get(f"{path}/{name}"), 404)
        assert "credentialName" not in data(await reader.get(f"{SERVICES}/own"))
        refusal(await reader.get(f"{path}/provider"), 403)
        lines = audit()
        assert [(each["account"], each["outcome"], each["name"]) for each in lines[:2]] == [
            ("ci", "done", "provider"),
            ("ci", "done", "provider/other"),
        ]
        assert lines[-1]["account"] == "reader"
        assert lines[-1]["outcome"] == "refused"
        assert KEY not in json.dumps(lines)


async def test_an_update_keeps_the_key_that_it_does_not_send(parts: Parts) -> None:
    async with as_ci(parts) as http:
        made = data(await http.post(SERVICES, json=external("own", providerSettings=WITH_KEY)))
        names_only = {"providerSettings": {"modelNames": ["gpt-y"]}}
        data(await http.put(f"{SERVICES}/own", json=names_only))
        told = data(await http.get(f"{ROOT}/credentials/{made['credentialName']}"))
        assert told["credentialSecret"] == KEY


async def test_each_of_two_tenants_sees_their_own_and_nothing_else(parts: Parts) -> None:
    async with asked_as(parts, "red") as red, asked_as(parts, "blue") as blue:
        theirs = external("theirs", providerSettings=WITH_KEY)
        made = data(await red.post(SERVICES, json=theirs))
        assert made["workspaceId"] == "red"
        data(await blue.post(SERVICES, json=external("other")))
        data(await red.post(PROXIES, json=proxy("gate", "theirs", **SMALL)))

        assert names(await red.get(SERVICES)) == ["theirs"]
        assert names(await blue.get(SERVICES)) == ["other"]
        assert names(await blue.get(SERVICES, params={"workspaceId": "red"})) == []
        assert names(await blue.get(SERVICES, params={"workspaceIds": "red,blue"})) == ["other"]
        assert names(await blue.get(PROXIES), "modelProxyName") == []
        providers = data(await blue.get(f"{ROOT}/model-providers"))["items"]
        assert len(providers) == 1

        # As though it was not there, word by word.
        for method, body in (("GET", None), ("DELETE", None), ("PUT", {"description": "mine"})):
            foreign = await blue.request(method, f"{SERVICES}/theirs", json=body)
            missing = await blue.request(method, f"{SERVICES}/nobodys", json=body)
            assert refusal(foreign, 404).replace("theirs", "nobodys") == refusal(missing, 404)
        credential = made["credentialName"]
        refusal(await blue.get(f"{ROOT}/credentials/{credential}"), 404)
        refusal(await blue.post(SERVICES, json=external("mine", workspaceId="red")), 403)
        through = refusal(await blue.post(PROXIES, json=proxy("steal", "theirs", **SMALL)), 400)
        assert "theirs" in through
        assert data(await red.get(f"{SERVICES}/theirs"))["status"] == "READY"


async def test_a_page_of_one_account_is_never_anothers(parts: Parts) -> None:
    async with asked_as(parts, "red") as red, asked_as(parts, "blue") as blue:
        for name in ("aa", "bb", "cc"):
            data(await red.post(SERVICES, json=external(name)))
        data(await red.get(SERVICES, params={"pageSize": 1}))
        second = {"pageNumber": 2, "pageSize": 1}
        assert names(await blue.get(SERVICES, params=second)) == []
        assert names(await red.get(SERVICES, params=second)) == ["bb"]


async def test_who_may_only_read_writes_nothing_and_leaves_a_line(parts: Parts, audit: Any) -> None:
    async with as_ci(parts) as http, asked_as(parts, "reader") as reader:
        data(await http.post(SERVICES, json=external("qwen")))
        audit()
        assert names(await reader.get(SERVICES)) == ["qwen"]
        for method, path, body in (
            ("POST", SERVICES, external("mine")),
            ("PUT", f"{SERVICES}/qwen", {"description": "mine"}),
            ("DELETE", f"{SERVICES}/qwen", None),
            ("POST", PROXIES, proxy("gate", "qwen", **SMALL)),
            ("DELETE", f"{PROXIES}/none", None),
        ):
            assert "may only read" in refusal(await reader.request(method, path, json=body), 403)
        lines = audit()
        assert [(each["verb"], each["status"], each["outcome"]) for each in lines] == [
            (verb, 403, "refused") for verb in ("create", "update", "delete", "create", "delete")
        ]
        assert {each["account"] for each in lines} == {"reader"}
        assert data(await http.get(f"{SERVICES}/qwen")).get("description") is None
        assert names(await http.get(SERVICES)) == ["qwen"]


async def test_every_write_leaves_one_line_whoever_tried_it(parts: Parts, audit: Any) -> None:
    async with as_ci(parts) as http, asked_as(parts, "ci", secret="not-the-secret-00") as forger:
        audit()
        data(await http.post(SERVICES, json=external("qwen", providerSettings=WITH_KEY)))
        refusal(await http.post(SERVICES, json=external("qwen")), 409)
        refusal(await http.put(f"{SERVICES}/qwen", json={"nonsense": 1}), 400)
        refusal(await forger.delete(f"{SERVICES}/qwen"), 401)
        data(await http.delete(f"{SERVICES}/qwen"))
        lines = audit()
    assert [(each["verb"], each["outcome"], each.get("account", "")) for each in lines] == [
        ("create", "done", "ci"),
        ("create", "refused", "ci"),
        ("update", "refused", "ci"),
        ("delete", "refused", ""),
        ("delete", "done", "ci"),
    ]
    assert lines[0]["name"] == "qwen"
    assert lines[0]["after"] == lines[-1]["before"], "which of those of that name it was"
    assert KEY not in json.dumps(lines)


async def test_what_a_stack_declared_is_told_and_not_changed(
    parts: Parts, fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(declared(namespace)))
    async with as_ci(parts) as http:
        owner = data(await http.get(f"{SERVICES}/qwen"))["owner"]
        for method, body in (("DELETE", None), ("PUT", {"description": "mine"})):
            reply = await http.request(method, f"{SERVICES}/qwen", json=body)
            assert owner in refusal(reply, 409)


async def test_what_is_protected_is_not_deleted(parts: Parts) -> None:
    async with as_ci(parts) as http:
        data(await http.post(SERVICES, json=external("qwen", deletionProtection=True)))
        assert "deletion_protection" in refusal(await http.delete(f"{SERVICES}/qwen"), 409)
        data(await http.put(f"{SERVICES}/qwen", json={"deletionProtection": False}))
        data(await http.delete(f"{SERVICES}/qwen"))


async def test_a_path_that_is_not_there_is_no_resource_that_is_not_there(parts: Parts) -> None:
    async with as_ci(parts) as http:
        for reply, status in (
            (await http.get(f"{ROOT}/model-nothing"), 404),
            (await http.patch(f"{SERVICES}/qwen"), 405),
        ):
            assert "does not exist" not in refusal(reply, status)
            assert "not found" not in refusal(reply, status)
        odd = await http.get(f"{SERVICES}/a%2Fb%20c%C3%A9")
        assert "does not exist" in refusal(odd, 404)
