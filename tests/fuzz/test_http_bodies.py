"""Whatever a body holds: what it declares, or a reason by field; no secret and no other tenant.

10,000 bodies of creates and updates, from their text to the objects that would be applied and what
would be told, in shares that run side by side; and two hundred over HTTP. Each share draws its
own, the same ones in every run.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from bodies import KEY, STRAY, bodies
from hypothesis import HealthCheck, Phase, given, seed, settings
from starlette.requests import Request

from agentrun_signing import Signer
from modelfleet.adapters.query_api.account_file import AccountsForm
from modelfleet.adapters.query_api.accounts import Accounts
from modelfleet.adapters.query_api.agentrun_api import FORMS, OPERATIONS
from modelfleet.adapters.query_api.agentrun_api.bodies import body_of
from modelfleet.adapters.query_api.agentrun_api.replies import refusal_form, refusal_of
from modelfleet.adapters.query_api.application import application
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.agentrun.declared import cleared_by, declaration_of, snake_fields, updated
from modelfleet.agentrun.hidden import refuse_what_is_hidden
from modelfleet.agentrun.kept_secrets import KeptSecrets
from modelfleet.agentrun.paging import Pages
from modelfleet.agentrun.registry import Registry
from modelfleet.agentrun.scope import Scope, in_workspace, is_visible, refuse_foreign_workspace
from modelfleet.agentrun.told import fields_of, wire_of
from modelfleet.agentrun.writes import change_of, creation_of
from modelfleet.catalogue import Entry
from modelfleet.cluster.client import Client
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import Object
from modelfleet.cluster.readiness import Ready
from modelfleet.cluster.records import record_of
from modelfleet.desired import Desired
from modelfleet.errors import ModelFleetError
from modelfleet.fleet import Fleet
from modelfleet.resource_types import type_of
from modelfleet.service import service_of
from zstack_fleet import proxy, service, snapshot_of

ROOT: Final = "/2025-09-10/agents"
PATHS: Final = {
    "ModelService": f"{ROOT}/model-services",
    "ModelProxy": f"{ROOT}/model-proxies",
}
NAMES: Final = {"ModelService": "qwen", "ModelProxy": "gate"}

SHARES: Final = 10
BODIES: Final = 10_000
OVER_HTTP: Final = 200

FOREIGN: Final = "of-red"
"""What stands in everything of another tenant, and in no body."""

OUR_OWN: Final = re.compile(
    r"Traceback|pydantic|<class |object at 0x|Error\(|\bsys\.|unable to parse|codec"
)
"""What only a bug of ours would put into a user's message."""

SCOPE: Final = Scope(namespace="models", workspaces=("blue", "default"), namespaces=("models",))

RELAXED: Final[dict[str, Any]] = {
    "deadline": None,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}

pytestmark = pytest.mark.timeout(1800)


def elsewhere(name: str, **fields: Any) -> Object:
    settings = {"base_url": f"https://{FOREIGN}.example.com/v1", "model_names": [f"m-{FOREIGN}"]}
    of = {"provider_settings": {**settings, "api_key": f"sk-{FOREIGN}"}}
    return service(name, of=of, **fields)


MINE: Final = {"base_url": "https://mine.example.com/v1", "model_names": ["gpt-x"]}
THERE: Final = asyncio.run(
    snapshot_of(
        [
            elsewhere("mine", workspace_id="blue", provider_settings=MINE),
            elsewhere("theirs", workspace_id="red"),
            elsewhere("far", workspace_id="blue", namespace="other"),
            proxy("gate", to="https://a.example.com/v1"),
        ]
    )
)
"""A service and a proxy of the caller's, one service of another tenant, and one elsewhere."""

PRIORS: Final = {
    kind: THERE.by_key[Key("models", kind, name)]
    for kind, name in (("ModelService", "mine"), ("ModelProxy", "gate"))
}


def referred(name: str) -> Entry | None:
    namespace, _, own = name.rpartition("/")
    entry = THERE.by_key.get(Key(namespace or SCOPE.namespace, "ModelService", own))
    return entry if entry is not None and is_visible(entry, SCOPE) else None


async def read(text: bytes) -> dict[str, Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": text, "more_body": False}

    return await body_of(Request({"type": "http", "method": "POST", "headers": []}, receive))


def created(body: Mapping[str, Any], *, kind: str) -> Desired:
    fields = snake_fields(body, kind=kind)
    declared = declaration_of(fields, kind=kind, scope=SCOPE, referred=referred)
    declared = in_workspace(declared, SCOPE, subject=f"a {kind}")
    return creation_of(declared, kind=kind, scope=SCOPE).desired


def changed(body: Mapping[str, Any], *, kind: str, prior: Entry) -> Desired:
    assert prior.record is not None
    fields = snake_fields(body, kind=kind, update=True)
    declared = updated(
        dict(prior.record.spec), fields, kind=kind, clear=cleared_by(fields), referred=referred
    )
    refuse_foreign_workspace(declared.get("workspace_id"), SCOPE, subject=f"a {kind}")
    return change_of(prior.record, declared, kept=KeptSecrets(), scope=SCOPE).desired


def entry_in(primary: Object) -> Entry:
    """Return what the catalogue says of a resource by its primary object."""
    record = record_of(primary)
    assert record is not None
    return Entry(
        key=Key(record.namespace, record.kind, record.name),
        service=service_of(primary, outcome=Ready(), cluster_uid="uid", spec=record.spec),
        spec=type_of(record.kind).model.model_validate(record.spec),
        record=record,
        primary=primary,
    )


def check_written(desired: Desired, *, kind: str) -> None:
    """Assert that what is written is JSON, with secrets in Secrets, and what is told has none."""
    objects = desired.objects(cluster_uid="uid", kept=desired.kept_in(None))
    for each in objects:
        text = json.dumps(each, allow_nan=False, ensure_ascii=False).encode()
        assert FOREIGN.encode() not in text
        assert KEY.encode() not in text or each["kind"] == "Secret"
    primary = objects[-1]
    metadata = primary["metadata"]
    assert KEY not in json.dumps(metadata), "records hold no secrets"
    metadata["creationTimestamp"], metadata["uid"] = "2026-11-21T10:26:48Z", "uid"
    told = wire_of(fields_of(entry_in(primary)), kind=kind)
    text = json.dumps(told, allow_nan=False, ensure_ascii=False)
    assert text.encode()
    assert KEY not in text


def check_refused(error: Exception) -> None:
    """Assert that a refusal is the caller's, in words of ours, and gives nothing away."""
    if isinstance(error, ModelFleetError):
        error = refusal_of(error, subject="it", creating=True)
    assert isinstance(error, RefusedError)
    assert 400 <= error.status < 500
    check_said(bytes(refusal_form(error, "an-id").body).decode())


def check_said(text: str) -> None:
    assert KEY not in text
    assert STRAY not in text, text
    assert FOREIGN not in text
    said = OUR_OWN.search(text)
    assert said is None, f"{text} speaks of {said and said[0]!r}"


@pytest.mark.parametrize("share", range(SHARES))
def test_a_body_declares_something_or_is_refused_by_its_fields(share: int) -> None:
    outcomes: dict[str, int] = {"written": 0, "refused": 0}

    @seed(share)
    @settings(max_examples=BODIES // SHARES, **RELAXED)
    @given(drawn=bodies())
    def check(drawn: tuple[str, bool, bytes]) -> None:
        kind, is_update, text = drawn
        try:
            body = loop.run_until_complete(read(text))
            if is_update:
                desired = changed(body, kind=kind, prior=PRIORS[kind])
            else:
                desired = created(body, kind=kind)
            refuse_what_is_hidden(desired.spec, prior=None, snapshot=THERE, scope=SCOPE)
        except (ModelFleetError, RefusedError) as error:
            outcomes["refused"] += 1
            check_refused(error)
        else:
            outcomes["written"] += 1
            check_written(desired, kind=kind)

    with closing(asyncio.new_event_loop()) as loop:
        check()
    # Neither is so seldom that the other half of this would prove nothing.
    assert min(outcomes.values()) > BODIES // SHARES // 20, outcomes


@pytest.mark.lifecycle
async def test_over_http_nothing_fails_and_no_line_of_a_log_tells_a_secret(
    kubeconfig: Path, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="modelfleet")
    drawn: list[tuple[str, bool, bytes]] = []

    @seed(99)
    @settings(max_examples=OVER_HTTP, **RELAXED)
    @given(each=bodies())
    def draw(each: tuple[str, bool, bytes]) -> None:
        drawn.append(each)

    draw()
    statuses = []
    async with served(kubeconfig, namespace) as http:
        for kind, is_update, text in drawn:
            path = PATHS[kind]
            method, url = ("PUT", f"{path}/{NAMES[kind]}") if is_update else ("POST", path)
            reply = await http.request(method, url, content=text)
            statuses.append(reply.status_code)
            assert reply.status_code < 500, text
            if reply.status_code == 200:
                assert KEY not in reply.text
            else:
                check_said(reply.text)
    assert statuses.count(400) > OVER_HTTP // 5
    assert statuses.count(200) > OVER_HTTP // 50
    for record in caplog.records:
        line = record.getMessage()
        assert KEY not in line and STRAY not in line
        assert "\n" not in line
        assert record.exc_info is None, line


@asynccontextmanager
async def served(kubeconfig: Path, namespace: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a fleet to an account of that namespace, over a real API server."""
    key = {"id": "key-of-blue", "secret": "not-a-real-secret-of-blue"}
    account = {"name": "blue", "namespace": namespace, "may_write": True, "access_keys": [key]}
    fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
    parts = Parts.of(
        fleet,
        registry=Registry(fleet),
        pages=Pages(),
        accounts=Accounts(AccountsForm.model_validate({"accounts": [account]})),
        settings=Settings(account_rate=1e6, address_rate=1e6),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application(parts, OPERATIONS, forms=FORMS)),
        base_url="https://server",
        auth=Signer(key["id"], key["secret"]),
        timeout=60,
    ) as http:
        yield http
    await fleet.aclose()
