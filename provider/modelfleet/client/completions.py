"""Chat with the model behind a service or proxy, in the call shapes of AgentRun's generations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from modelfleet.client.called import Called
from modelfleet.client.calling import CHAT, acreate, create
from modelfleet.client.config import Config

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion, ChatCompletionChunk


class Completions:
    """What is said to a model, and what it answers."""

    if TYPE_CHECKING:

        def _called(self, config: Config | None) -> Called: ...

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
        return create(
            self._called(config), CHAT, given, call="completion", provider=custom_llm_provider
        )

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
        return await acreate(
            self._called(config), CHAT, given, call="acompletion", provider=custom_llm_provider
        )

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
