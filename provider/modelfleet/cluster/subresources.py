"""What lies behind an object: the logs of a pod, and connections into it. Decides nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Final

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import Ref
from modelfleet.cluster.retry import NO_RETRY
from modelfleet.cluster.transport import Parameters, Upgraded, parameters_of
from modelfleet.errors import ImmutableFieldError, NotFoundError

LOG_SILENCE_SECONDS: Final = 60.0
"""How long a followed log may say nothing before it is asked for again from where it was."""

_LOG_LIMIT_BYTES: Final = 65_536
_LOG_IS_GONE: Final = "unable to retrieve container logs for "
"""What a kubelet answers, with status 200, for a container that was removed meanwhile."""


async def read_pod_log(
    client: Client, ref: Ref, *, container: str, tail_lines: int = 20, previous: bool = False
) -> str:
    """Return the last lines of a container's log, "" where there is none (yet, or any more).

    ``previous`` reads the log of the run before a restart. One attempt only.
    """
    parameters = parameters_of(
        container=container,
        tailLines=tail_lines,
        limitBytes=_LOG_LIMIT_BYTES,
        previous="true" if previous else "",
    )
    try:
        response = await client.transport.send(
            client.asked("log", ref),
            "GET",
            f"{ref.path}/log",
            parameters=parameters,
            retry=NO_RETRY,
        )
    except (NotFoundError, ImmutableFieldError):  # 400: the container has not started
        return ""
    text = response.content.decode(errors="replace")
    return "" if text.startswith(_LOG_IS_GONE) else text


async def pod_log_lines(
    client: Client,
    ref: Ref,
    *,
    container: str,
    follow: bool = False,
    previous: bool = False,
    tail_lines: int | None = None,
    since_seconds: int | None = None,
    since_time: str = "",
) -> AsyncGenerator[str, None]:
    """Yield the lines of a container's log, the time in front of each, as they come.

    With ``follow`` until the container ends, or has said nothing for a minute: that, as every
    broken connection, is UnavailableError. Raises NotFoundError where there is no such pod, and
    ImmutableFieldError where the container has not started. Not retried here. Wrap it in
    ``contextlib.aclosing`` to leave it early.
    """
    parameters = parameters_of(
        container=container,
        timestamps="true",
        follow="true" if follow else "",
        previous="true" if previous else "",
        tailLines=tail_lines,
        sinceSeconds=since_seconds,
        sinceTime=since_time,
    )
    lines = client.transport.lines(
        client.asked("log", ref),
        f"{ref.path}/log",
        parameters=parameters,
        silence_seconds=LOG_SILENCE_SECONDS,
    )
    async with aclosing(lines):
        async for line in lines:
            if not line.startswith(_LOG_IS_GONE):
                yield line


def upgraded(
    client: Client,
    ref: Ref,
    subresource: str,
    *,
    verb: str,
    parameters: Parameters,
    headers: Mapping[str, str],
) -> AbstractAsyncContextManager[Upgraded]:
    """Give a connection to what lies behind an object, in the protocol that ``headers`` name.

    ``verb`` is what messages call it. One attempt only; raises as every request does.
    """
    return client.transport.upgraded(
        client.asked(verb, ref),
        f"{ref.path}/{subresource}",
        parameters=parameters,
        headers=headers,
    )
