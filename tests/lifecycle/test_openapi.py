"""The OpenAPI document and the server that serves it: requests made from it, replies held to it.

Schemathesis draws them, valid ones and others, the same in every run; the server is a process of
its own over a real API server, and who asks may write in a namespace of its own.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from requests.adapters import HTTPAdapter
from rights import least_kubeconfig
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks
from served_process import PASSWORD, Process, serving_process
from test_serve_rights import printed, role_of

from agentrun_signing import Signer
from modelfleet.adapters.query_api.health import OPERATIONS as HEALTH
from modelfleet.adapters.query_api.openapi import document_of
from modelfleet.adapters.query_api.passwords import Cost, PasswordHash, sha512_of
from modelfleet.adapters.query_api.server import OPERATIONS
from modelfleet.local import Plane
from modelfleet.local.api import Api

KEY_ID: Final = "key-of-somebody"
SECRET: Final = "not-a-real-secret-of-a-key"
EXAMPLES: Final = 8
"""Requests for each operation and way of making them; half of them where not all is drawn."""

UNSIGNED: Final = {"listModels", "infer"}
"""The data endpoint takes another signature; that is for its own tests."""

NEVER_DONE: Final = UNSIGNED | {
    *(f"zstack{verb}ModelService" for verb in ("Add", "Clone", "Update", "ActOn", "Delete")),
}

ROOT: Final = "/2025-09-10/agents"
LOGIN: Final = {"logInByAccount": {"accountName": "somebody", "password": sha512_of(PASSWORD)}}
SERVICE: Final = {
    "modelType": "llm",
    "providerSettings": {"baseUrl": "https://api.example.com/v1", "apiKey": "sk-not-a-real-key"},
}
TARGET: Final = {"baseUrl": "https://api.example.com/v1", "modelNames": ["gpt-x"]}
PROXY: Final = {"proxyConfig": {"endpoints": [TARGET]}}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "createModelService": SERVICE,
    "createModelProxy": PROXY,
    "updateModelService": {"description": "another"},
    "updateModelProxy": {"description": "another"},
    "zstackLogInByAccount": LOGIN,
}
"""Requests that get through: what is drawn hardly ever does."""

RELAXED: Final = {
    "deadline": None,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}

NUMBERS: Final = itertools.count()

ALL: Final = (*HEALTH, *OPERATIONS)
REQUESTS: Final = [
    *((each.id, GenerationMode.POSITIVE) for each in ALL),
    *((each.id, GenerationMode.NEGATIVE) for each in ALL if each.body or each.parameters),
]


class Signed(requests.auth.AuthBase):
    """Signs each request as AgentRun's SDK does, for what it is sent as."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._session = headers
        self._signer = Signer(KEY_ID, SECRET)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        parts = urlsplit(str(request.url))
        if parts.path.startswith("/zstack/"):
            request.headers.update(self._session)
            return request
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else body
        path = "/".join(quote(unquote_to_bytes(part), safe="~") for part in parts.path.split("/"))
        url = httpx.URL(f"https://{parts.netloc}{path}?{parts.query}")
        kept = {
            name: request.headers[name] for name in ("Content-Type",) if name in request.headers
        }
        signed = httpx.Request(str(request.method), url, headers=kept, content=content)
        next(self._signer.auth_flow(signed))
        request.headers.update(
            {
                name: signed.headers[name]
                for name in signed.headers
                if name.startswith("x-acs-") or name in ("authorization", "host")
            }
        )
        return request


class _Trusting(HTTPAdapter):
    """Verifies the server by what its process trusts."""

    def __init__(self, process: Process) -> None:
        self._process = process
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._process.context, **options)


@pytest.fixture(scope="module")
def served(
    plane: Plane, plane_api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Process, requests.Session]]:
    """A server, and a session of a client that proves who it is."""
    folder = tmp_path_factory.mktemp("openapi")
    role = role_of(printed())
    kubeconfig = least_kubeconfig(plane, plane_api, folder, user="openapi-under-test", role=role)
    namespace = f"t-{uuid.uuid4().hex[:10]}"  # each worker has a server of its own
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": namespace}})
    account = {
        "name": "somebody",
        "namespace": namespace,
        "may_write": True,
        "may_read_credentials": True,
        "password_hash": PasswordHash.made(sha512_of(PASSWORD), cost=Cost(n=16, r=1, p=1)).text,
        "access_keys": [{"id": KEY_ID, "secret": SECRET}],
    }
    rates = ("--account-rate", "1000", "--address-rate", "1000")
    with serving_process(folder, kubeconfig, *rates, accounts=[account]) as process:
        with process.client() as http:
            said = {"accountName": "somebody", "password": sha512_of(PASSWORD)}
            login = http.put("/zstack/v1/accounts/login", json={"logInByAccount": said})
        session = requests.Session()
        session.mount("https://", _Trusting(process))
        session.trust_env = False
        session.auth = Signed({"Authorization": f"OAuth {login.json()['inventory']['uuid']}"})
        yield process, session
        session.close()
    plane_api.send("DELETE", f"/api/v1/namespaces/{namespace}")


def make_known(process: Process, session: requests.Session) -> None:
    """See to it that there are a service ``known`` and a proxy of that name."""
    for path, body in (
        ("model-services", {"modelServiceName": "known", **SERVICE}),
        ("model-proxies", {"modelProxyName": "known", **PROXY}),
    ):
        made = session.post(f"{process.url}{ROOT}/{path}", json=body)
        assert made.status_code in (200, 409), made.text


def make_sound(case: schemathesis.Case) -> None:
    """Make of a request that is drawn one that gets through, about what is there."""
    operation = str(case.operation.definition.raw["operationId"])
    if "name" in case.path_parameters:
        of_key = operation == "getCredential"
        case.path_parameters["name"] = "known-external" if of_key else "known"
    if operation in BODIES:
        case.body = dict(BODIES[operation])
    if operation.startswith("create"):
        field = operation.removeprefix("create").replace("M", "m", 1) + "Name"
        case.body[field] = f"made-{next(NUMBERS)}"
    case.query.clear()


@pytest.mark.parametrize(("operation_id", "mode"), REQUESTS)
def test_what_is_answered_is_what_the_document_says(
    operation_id: str,
    mode: GenerationMode,
    served: tuple[Process, requests.Session],
    fuzz_part: int,
) -> None:
    process, session = served
    schema = schemathesis.openapi.from_dict(document_of(ALL))
    operation = schema.find_operation_by_id(operation_id)
    make_known(process, session)
    seen: set[int] = set()
    turns = itertools.count()

    @seed(7)
    @settings(max_examples=EXAMPLES // min(fuzz_part, 2), **RELAXED)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        if next(turns) % 2 and mode is GenerationMode.POSITIVE:
            make_sound(case)
        response = case.call(base_url=process.url, session=session, verify=True)
        case.validate_response(
            response,
            checks=[
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_schema_conformance,
            ],
        )
        seen.add(response.status_code)
        if case.path.startswith("/zstack/"):
            assert response.status_code < 500 or "error" in response.json()
        else:
            assert response.status_code < 500, response.text

    check()
    assert 200 in seen or mode is GenerationMode.NEGATIVE or operation_id in NEVER_DONE
    assert 401 not in seen or operation_id in UNSIGNED
    assert "Traceback" not in process.log
