"""What the tests of AgentRun's control API share: its application over the plane's API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from agentrun_signing import Signer
from modelfleet.adapters.query_api.account_file import AccountsForm
from modelfleet.adapters.query_api.accounts import Accounts
from modelfleet.adapters.query_api.agentrun_api import FORMS, OPERATIONS
from modelfleet.adapters.query_api.application import application
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.agentrun.paging import Pages
from modelfleet.agentrun.registry import Registry
from modelfleet.fleet import Fleet

ROOT = "/2025-09-10/agents"
SERVICES = f"{ROOT}/model-services"
PROXIES = f"{ROOT}/model-proxies"


def account(name: str, namespace: str, **others: Any) -> dict[str, Any]:
    """Return an entry of the file of accounts, with the access key ``key-of-<name>``."""
    key = {"id": f"key-of-{name}", "secret": secret_of(name)}
    return {"name": name, "namespace": namespace, "access_keys": [key], **others}


def secret_of(name: str) -> str:
    """Return the secret of an account's access key."""
    return f"not-a-real-secret-of-{name}"


def parts_of(fleet: Fleet, *accounts: dict[str, Any], **settings: Any) -> Parts:
    """Return the parts of a server with these accounts."""
    form = AccountsForm.model_validate({"accounts": accounts})
    return Parts.of(
        fleet,
        registry=Registry(fleet),
        pages=Pages(seconds=3600),  # of one moment, however long a test takes
        accounts=Accounts(form),
        settings=Settings(**{"account_rate": 1000, "address_rate": 1000, **settings}),
    )


@asynccontextmanager
async def asked_as(parts: Parts, name: str, **signer: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that signs with the access key of an account."""
    app = application(parts, OPERATIONS, forms=FORMS)
    key = {"key_id": f"key-of-{name}", "secret": secret_of(name), **signer}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://server", auth=Signer(**key)
    ) as http:
        yield http


def external(name: str, **others: Any) -> dict[str, Any]:
    """Return the body of a create of a service that runs elsewhere."""
    return {
        "modelServiceName": name,
        "modelType": "llm",
        "provider": "openai",
        "providerSettings": {"baseUrl": "https://api.example.com/v1", "modelNames": ["gpt-x"]},
        **others,
    }


def proxy(name: str, service: str, **others: Any) -> dict[str, Any]:
    """Return the body of a create of a proxy in front of one service."""
    endpoint = {"modelServiceName": service, "modelNames": ["gpt-x"]}
    return {"modelProxyName": name, "proxyConfig": {"endpoints": [endpoint]}, **others}
