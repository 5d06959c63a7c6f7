"""Whatever is asked: an answer in the form of the API, of its fields and the caller's services.

10,000 queries on the rows themselves, in shares that run side by side, and some hundreds over HTTP.
Each share draws its own, the same ones in every run.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any, Final

import pytest
from asking import Asker

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.zstack_api.columns import COLUMNS
from modelfleet.adapters.query_api.zstack_api.conditions import NEGATIVE
from modelfleet.adapters.query_api.zstack_api.error_codes import ApiError, Code, RequestError
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS
from modelfleet.adapters.query_api.zstack_api.parameters import Query, query_of
from modelfleet.adapters.query_api.zstack_api.queries import answer_of, matching
from modelfleet.adapters.query_api.zstack_api.rows import Row, Rows
from modelfleet.cluster.objects import Object
from zstack_fleet import EXTERNAL, HOSTED, SERVICES, served, service, snapshot_of

SHARES: Final = 5
QUERIES: Final = 10_000
OVER_HTTP: Final = 300
PARTITIONS: Final = 2_000

NAMES: Final = {field.name for field in FIELDS}
OUR_OWN: Final = re.compile(r"Traceback|pydantic|<class |object at 0x|Error\(|KeyError|None")
"""What only a bug of ours would put into a user's message."""


def fleet() -> list[Object]:
    """Return the services of two tenants; those of ``b`` carry a word that none of ``a`` has."""
    objects: list[Object] = []
    for number in range(24):
        tenant = "ab"[number % 2]
        of = EXTERNAL if number % 5 == 0 else HOSTED
        tags = {"team": f"t{number % 3}", "tenant": f"secret-of-{tenant}"}
        description = f"secret-of-{tenant} {number}" if number % 3 else None
        objects.append(
            service(f"svc-{number}", of=of, workspace_id=tenant, tags=tags, description=description)
        )
    return objects


@pytest.fixture(scope="module")
def rows() -> Sequence[Row]:
    """All that tenant ``a`` may know of."""

    async def read() -> Sequence[Row]:
        account = Account("a", namespace="models", namespaces=("models",), workspaces=("a",))
        return await Rows().seen_by(account, await snapshot_of(fleet()))

    found = asyncio.run(read())
    assert len(found) == 12
    return found


@pytest.mark.parametrize("share", range(SHARES))
def test_a_query_has_an_answer_or_a_reason(share: int, rows: Sequence[Row]) -> None:
    asker, answers, refusals = Asker(share), 0, 0
    for _ in range(QUERIES // SHARES):
        pairs = asker.query()
        try:
            text = answer_of(asked := query_of(pairs), found_by(asked, rows))
        except ApiError as error:
            assert error.error.code is Code.INVALID_ARGUMENT, pairs
            assert not OUR_OWN.search(error.error.details), pairs
            refusals += 1
        except RequestError as error:
            assert error.status == 400, pairs
            assert not OUR_OWN.search(error.text), pairs
            refusals += 1
        else:
            check_answer(text, about=pairs)
            answers += 1
    # Neither is so seldom that the other half of this would prove nothing.
    assert min(answers, refusals) > QUERIES // SHARES // 5


@pytest.mark.parametrize("share", range(SHARES))
def test_each_service_fulfils_a_condition_or_its_contrary(share: int, rows: Sequence[Row]) -> None:
    """But for those without a value, which fulfil neither."""
    asker, told = Asker(1_000 + share), 0
    for _ in range(PARTITIONS // SHARES):
        name, value = asker.name(), asker.value()
        for contrary, sign in NEGATIVE.items():
            try:
                found, others, without = (
                    {row.values["name"] for row in found_by(query_of([("q", each)]), rows)}
                    for each in (f"{name}{sign}{value}", f"{name}{contrary}{value}", f"{name}=null")
                )
            except (ApiError, RequestError):
                continue
            if value == "null" and sign == "=":
                continue
            if COLUMNS[name].many:
                without = set()
            told += 1
            assert not found & others
            assert found | others | without == {row.values["name"] for row in rows}
    assert told > PARTITIONS // SHARES // 5


async def test_over_http_nothing_fails_and_nothing_of_another_tenant_is_told() -> None:
    asker, statuses = Asker(7), []
    async with served(fleet()) as it:
        mine, theirs = await it.log_in("team-a"), await it.log_in("team-b")
        uuids = (await it.http.get(f"{SERVICES}?fields=uuid", headers=theirs)).json()
        for _ in range(OVER_HTTP):
            url = f"{SERVICES}?{asker.query_string()}"
            response = await it.http.get(url, headers=mine)
            statuses.append(response.status_code)
            if response.status_code == 200:
                check_answer(response.text, about=url)
                continue
            assert response.status_code in (400, 503), url
            assert not OUR_OWN.search(response.text), url
            if response.status_code == 503:
                assert response.json()["error"]["code"] == "SYS.1007", url
        for inventory in uuids["inventories"]:
            response = await it.http.get(f"{SERVICES}/{inventory['uuid']}", headers=mine)
            assert response.json() == {"inventories": [], "schema": {}}
    assert statuses.count(200) > OVER_HTTP // 5


async def test_over_http_no_header_and_no_body_is_too_odd() -> None:
    asker = Asker(11)
    async with served(fleet()) as it:
        for _ in range(100):
            proof = f"{asker.noise()} {asker.value()}:{asker.noise()}".encode()
            headers = {b"Authorization": b"OAuth " + proof, b"Date": asker.value().encode()}
            response = await it.http.get(SERVICES, headers=headers)
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "ID.1001"
            headers[b"Authorization"] = b"ZStack " + proof
            response = await it.http.get(SERVICES, headers=headers)
            assert response.status_code in (400, 403, 503)
            assert not OUR_OWN.search(response.text)
            said = {"accountName": asker.noise(), "password": asker.value()}
            for body in (asker.noise(), json.dumps({"logInByAccount": said})):
                response = await it.http.put(
                    "/zstack/v1/accounts/login", content=body.encode(), headers=headers
                )
                assert response.status_code in (400, 503)
                assert not OUR_OWN.search(response.text)


def found_by(query: Query, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the matches of a query, without giving anybody a turn."""
    steps = matching(query, rows)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def check_answer(text: str, *, about: Any) -> None:
    """Assert that an answer is one, of known fields, and of tenant ``a`` alone."""
    answer = json.loads(text)
    assert set(answer) <= {"inventories", "total", "schema"}, about
    assert answer.get("total", 0) <= 12, about
    for inventory in answer.get("inventories", ()):
        assert inventory.keys() <= NAMES, about
        assert int(inventory.get("name", "svc-0").removeprefix("svc-")) % 2 == 0, about
    assert "secret-of-b" not in text, about
