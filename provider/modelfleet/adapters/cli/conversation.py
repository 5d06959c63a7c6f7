"""What is said to a model and what it answers, through the official OpenAI client.

The client is imported when something is said: no other command waits for it. Knows no terminal.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelfleet.adapters.cli.reaching import Way
from modelfleet.adapters.cli.unanswered import NO_KEY, explained
from modelfleet.reach import Endpoint

if TYPE_CHECKING:
    import openai


@dataclass(frozen=True)
class Settings:
    """How a model is asked; None leaves it to the engine. ``api_key`` wins over what is kept."""

    model: str
    max_tokens: int | None = None
    temperature: float | None = None
    api_key: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of a request that are set."""
        given = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        return {
            "model": self.model,
            **{name: value for name, value in given.items() if value is not None},
        }


class Conversation:
    """Questions and answers so far. What was not answered to its end is forgotten."""

    def __init__(self, way: Way, settings: Settings, *, system: str | None = None) -> None:
        self._way = way
        self._settings = settings
        self._messages: list[dict[str, Any]] = []
        if system is not None:
            self._messages.append({"role": "system", "content": system})

    def answer(self, said: str, *, streamed: bool) -> Generator[str, None, None]:
        """Yield the answer: word by word as it comes where ``streamed``, else when it is whole."""
        if not streamed:
            yield text_of(self.completion(said))
            return
        words: list[str] = []
        with self._asked(said) as (client, messages):
            stream = client.chat.completions.create(
                messages=messages, stream=True, **self._settings.parameters
            )
            with stream:
                for chunk in stream:
                    for choice in chunk.choices:
                        if word := choice.delta.content:
                            words.append(word)
                            yield word
        self._remember(said, "".join(words))

    def completion(self, said: str) -> dict[str, Any]:
        """Return the whole completion, as the engine gives it."""
        with self._asked(said) as (client, messages):
            completion = client.chat.completions.create(
                messages=messages, **self._settings.parameters
            )
        answered: dict[str, Any] = completion.model_dump(mode="json", exclude_unset=True)
        self._remember(said, text_of(answered))
        return answered

    @contextmanager
    def _asked(self, said: str) -> Iterator[tuple[openai.OpenAI, Any]]:
        """Give a client and the messages to send; every failure becomes one of ours."""
        import openai

        endpoint = self._way.endpoint()
        try:
            with _client(endpoint, api_key=self._settings.api_key) as client:
                yield client, [*self._messages, {"role": "user", "content": said}]
        except (openai.OpenAIError, ValueError) as error:
            told = explained(error, self._way.target, endpoint)
            self._way.leave()
            raise told from error

    def _remember(self, said: str, answered: str) -> None:
        self._messages += [
            {"role": "user", "content": said},
            {"role": "assistant", "content": answered},
        ]


def text_of(completion: dict[str, Any]) -> str:
    """Return what a completion says."""
    choices = completion.get("choices") or [{}]
    return str((choices[0].get("message") or {}).get("content") or "")


def _client(endpoint: Endpoint, *, api_key: str | None) -> openai.OpenAI:
    """Return a client that takes nothing but proxies for other hosts from the environment.

    Keys and organisations that are there are for OpenAI, and of no concern to anybody else.
    """
    import openai

    nobody: Any = {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
    is_local = endpoint.forward is not None
    return openai.OpenAI(
        base_url=endpoint.base_url,
        api_key=api_key or endpoint.api_key or NO_KEY,
        default_headers=nobody,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(trust_env=not is_local),
    )
