"""``modelfleet chat``: talk to a service or proxy, whoever made it. Translates only.

Exit codes: 0 answered, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import enum
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from modelfleet.adapters.cli.naming import address_of
from modelfleet.adapters.cli.options import Context, Kubeconfig, Name, Namespace
from modelfleet.errors import ConfigError, ModelFleetError

if TYPE_CHECKING:
    from modelfleet.adapters.cli.conversation import Conversation
    from modelfleet.targets import Target

API_KEY: Final = "MODELFLEET_API_KEY"
STDIN: Final = "-"
EXIT: Final = "/exit"

_CHATS: Final = "llm"
_INSTEAD: Final = {"text-embedding": "/v1/embeddings", "rerank": "/v1/rerank"}

_CONTROLS: Final = {
    code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}
"""What a model says must not reach a terminal as anything but text."""


class Output(enum.StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


def chat(
    name: Name,
    message: Annotated[
        str | None,
        typer.Argument(help="What to say; - reads it from stdin, unset = a conversation."),
    ] = None,
    namespace: Namespace = None,
    system: Annotated[str | None, typer.Option(help="What the model is told first.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model to ask for; unset = its own name, or a proxy's only route."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The longest answer; unset = the engine's limit.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="0 = always the likeliest word.")
    ] = None,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Print an answer when it is whole.")
    ] = False,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            "--key",
            help="Key that the engine or gateway asks for; other users of this machine may see it, "
            f"but not the variable {API_KEY}, which is for what runs on the cluster.",
        ),
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json = the whole completion, with its usage.")
    ] = Output.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Talk to a ModelService or ModelProxy: one question, or a conversation.

    What runs on the cluster is reached through the API server, so no network of the cluster is
    needed; an external service at its own base URL, with the key that is kept for it. A
    conversation ends with /exit or Ctrl-D; Ctrl-C stops an answer.
    """
    if output is Output.JSON and message is None:
        raise typer.BadParameter("--output json prints one answer, so it needs a message.")
    address = address_of(name, namespace)
    said = sys.stdin.read() if message == STDIN else message
    if said is not None and not said.strip():
        raise typer.BadParameter("the message is empty.")
    from modelfleet.adapters.cli.conversation import Conversation, Settings
    from modelfleet.adapters.cli.reaching import way_to

    with way_to(address, kubeconfig=kubeconfig, context=context) as way:
        target = way.target
        _require_chat(target)
        key = api_key or (os.environ.get(API_KEY) if target.is_hosted else None)
        settings = Settings(model or _own_model(target), max_tokens, temperature, key)
        conversation = Conversation(way, settings, system=system)
        if said is None:
            typer.echo(f"{target.subject}, model {settings.model}. {EXIT} ends it.", err=True)
            for question in _questions():
                try:
                    _print_answer(conversation, question, streamed=not no_stream)
                except KeyboardInterrupt:
                    typer.echo("(stopped)", err=True)
                except ModelFleetError as error:
                    typer.echo(f"error: {error}", err=True)
        elif output is Output.JSON:
            typer.echo(json.dumps(conversation.completion(said), indent=2))
        else:
            _print_answer(conversation, said, streamed=not no_stream)


def _require_chat(target: Target) -> None:
    if target.model_type != _CHATS:
        instead = _INSTEAD.get(target.model_type)
        raise ConfigError(
            f"{target.subject} does not chat: its model_type is {target.model_type}.",
            hint=f"It answers at {instead} of its base URL." if instead else "",
        )


def _own_model(target: Target) -> str:
    if target.model is not None:
        return target.model
    if target.models:
        raise ConfigError(
            f"{target.subject} answers to several names: {', '.join(target.models)}.",
            hint="Say which one, with --model.",
        )
    raise ConfigError(
        f"{target.subject} declares no model name, and its provider may have many.",
        hint="Say which one, with --model, or declare provider_settings.model_names.",
    )


def _questions() -> Iterator[str]:
    """Yield what a person types, until they want no more."""
    with suppress(ImportError):
        import readline  # noqa: F401 - from here on input() lets lines be edited and recalled
    while True:
        try:
            question = input("> " if sys.stdin.isatty() else "").strip()
        except (EOFError, KeyboardInterrupt):
            if sys.stdin.isatty():
                typer.echo(err=True)
            return
        if question == EXIT:
            return
        if question:
            yield question


def _print_answer(conversation: Conversation, said: str, *, streamed: bool) -> None:
    """Print an answer as it comes, or when it is whole; a failure begins on a line of its own."""
    printed = False
    with closing(conversation.answer(said, streamed=streamed)) as words:
        try:
            for word in words:
                typer.echo(word.translate(_CONTROLS), nl=False)
                printed = True
        except (KeyboardInterrupt, ModelFleetError):
            if printed:
                typer.echo()
            raise
    typer.echo()
