"""How one call of a model is carried out, whichever it is.

Where the model is and which key it wants is found out first, on the background loop; the request
itself is sent by the caller's own thread or event loop. What OpenAI's client raises passes as it
is; only that nobody serves is told in our words.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from modelfleet import background
from modelfleet.agentrun.names import ModelType
from modelfleet.client.addresses import Way
from modelfleet.client.asked import Request, request_of
from modelfleet.client.called import Called
from modelfleet.client.connections import Lent, connected
from modelfleet.client.errors import raised_as_agentruns
from modelfleet.client.openai_clients import Caller, async_client_for, client_for, without_a_key
from modelfleet.errors import ModelFleetError, NotReadyError

Path = tuple[str, ...]
"""Which part of OpenAI's client has the ``create`` that carries a call out."""

CHAT: Final[Path] = ("chat", "completions")
RESPONSES: Final[Path] = ("responses",)
EMBEDDINGS: Final[Path] = ("embeddings",)


@dataclass(frozen=True)
class _Ready:
    """One call of a model, ready to be sent: the way, who sends it, and what.

    Until the answer is over, the connection is ``lent``: a port of it may lead there.
    """

    way: Way
    caller: Caller
    parameters: Mapping[str, Any]
    lent: Lent


def create(
    called: Called, path: Path, given: Mapping[str, Any], *, call: str, provider: str | None
) -> Any:
    """Return what the model makes of what is ``given``; ``call`` is what the caller called.

    Raises as :meth:`Completions.completion` says.
    """
    request = request_of(given, call=call, known=_known(path), provider=provider)
    ready = background.run(_ready(called, request, path))
    with _sent(ready):
        answer = _method(client_for(ready.caller), path)(**ready.parameters)
    return _lasting(answer, ready.lent)


async def acreate(
    called: Called, path: Path, given: Mapping[str, Any], *, call: str, provider: str | None
) -> Any:
    """Return what :func:`create` does."""
    request = request_of(given, call=call, known=_known(path), provider=provider)
    ready = await background.run_async(_ready(called, request, path))
    with _sent(ready):
        client = await async_client_for(ready.caller)
        answer = await _method(client, path)(**ready.parameters)
    return _lasting(answer, ready.lent)


async def way_to(called: Called) -> Way:
    """Return how ``called`` is called from here; on the background loop.

    Raises NotReadyError as it is, and all else as AgentRun would.
    """
    with raised_as_agentruns(called.name):
        async with connected(called.config, holder=called.holder) as connection:
            return await connection.addresses.way_to(called)


async def _ready(called: Called, request: Request, path: Path) -> _Ready:
    with raised_as_agentruns(called.name):
        async with connected(called.config, holder=called.holder) as connection:
            way = await connection.addresses.way_to(called)
            caller = Caller(
                base_url=way.base_url,
                api_key=request.options.get("api_key") or way.api_key,
                headers=called.config.get_headers(),
                silence_seconds=called.config.get_read_timeout(),
                is_direct=way.is_direct,
                max_retries=request.options.get("max_retries"),
            )
            model = request.parameters.get("model") or _own_model(way, path)
            parameters = without_a_key(caller, {**request.parameters, "model": model})
            return _Ready(way, caller, parameters, Lent(connection))


def _own_model(way: Way, path: Path) -> str:
    """Return the model of a call that names none."""
    target = way.target
    wanted = ModelType.EMBEDDING if path == EMBEDDINGS else ModelType.LLM
    if (model := target.model_for(wanted)) is not None:
        return model
    if target.models:
        names = ", ".join(target.models)
        raise ValueError(f"{target.subject} answers to several names: give model= one of {names}.")
    raise ValueError(
        f"{target.subject} declares no model name, and its provider may have many: give model=, or "
        "declare provider_settings.model_names."
    )


def _method(client: Any, path: Path) -> Callable[..., Any]:
    """Return the ``create`` of one part of OpenAI's client."""
    for part in path:
        client = getattr(client, part)
    method: Callable[..., Any] = client.create
    return method


@cache
def _known(path: Path) -> frozenset[str]:
    """Return the parameters that OpenAI's client has for a call."""
    from openai.resources.chat.completions import Completions
    from openai.resources.embeddings import Embeddings
    from openai.resources.responses import Responses

    of: dict[Path, Any] = {
        CHAT: Completions,
        RESPONSES: Responses,
        EMBEDDINGS: Embeddings,
    }
    return frozenset(inspect.signature(of[path].create).parameters) - {"self"}


def _lasting(answer: Any, lent: Lent) -> Any:
    """Return ``answer``, which gives back what is lent for it: now, or when its stream is over.

    That is when the response is closed, which OpenAI's client does at every end of a stream, or
    when nobody can close it any more.
    """
    import openai

    if isinstance(answer, openai.Stream):
        answer.response.close = _then(answer.response.close, lent)  # type: ignore[method-assign]
    elif isinstance(answer, openai.AsyncStream):
        answer.response.aclose = _then_async(answer.response.aclose, lent)  # type: ignore[method-assign]
    else:
        lent.end()
    return answer


def _then(close: Callable[[], None], lent: Lent) -> Callable[[], None]:
    def closed() -> None:
        try:
            close()
        finally:
            lent.end()

    return closed


def _then_async(
    close: Callable[[], Awaitable[None]], lent: Lent
) -> Callable[[], Coroutine[Any, Any, None]]:
    async def closed() -> None:
        try:
            await close()
        finally:
            lent.end()

    return closed


@contextmanager
def _sent(ready: _Ready) -> Iterator[None]:
    """Give back what was lent for a request that failed.

    Of a connection that broke it says what broke it, as far as that is known on this side.
    """
    import openai

    way = ready.way
    before = way.port.failure if way.port else None
    try:
        yield
    except openai.APIConnectionError as error:
        ready.lent.end()
        after = way.port.failure if way.port else None
        if after is None or after is before:
            raise
        if isinstance(after, NotReadyError):
            raise _anew(after) from error
        error.add_note(f"{way.target.subject} is called by {way.told}: {after}")
        raise
    except BaseException:
        ready.lent.end()
        raise


def _anew(error: NotReadyError) -> ModelFleetError:
    """Return an error of its own for whom it is raised to: one may have struck many calls."""
    return NotReadyError(error.subject, error.reasons, live=error.live)
