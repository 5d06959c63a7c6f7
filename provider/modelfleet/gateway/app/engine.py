"""LiteLLM inside of this process: prepared, imported, quietened, and given its credentials.

The only file that knows LiteLLM from within. What it changes there is little, and each is tried in
tests/gateway against the pinned release; on a release that lacks a place, that change is left out.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from .asgi import Asgi
from .settings import Gateway, Settings
from .watched import WatchedFile

_FIXED = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    # Otherwise a start tries to fetch prices from the internet.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "NO_OPENAPI": "True",
    # Seconds between tries of one upstream. With the defaults an error takes five seconds.
    "INITIAL_RETRY_DELAY": "0.1",
    "MAX_RETRY_DELAY": "1",
    "JITTER": "0.1",
}
_CLOSED_CONNECTIONS = 3
"""How many closed connections one request may meet."""

_LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "asyncio", "uvicorn.error")


class Engine:
    """LiteLLM's application and its router, which is there once the application has started."""

    def __init__(self, settings: Settings, gateway: Gateway) -> None:
        self.master_key = f"sk-{secrets.token_hex(24)}"
        self._credentials = _Credentials(settings, gateway)
        os.environ.pop("DATABASE_URL", None)
        os.environ.update(
            _FIXED, CONFIG_FILE_PATH=str(settings.litellm_file), LITELLM_MASTER_KEY=self.master_key
        )
        self._credentials.export()
        password = WatchedFile(settings.redis_password_file, _text, absent="").current()
        if password:
            os.environ["MODELFLEET_REDIS_PASSWORD"] = password
        _without_retries_of_the_client()
        self._server = importlib.import_module("litellm.proxy.proxy_server")
        _with_retries_elsewhere()
        _with_the_unsent_sent_again()
        _without_redirections()
        self.app: Asgi = self._server.app

    @property
    def own_parameters(self) -> Iterable[str]:
        """The names that LiteLLM keeps for itself in the body of a request."""
        types = importlib.import_module("litellm.types.utils")
        return list(types.all_litellm_params)

    def started(self) -> None:
        """Called when LiteLLM has started: from now on it is quiet.

        What it logs on failures repeats what upstreams say, which may be content.
        """
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._access_names = {
            each["model_info"]["id"]: str(each["model_name"]) for each in self._deployments()
        }

    @property
    def is_loaded(self) -> bool:
        """Whether the router knows its upstreams."""
        return self._server.llm_router is not None

    def access_name(self, upstream_id: str) -> str | None:
        """The access name that an upstream serves."""
        return self._access_names.get(upstream_id)

    def refresh_credentials(self) -> None:
        """Have upstreams called with their new keys, where a file has changed."""
        changed = self._credentials.changed()
        if not changed:
            return
        for each in self._deployments():
            key = changed.get(each["model_info"]["id"])
            if key is not None:
                each["litellm_params"]["api_key"] = key

    def _deployments(self) -> list[dict[str, Any]]:
        router = self._server.llm_router
        return [] if router is None else list(router.model_list)


class _Credentials:
    """The keys of upstreams, one file each."""

    def __init__(self, settings: Settings, gateway: Gateway) -> None:
        self._numbers = {
            upstream.id: upstream.credential
            for upstream in gateway.upstreams.values()
            if upstream.credential is not None
        }
        self._files = {
            number: WatchedFile(settings.credential_file(number), _text, absent="")
            for number in sorted(set(self._numbers.values()))
        }
        self._seen: dict[int, int] = {}

    def export(self) -> None:
        """Set the variables that litellm.yaml names; one without a key must be set as well."""
        for number, file in self._files.items():
            os.environ[f"MODELFLEET_CREDENTIAL_{number}"] = file.current() or "none"
            self._seen[number] = file.version

    def changed(self) -> Mapping[str, str]:
        """The new keys by the upstreams they are for, each once."""
        changed: dict[int, str] = {}
        for number, file in self._files.items():
            key = file.current()
            if file.version != self._seen[number] and key:
                self._seen[number] = file.version
                changed[number] = key
        if not changed:
            return {}
        return {name: changed[n] for name, n in self._numbers.items() if n in changed}


def _text(content: bytes) -> str:
    return content.decode().strip()


def _without_retries_of_the_client() -> None:
    """Leave retries to the router alone.

    The client of OpenAI inside of LiteLLM retries twice on its own, for some paths (embeddings,
    images, moderations) whatever LiteLLM is told: three calls for each one that was declared.
    """
    openai = importlib.import_module("openai")
    for client in (openai.OpenAI, openai.AsyncOpenAI):
        client.max_retries = property(lambda _client: 0, lambda _client, _value: None)


def _with_retries_elsewhere() -> None:
    """Have a retry leave out the upstreams that have just failed, as long as there are others.

    LiteLLM does so for upstreams that refuse, but draws anew after a failure: of two upstreams
    with weights 80 and 20 the first one being gone, every second request would fail after two
    retries. Its cooldowns would help, and take an upstream away from everybody for a while.
    """
    router = importlib.import_module("litellm.router").Router
    if hasattr(router, "_deployment_ids_to_skip_on_retry"):
        router._deployment_ids_to_skip_on_retry = staticmethod(_failed_upstreams)


def _failed_upstreams(exception: Exception, already_skipped: object) -> tuple[str, ...]:
    before = already_skipped if isinstance(already_skipped, tuple) else ()
    failed = getattr(exception, "retry_skip_deployment_id", None) or getattr(
        exception, "failed_deployment_id", None
    )
    return tuple(sorted({*before, failed})) if failed else before


def _with_the_unsent_sent_again() -> None:
    """Send a request anew that could not be sent, as the upstream had just closed the connection.

    Engines close connections between two requests without a word, llama.cpp after every hundredth.
    With many requests at a time, the next one is often on its way already. No upstream has seen any
    of it whole, so that this is none of the retries that are declared.
    """
    http = importlib.import_module("litellm.llms.custom_httpx.aiohttp_transport")
    transport = getattr(http, "LiteLLMAiohttpTransport", None)
    if transport is None:
        return
    send = transport.handle_async_request

    async def sent(self: Any, request: Any) -> Any:
        for _ in range(_CLOSED_CONNECTIONS):
            try:
                return await send(self, request)
            except http.httpx.ReadError as error:
                if not _is_unsent(error):
                    raise
        return await send(self, request)

    transport.handle_async_request = sent


def _without_redirections() -> None:
    """Send requests to upstreams that are declared, and not to where those would like them.

    LiteLLM's clients follow a ``Location``, and would bring a caller's words, and the answer, from
    any address that the pod can reach. Without one, a redirection is an answer like other failures.
    """
    http = importlib.import_module("litellm.llms.custom_httpx.aiohttp_transport")
    own = getattr(http, "LiteLLMAiohttpTransport", None)
    for transport in (own, http.httpx.AsyncHTTPTransport):
        if transport is not None:
            transport.handle_async_request = _led_nowhere(transport.handle_async_request)


def _led_nowhere(send: Any) -> Any:
    async def sent(self: Any, request: Any) -> Any:
        response = await send(self, request)
        if 300 <= response.status_code < 400:
            response.headers.pop("location", None)
        return response

    return sent


def _is_unsent(error: BaseException | None) -> bool:
    while error is not None and type(error).__name__ != "ClientConnectionResetError":
        error = error.__cause__
    return error is not None
