"""Responses, OpenAI's newer form of chat, in the call shapes of AgentRun's generations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from modelfleet.client.called import Called
from modelfleet.client.calling import RESPONSES, acreate, create
from modelfleet.client.config import Config

if TYPE_CHECKING:
    import openai
    from openai.types.responses import Response, ResponseStreamEvent


class Responses:
    """What is put in, and the response to it."""

    if TYPE_CHECKING:

        def _called(self, config: Config | None) -> Called: ...

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
        return create(
            self._called(config), RESPONSES, given, call="responses", provider=custom_llm_provider
        )

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
        return await acreate(
            self._called(config), RESPONSES, given, call="aresponses", provider=custom_llm_provider
        )

    responses_async = aresponses


def _input(given: Any, messages: Any) -> Any:
    if given is not None and messages is not None and given != messages:
        raise ValueError("responses() was given input and messages, two names of one thing.")
    return messages if given is None else given
