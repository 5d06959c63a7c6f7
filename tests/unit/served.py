"""What the tests of the HTTP frame share: parts over an API server at the transport, and a client.

Operations are those of the test: what the APIs themselves do is for their own tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fake_api import FakeApi

from modelfleet.adapters.query_api.account_file import AccountsForm
from modelfleet.adapters.query_api.accounts import Accounts
from modelfleet.adapters.query_api.application import application
from modelfleet.adapters.query_api.operations import Handler, Operation
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.passwords import Cost, PasswordHash, sha512_of
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.agentrun.paging import Pages
from modelfleet.agentrun.registry import Registry
from modelfleet.fleet import Fleet


class ClusterApi(FakeApi):
    """An API server that says as well which cluster it is of."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/namespaces/kube-system" and not self.down:
            return httpx.Response(200, json={"metadata": {"uid": "uid-of-the-cluster"}})
        return await super().handle_async_request(request)


CHEAP = Cost(n=16, r=1, p=1)
PASSWORD = "not-a-real-password"


def cheap_hash(password: str = PASSWORD) -> str:
    """Return the hash of a password that takes no time."""
    return PasswordHash.made(sha512_of(password), cost=CHEAP).text


def accounts(*entries: dict[str, Any], **others: Any) -> Accounts:
    return Accounts(AccountsForm.model_validate({"accounts": entries}), **others)


def parts(*entries: dict[str, Any], fleet: Fleet | None = None, **settings: Any) -> Parts:
    """Return the parts of a process with accounts from ``entries``."""
    served = fleet or Fleet(ClusterApi().client())
    return Parts.of(
        served,
        registry=Registry(served),
        pages=Pages(),
        accounts=accounts(*entries),
        settings=Settings(**settings),
    )


def operation(handler: Handler, *, path: str = "/asked", method: Any = "GET") -> Operation:
    return Operation("asked", method, path, "What a test asks", "tests", handler, {200: None})


@asynccontextmanager
async def asking(parts: Parts, operations: Sequence[Operation] = (), **others: Any) -> Any:
    """Give a client of the application, which is not kept up; the fleet is closed afterwards."""
    app = application(parts, operations, **others)
    # An exception that is no answer is the server's to log: here it fails the test.
    transport = httpx.ASGITransport(app, raise_app_exceptions=True, client=("192.0.2.7", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
        yield http
    await parts.fleet.aclose()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something of another task holds."""
    async with asyncio.timeout(120):
        while not await holds():  # noqa: ASYNC110 - of another task, and by request
            await asyncio.sleep(0.01)
