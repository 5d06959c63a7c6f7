"""Calling the model behind a service or proxy, through OpenAI's own client.

The call shapes are AgentRun's, of both of its generations; what they return, stream and raise is
OpenAI's. Where a model is and which key it wants is found out before each call (``addresses.py``).
What OpenAI's client raises passes as it is; only that nobody serves is told in our words.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from modelfleet import background
from modelfleet.agentrun.names import ModelType
from modelfleet.client.addresses import Way
from modelfleet.client.asked import Request, request_of
from modelfleet.client.base_info import BaseInfo
from modelfleet.client.called import Called
from modelfleet.client.config import Config
from modelfleet.client.connections import connected
from modelfleet.client.errors import raised_as_agentruns
from modelfleet.client.openai_clients import Caller, async_client_for, client_for, without_a_key
from modelfleet.client.usage import Price, Usage, usage_of
from modelfleet.errors import ModelFleetError, NotReadyError

if TYPE_CHECKING:
    import openai
    from openai.types import CreateEmbeddingResponse
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.responses import Response, ResponseStreamEvent

_CHAT: Final = ("chat", "completions")
_RESPONSES: Final = ("responses",)
_EMBEDDINGS: Final = ("embeddings",)


@dataclass(frozen=True)
class _Call:
    """One call of a model, ready to be sent: the way, who sends it, and what."""

    way: Way
    caller: Caller
    parameters: Mapping[str, Any]


class Inference:
    """What ``ModelService`` and ``ModelProxy`` can do with the models behind them."""

    if TYPE_CHECKING:

        def _called(self, config: Config | None) -> Called: ...

    # -- where, and with which key -----------------------------------------------------------

    def model_info(self, config: Config | None = None) -> BaseInfo:
        """Return where the model is called, and what belongs into every request to it.

        The address is that of this moment, from here: at ``base_url`` any client may call, for as
        long as this program runs, with ``api_key`` and ``headers``.

        Raises:
            ValueError: the object has no name.
            ResourceNotExistError: there is none of that name.
            NotReadyError: nobody would answer; says why.
            HTTPError: the cluster cannot be asked, or does not let us.
        """
        return background.run(self._info(config))

    async def model_info_async(self, config: Config | None = None) -> BaseInfo:
        """Return what :meth:`model_info` does."""
        return await background.run_async(self._info(config))

    # -- chat --------------------------------------------------------------------------------

    @overload
    def completion(
        self,
        messages: Sequence[Any] = ...,
        model: str | None = ...,
        custom_llm_provider: str | None = ...,
        *,
        stream: Literal[True],
        config: Config | None = ...,
        **kwargs: Any,
    ) -> openai.Stream[ChatCompletionChunk]: ...

    @overload
    def completion(
        self,
        messages: Sequence[Any] = ...,
        model: str | None = ...,
        custom_llm_provider: str | None = ...,
        *,
        config: Config | None = ...,
        **kwargs: Any,
    ) -> ChatCompletion: ...

    def completion(
        self,
        messages: Sequence[Any] = (),
        model: str | None = None,
        custom_llm_provider: str | None = None,
        *,
        config: Config | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the answer to ``messages``; with ``stream=True`` its parts as they come.

        ``model`` is unset for the resource's own. All else is what ``chat.completions.create`` of
        OpenAI's client takes, and what an engine takes beyond that; ``headers``, ``api_key`` and
        ``max_retries`` are of this call.

        Raises:
            ValueError: it takes a ``model`` to know which one is meant.
            TypeError: an argument that only LiteLLM understands.
            openai.OpenAIError: what the gateway or the engine says, or that the connection broke.
            NotReadyError, AgentRunError: as :meth:`model_info` does.
        """
        given = {"messages": list(messages), "model": model, **kwargs}
        return self._create(_CHAT, "completion", given, custom_llm_provider, config)

    @overload
    async def acompletion(
        self,
        messages: Sequence[Any] = ...,
        model: str | None = ...,
        custom_llm_provider: str | None = ...,
        *,
        stream: Literal[True],
        config: Config | None = ...,
        **kwargs: Any,
    ) -> openai.AsyncStream[ChatCompletionChunk]: ...

    @overload
    async def acompletion(
        self,
        messages: Sequence[Any] = ...,
        model: str | None = ...,
        custom_llm_provider: str | None = ...,
        *,
        config: Config | None = ...,
        **kwargs: Any,
    ) -> ChatCompletion: ...

    async def acompletion(
        self,
        messages: Sequence[Any] = (),
        model: str | None = None,
        custom_llm_provider: str | None = None,
        *,
        config: Config | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return what :meth:`completion` does."""
        given = {"messages": list(messages), "model": model, **kwargs}
        return await self._acreate(_CHAT, "acompletion", given, custom_llm_provider, config)

    completion_async = acompletion

    def completions(
        self,
        messages: Sequence[Any] = (),
        model: str | None = None,
        stream: bool = False,
        config: Config | None = None,
        **kwargs: Any,
    ) -> Any:
        """Do what :meth:`completion` does, in the call shape of AgentRun's first releases."""
        warnings.warn(
            "completions() is deprecated, use completion() instead",
            DeprecationWarning,
            stacklevel=2,
        )
        streamed: dict[str, Any] = {"stream": True} if stream else {}
        return self.completion(messages, model, config=config, **streamed, **kwargs)

    # -- responses ---------------------------------------------------------------------------

    @overload
    def responses(
        self,
        input: Any = ...,
        model: str | None = ...,
        custom_llm_provider: str | None = ...,
        *,
        stream: Literal[True],
        messages: Any = ...,
        config: Config | None = ...,
        **kwargs: Any,
    ) -> openai.Stream[ResponseStreamEvent]: ...

    @overload
    def responses(
        self,
        input: Any = ...,
        model: str | None = ...,
        custom_llm_provider: str | None = ...,
        *,
        messages: Any = ...,
        config: Config | None = ...,
        **kwargs: Any,
    ) -> Response: ...

    def responses(
        self,
        input: Any = None,  # noqa: A002
        model: str | None = None,
        custom_llm_provider: str | None = None,
        *,
        messages: Any = None,
        config: Config | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the response to ``input``, a text or items; with ``stream=True`` its events.

        ``messages`` is what AgentRun's first releases called it. Raises as :meth:`completion` does.
        """
        given = {"input": _input(input, messages), "model": model, **kwargs}
        return self._create(_RESPONSES, "responses", given, custom_llm_provider, config)

    @overload
    async def aresponses(
        self,
        input: Any = ...,
        model: str | None = ...,
        custom_llm_provider: str | None = ...,
        *,
        stream: Literal[True],
        messages: Any = ...,
        config: Config | None = ...,
        **kwargs: Any,
    ) -> openai.AsyncStream[ResponseStreamEvent]: ...

    @overload
    async def aresponses(
        self,
        input: Any = ...,
        model: str | None = ...,
        custom_llm_provider: str | None = ...,
        *,
        messages: Any = ...,
        config: Config | None = ...,
        **kwargs: Any,
    ) -> Response: ...

    async def aresponses(
        self,
        input: Any = None,  # noqa: A002
        model: str | None = None,
        custom_llm_provider: str | None = None,
        *,
        messages: Any = None,
        config: Config | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return what :meth:`responses` does."""
        given = {"input": _input(input, messages), "model": model, **kwargs}
        return await self._acreate(_RESPONSES, "aresponses", given, custom_llm_provider, config)

    responses_async = aresponses

    # -- embeddings --------------------------------------------------------------------------

    def embedding(
        self,
        input: Any = (),  # noqa: A002
        model: str | None = None,
        custom_llm_provider: str | None = None,
        *,
        config: Config | None = None,
        **kwargs: Any,
    ) -> CreateEmbeddingResponse:
        """Return the vectors of ``input``, a text or several. Raises as :meth:`completion` does."""
        given = {"input": _texts(input), "model": model, **kwargs}
        embedded: CreateEmbeddingResponse = self._create(
            _EMBEDDINGS, "embedding", given, custom_llm_provider, config
        )
        return embedded

    async def aembedding(
        self,
        input: Any = (),  # noqa: A002
        model: str | None = None,
        custom_llm_provider: str | None = None,
        *,
        config: Config | None = None,
        **kwargs: Any,
    ) -> CreateEmbeddingResponse:
        """Return what :meth:`embedding` does."""
        given = {"input": _texts(input), "model": model, **kwargs}
        embedded: CreateEmbeddingResponse = await self._acreate(
            _EMBEDDINGS, "aembedding", given, custom_llm_provider, config
        )
        return embedded

    embedding_async = aembedding

    # -- who used what -----------------------------------------------------------------------

    def usage(
        self,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        config: Config | None = None,
    ) -> Usage:
        """Return what was used: of a proxy all of it, of a service what proxies sent to it.

        From the records that gateways write about every request, as far back as the cluster keeps
        their logs; :class:`Usage` says how far that is. ``since`` counts, ``until`` does not; a
        time without a zone is of UTC. ``prices`` are by the name that callers send.

        Raises:
            ValueError: ``since`` or ``until`` is no time, or ``prices`` are of several currencies.
            ResourceNotExistError: there is none of that name.
            HTTPError: we may not read logs, or the cluster cannot be asked.
        """
        return background.run(self._usage(since, until, prices, config))

    async def usage_async(
        self,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        config: Config | None = None,
    ) -> Usage:
        """Return what :meth:`usage` does."""
        return await background.run_async(self._usage(since, until, prices, config))

    # -- how it is done ----------------------------------------------------------------------

    async def _info(self, config: Config | None) -> BaseInfo:
        called = self._called(config)
        way = await _way_to(called)
        return BaseInfo(
            model=way.target.model or "",
            api_key=way.api_key or "",
            base_url=way.base_url,
            headers=called.config.get_headers(),
            provider=called.provider or "openai",
            address=way.told,
        )

    async def _usage(
        self,
        since: datetime | str | None,
        until: datetime | str | None,
        prices: Mapping[str, Price] | None,
        config: Config | None,
    ) -> Usage:
        called = self._called(config)
        with raised_as_agentruns(called.name):
            async with connected(called.config, holder=called.holder) as connection:
                return await usage_of(
                    connection.fleet, called, since=since, until=until, prices=prices
                )

    def _create(
        self,
        path: tuple[str, ...],
        name: str,
        given: Mapping[str, Any],
        provider: str | None,
        config: Config | None,
    ) -> Any:
        request = request_of(given, call=name, known=_known(path), provider=provider)
        call = background.run(_call(self._called(config), request, path))
        with _explained(call.way):
            return _method(client_for(call.caller), path)(**call.parameters)

    async def _acreate(
        self,
        path: tuple[str, ...],
        name: str,
        given: Mapping[str, Any],
        provider: str | None,
        config: Config | None,
    ) -> Any:
        request = request_of(given, call=name, known=_known(path), provider=provider)
        call = await background.run_async(_call(self._called(config), request, path))
        client = await async_client_for(call.caller)
        with _explained(call.way):
            return await _method(client, path)(**call.parameters)


async def _way_to(called: Called) -> Way:
    with raised_as_agentruns(called.name):
        async with connected(called.config, holder=called.holder) as connection:
            return await connection.addresses.way_to(called)


async def _call(called: Called, request: Request, path: tuple[str, ...]) -> _Call:
    way = await _way_to(called)
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
    return _Call(way, caller, parameters)


def _own_model(way: Way, path: tuple[str, ...]) -> str:
    """Return the model of a call that names none."""
    target = way.target
    wanted = ModelType.EMBEDDING if path == _EMBEDDINGS else ModelType.LLM
    if (model := target.model_for(wanted)) is not None:
        return model
    if target.models:
        names = ", ".join(target.models)
        raise ValueError(f"{target.subject} answers to several names: give model= one of {names}.")
    raise ValueError(
        f"{target.subject} declares no model name, and its provider may have many: give model=, or "
        "declare provider_settings.model_names."
    )


def _input(given: Any, messages: Any) -> Any:
    if given is not None and messages is not None and given != messages:
        raise ValueError("responses() was given input and messages, two names of one thing.")
    return messages if given is None else given


def _texts(given: Any) -> Any:
    return list(given) if isinstance(given, tuple) else given


def _method(client: Any, path: tuple[str, ...]) -> Callable[..., Any]:
    """Return the ``create`` of one part of OpenAI's client."""
    for part in path:
        client = getattr(client, part)
    method: Callable[..., Any] = client.create
    return method


@cache
def _known(path: tuple[str, ...]) -> frozenset[str]:
    """Return the parameters that OpenAI's client has for a call."""
    from openai.resources.chat.completions import Completions
    from openai.resources.embeddings import Embeddings
    from openai.resources.responses import Responses

    of: dict[tuple[str, ...], Any] = {
        _CHAT: Completions,
        _RESPONSES: Responses,
        _EMBEDDINGS: Embeddings,
    }
    return frozenset(inspect.signature(of[path].create).parameters) - {"self"}


@contextmanager
def _explained(way: Way) -> Iterator[None]:
    """Say of a connection that broke what broke it, as far as that is known on this side."""
    import openai

    before = way.port.failure if way.port else None
    try:
        yield
    except openai.APIConnectionError as error:
        after = way.port.failure if way.port else None
        if after is None or after is before:
            raise
        if isinstance(after, NotReadyError):
            raise _anew(after) from error
        error.add_note(f"{way.target.subject} is called by {way.told}: {after}")
        raise


def _anew(error: NotReadyError) -> ModelFleetError:
    """Return an error of its own for whom it is raised to: one may have struck many calls."""
    return NotReadyError(error.subject, error.reasons, live=error.live)
