"""The data endpoint: ``/models/{name}/v1/…`` is handed on to a proxy, or a service that runs here.

Only OpenAI's paths, and only for who signed the request with an access key that sees the resource,
or for anybody where a gateway asks for keys of its own: it is never an open door. Both directions
are streamed. ``Authorization`` passes through, since it is for the gateway; nothing is added. What
runs elsewhere is not called from here: whoever may declare a base URL could else reach all that
this server reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.agentrun_api.callers import DATA_HEADER, data_account
from modelfleet.adapters.query_api.agentrun_api.replies import refusal_of
from modelfleet.adapters.query_api.agentrun_api.ways import Ways
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.refusal import RefusedError
from modelfleet.agentrun.scope import is_visible
from modelfleet.catalogue import Entry
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import DEPLOYMENT
from modelfleet.errors import ModelFleetError, NotReadyError
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE
from modelfleet.spec.proxy import ModelProxySpec

POSTED: Final = (
    "chat/completions",
    "completions",
    "embeddings",
    "responses",
    "rerank",
    "audio/transcriptions",
    "audio/speech",
    "moderations",
    "images/generations",
)

_ONE_MODEL: Final = re.compile(r"models/([^/]+(?:/[^/]+)*)")
_DOTS: Final = frozenset({".", ".."})

# Of RFC 9110, 7.6.1, and what is between a client and this server.
_HOP_BY_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade", b"proxy-authenticate", b"proxy-authorization"),
        *(b"host", b"expect", b"cookie", b"set-cookie", b"server", b"date"),
        *(b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
        *(b"x-real-ip", b"strict-transport-security", DATA_HEADER.encode()),
    }
)

_INCORRECT: Final = "Incorrect API key. It is unknown here, was revoked or has expired."
"""What a gateway says to a key that is not one of its own."""

_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


async def infer(request: Request, parts: Parts) -> Response:
    """Hand a request on to who answers it, and the answer back."""
    account = data_account(request, parts)
    path = _path(request)
    entry = _meant(request, parts, account)
    ways = parts.one(Ways.of)
    query = request.scope["query_string"].decode("latin-1")
    try:
        answer = await ways.send(
            entry,
            method=request.method,
            target=f"/v1/{path}?{query}" if query else f"/v1/{path}",
            headers=onward_headers(request.scope["headers"]),
            content=request.stream() if request.method == "POST" else None,
        )
    except (ModelFleetError, httpx.TransportError) as error:
        raise _unanswered(error, entry, ways, is_stranger=account is None) from error
    return Relayed(answer)


def _unanswered(error: Exception, entry: Entry, ways: Ways, *, is_stranger: bool) -> RefusedError:
    """Return why nobody answered; whoever has no account hears nothing of pods and clusters."""
    retry = {"Retry-After": "5"}
    if isinstance(error, httpx.TransportError):
        why = ways.failure(entry) or "the connection to it failed"
        refused = RefusedError(502, "unreachable", f"{entry.service.id}: {why}.")
    elif isinstance(error, NotReadyError):
        refused = RefusedError(503, "not_ready", str(error), headers=retry)
    else:
        assert isinstance(error, ModelFleetError)  # noqa: S101 - there is no other
        told = refusal_of(error, subject=entry.service.id).message
        refused = RefusedError(503, "unreachable", told)
    if is_stranger:
        refused.message = f"{entry.key.name} cannot be reached at the moment."
    return refused


def refusal_form(refused: RefusedError, request_id: str) -> Response:
    """Return the body of a refusal, as OpenAI's clients read it."""
    kind = "server_error" if refused.status >= 500 else "invalid_request_error"
    error = {
        "message": refused.message,
        "type": _TYPES.get(refused.status, kind),
        "param": None,
        "code": refused.code,
        "request_id": request_id,
    }
    return JSONResponse({"error": error}, status_code=refused.status)


def _meant(request: Request, parts: Parts, account: Account | None) -> Entry:
    """Return who is to answer: the proxy of that name before the service.

    Raises:
        RefusedError: there is none that the caller may call.
    """
    name = request.path_params["name"]
    if account is None and "authorization" not in request.headers:
        raise RefusedError(
            401,
            "missing_api_key",
            "Send the API key of the proxy as Authorization: Bearer, or sign the request "
            f"({DATA_HEADER}).",
        )
    if not parts.catalogue.freshness.synced:
        raise RefusedError(503, "not_ready", "The fleet is not known yet.")
    if account is None:
        return _guarded(name, parts)
    entry = _seen(name, parts, account)
    if entry is None:
        raise RefusedError(404, "not_found", f"There is no proxy or service {name} to call here.")
    return entry


def _seen(name: str, parts: Parts, account: Account) -> Entry | None:
    """Return what an account sees under a name; a service only if it runs here."""
    entries = parts.catalogue.last_known().by_key
    for kind in (MODEL_PROXY.kind, MODEL_SERVICE.kind):
        entry = entries.get(Key(account.namespace, kind, name))
        if entry is None or not is_visible(entry, account.scope):
            continue
        if entry.primary["kind"] != DEPLOYMENT.kind:
            raise RefusedError(
                404, "not_found", f"{name} runs elsewhere: call it at its own base URL."
            )
        return entry
    return None


def _guarded(name: str, parts: Parts) -> Entry:
    """Return the one proxy of that name whose gateway asks for keys, where accounts have theirs.

    Where there is none, that is told as its gateway would: strangers learn no names.
    """
    entries = parts.catalogue.last_known().by_key
    found = [
        entry
        for namespace in sorted(parts.accounts.namespaces)
        if (entry := entries.get(Key(namespace, MODEL_PROXY.kind, name))) is not None
        if isinstance(entry.spec, ModelProxySpec) and _asks_for_keys(entry.spec)
    ]
    if len(found) > 1:
        raise RefusedError(
            409, "ambiguous", f"There are several proxies {name}: sign the request ({DATA_HEADER})."
        )
    if not found:
        raise RefusedError(
            401,
            "incorrect_api_key",
            _INCORRECT,
            headers={"WWW-Authenticate": "Bearer"},
        )
    return found[0]


def _asks_for_keys(spec: ModelProxySpec) -> bool:
    return bool(spec.api_keys or spec.credential_name)


def _path(request: Request) -> str:
    """Return the path below ``/v1/``, which is one of a few, as it is sent on."""
    path = request.path_params["path"]
    if path in POSTED:
        allowed = "POST"
    elif path == "models" or ((one := _ONE_MODEL.fullmatch(path)) and _is_plain(one[1])):
        allowed = "GET"
    else:
        raise RefusedError(404, "not_found", "There is no such path of OpenAI's API here.")
    if request.method != allowed:
        raise RefusedError(
            405, "method_not_allowed", f"Only {allowed} is answered.", headers={"Allow": allowed}
        )
    return quote(path, safe="/")


def _is_plain(name: str) -> bool:
    return not _DOTS & set(name.split("/"))


def onward_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers that go on to the next hop, in either direction."""
    pairs = [(name.lower(), value) for name, value in headers]
    # A connection may name further headers that are its own.
    named = {
        each.strip().lower()
        for name, value in pairs
        if name == b"connection"
        for each in value.split(b",")
    }
    return [
        (name, value)
        for name, value in pairs
        if name not in _HOP_BY_HOP and name not in named and not name.startswith(b"x-acs-")
    ]


class Relayed(StreamingResponse):
    """An answer as it comes in; its connection is given back however this ends."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.aiter_raw(), status_code=answer.status_code)
        self.raw_headers = onward_headers(answer.headers.raw)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; where it breaks off, the guard ends the caller's connection as well."""
        try:
            await super().__call__(scope, receive, send)
        except httpx.TransportError as error:
            raise RefusedError(502, "unreachable", "The answer broke off.") from error
        finally:
            await self._answer.aclose()
