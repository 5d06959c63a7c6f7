"""What a cluster's administrators put in the way of a namespace: webhooks, policies and quotas.

Each is made for one namespace, given out once the API server goes by it, and removed again. The
webhook is a small TLS server on loopback that the API server calls.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import trustme

from faults.raw_http import read_request
from modelfleet.local.api import Api
from modelfleet.local.errors import LocalError

_REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
_IN_FORCE_SECONDS = 240.0


@asynccontextmanager
async def webhook(
    api: Api, namespace: str, *, resource: str, denial: str | None
) -> AsyncIterator[str]:
    """Have a webhook deny ``resource`` in ``namespace``; without ``denial`` it never answers.

    Gives the name of the webhook.
    """
    authority = trustme.CA()
    name = f"guard.{namespace}.example.com"
    async with _server(authority, denial) as port:
        client = {
            "url": f"https://127.0.0.1:{port}/",
            "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode(),
        }
        webhook = {
            "name": name,
            "clientConfig": client,
            "rules": [_rule(resource)],
            "namespaceSelector": _only(namespace),
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 1 if denial is None else 30,
        }
        path = f"{_REGISTRATION}/validatingwebhookconfigurations"
        configuration = {"metadata": {"name": name}, "webhooks": [webhook]}
        await asyncio.to_thread(api.send, "POST", path, json=configuration)
        try:
            await asyncio.to_thread(_wait_until_refused, api, namespace, resource, "webhook")
            yield name
        finally:
            await asyncio.to_thread(api.send, "DELETE", f"{path}/{name}")


@contextmanager
def policy(api: Api, namespace: str, *, resource: str, denial: str) -> Iterator[str]:
    """Have a ValidatingAdmissionPolicy deny ``resource`` in ``namespace``; give its name."""
    name = f"guard-{namespace}"
    rules = {"resourceRules": [_rule(resource)], "namespaceSelector": _only(namespace)}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": rules,
        "validations": [{"expression": "false", "message": denial}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {}}
    made = {
        "validatingadmissionpolicies": spec,
        "validatingadmissionpolicybindings": binding,
    }
    for plural, each in made.items():
        obj = {"metadata": {"name": name}, "spec": each}
        api.send("POST", f"{_REGISTRATION}/{plural}", json=obj)
    try:
        _wait_until_refused(api, namespace, resource, name)
        yield name
    finally:
        for plural in made:
            api.send("DELETE", f"{_REGISTRATION}/{plural}/{name}")


@contextmanager
def quota(api: Api, namespace: str, *, resource: str, hard: Mapping[str, str]) -> Iterator[str]:
    """Have a ResourceQuota limit ``namespace`` to ``hard``; give its name."""
    name = "small"
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    api.send("POST", path, json={"metadata": {"name": name}, "spec": {"hard": dict(hard)}})
    try:
        _wait_until_refused(api, namespace, resource, "quota")
        yield name
    finally:
        api.send("DELETE", f"{path}/{name}")


def _wait_until_refused(api: Api, namespace: str, resource: str, reason: str) -> None:
    """Wait until the API server, which hears of it by a watch, refuses for ``reason``."""
    root, probe = _PROBES[resource]
    deadline = time.monotonic() + _IN_FORCE_SECONDS
    while True:
        try:
            path = f"{root}/namespaces/{namespace}/{resource}"
            api.send("POST", path, json=probe, params={"dryRun": "All"})
        except LocalError as error:
            assert reason in str(error), error
            return
        assert time.monotonic() < deadline, f"the {reason} is not in force"
        time.sleep(0.05)


@asynccontextmanager
async def _server(authority: trustme.CA, denial: str | None) -> AsyncIterator[int]:
    """Serve as an admission webhook that denies everything, or that never answers."""
    silent: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        if request is None or denial is None:
            silent.append(writer)
            return
        review = json.loads(request.raw.split(b"\r\n\r\n", 1)[1])
        response = {
            "uid": review["request"]["uid"],
            "allowed": False,
            "status": {"message": denial},
        }
        body = json.dumps({**review, "request": None, "response": response}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in silent:
            writer.transport.abort()


def _rule(resource: str) -> dict[str, Any]:
    return {
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
    }


def _only(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


_CONTAINER = {
    "name": "a",
    "image": "a",
    "resources": {"limits": {"cpu": "1000", "memory": "1000Ti"}},
}
_POD: dict[str, Any] = {
    "metadata": {"name": "probe", "labels": {"a": "b"}},
    "spec": {"containers": [_CONTAINER]},
}
_PROBES: dict[str, tuple[str, dict[str, Any]]] = {
    "secrets": ("/api/v1", {"metadata": {"name": "probe"}}),
    "pods": ("/api/v1", _POD),
    "deployments": (
        "/apis/apps/v1",
        {
            "metadata": {"name": "probe"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": _POD},
        },
    ),
}
