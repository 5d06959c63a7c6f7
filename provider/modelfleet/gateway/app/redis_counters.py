"""Counts of what was used, in a Redis that all processes of a proxy share: exact over all of them.

One round trip admits a request, and one adds its tokens: each is one Lua script, which Redis runs
without anything else in between. Windows are those of Redis' clock, so that replicas whose clocks
differ agree on them. Counts are kept at
``modelfleet:{<namespace>/<name>}:<scope>:<unit>:<window index>``: the braces keep a proxy's counts
in one hash slot. A count goes a second after its window; only those of ``token_quota`` stay.
Needs Redis 7.0.

Decides nothing about a Redis that is away: it raises ``CountersAway``, and :mod:`.shared_counters`
knows what is done then.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import NoScriptError, RedisError

from .patience import answer_within
from .windows import Bound, Reading

ATTEMPT_SECONDS = 0.25
"""Of connecting, authenticating and answering together; there are two attempts.

The second is for connections that ended with a restart of Redis, and for a password that changed.
"""

_FAILURES = (RedisError, OSError, TimeoutError)

# Counts are few and small: they may be written even where cached answers have filled the memory.
#
# A caller does not know by what time a key is named. Hence KEYS has the common beginning of all
# keys only, which is enough to find the slot.
_KEY = """#!lua flags=allow-oom
local now = redis.call('TIME')
local function key_of(name, seconds)
  local index = seconds > 0 and math.floor(now[1] / seconds) or 0
  return string.format('%s:%s:%d', KEYS[1], name, index), (index + 1) * seconds + 1
end
local function add(name, seconds, amount)
  local key, gone_at = key_of(name, seconds)
  if redis.call('INCRBY', key, amount) == amount and seconds > 0 then
    redis.call('EXPIREAT', key, gone_at)
  end
end
"""


@dataclass(frozen=True)
class Script:
    """Lua that Redis knows by the hash of its text once it was sent."""

    text: str
    sha1: str = field(init=False)

    def __post_init__(self) -> None:
        # SHA-1 is what EVALSHA asks for; nothing here depends on its strength.
        sha1 = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha1", sha1)


# name, seconds, limit, amount of each bound -> seconds, microseconds, what each had used
ADMIT = Script(
    _KEY
    + """
local reading, is_admitted = {now[1], now[2]}, true
for i = 1, #ARGV, 4 do
  local used = tonumber(redis.call('GET', (key_of(ARGV[i], tonumber(ARGV[i + 1])))) or 0)
  reading[#reading + 1] = used
  is_admitted = is_admitted and used < tonumber(ARGV[i + 2])
end
for i = 1, is_admitted and #ARGV or 0, 4 do
  if ARGV[i + 3] ~= '0' then
    add(ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 3]))
  end
end
return reading
"""
)

# name, seconds, amount of each bound
ADD = Script(
    _KEY
    + """
for i = 1, #ARGV, 3 do
  add(ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]))
end
return {}
"""
)


class CountersAway(Exception):  # noqa: N818  (a state of affairs, not a mistake)
    """Redis did not answer in time, or not as it should."""


class Client(Protocol):
    """What is used of ``redis.asyncio.Redis``, whose own annotations leave open what is awaited."""

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: str) -> list[int]:
        """Run a script by its hash."""
        ...

    async def eval(self, script: str, numkeys: int, *keys_and_args: str) -> list[int]:
        """Run a script by its text, and have Redis remember it."""
        ...

    async def aclose(self) -> None:
        """End all connections."""
        ...


class _PasswordFile(CredentialProvider):
    """Read whenever a connection is made, so that a new password needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        try:
            password = self._path.read_text().strip()
        except FileNotFoundError:
            password = ""
        # Nothing at all is how a Redis is met that has no password; the annotation forgets it.
        return (password,) if password else cast("tuple[str]", ())

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def redis_client(*, host: str, port: int, is_tls: bool, password_file: Path) -> Client:
    """A client that connects when it is first used, and never tries again by itself."""
    client = redis.asyncio.Redis(
        host=host,
        port=port,
        ssl=is_tls,
        credential_provider=_PasswordFile(password_file),
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        # Else each connection begins by saying its library's name, which Redis 7.0 does not know.
        driver_info=None,
        # Time is bounded around the whole of an attempt.
        socket_timeout=None,
        socket_connect_timeout=None,
    )
    return cast(Client, client)


class RedisCounters:
    """Counts of one proxy; ``proxy`` is its ``<namespace>/<name>``, ``connect`` makes a client."""

    def __init__(self, connect: Callable[[], Client], *, proxy: str) -> None:
        self._connect = connect
        self._client = connect()
        self._prefix = f"modelfleet:{{{proxy}}}"
        self._closing: set[asyncio.Task[None]] = set()

    async def admit(self, bounds: Sequence[Bound]) -> Reading:
        """As ``Counters.admit`` does. Raises CountersAway."""
        arguments = (
            (*_window(bound), bound.limit, 1 if bound.unit.counts == "requests" else 0)
            for bound in bounds
        )
        seconds, microseconds, *used = await self._run(ADMIT, arguments)
        return Reading(int(seconds) + int(microseconds) / 1e6, used)

    async def add(self, amounts: Sequence[tuple[Bound, int]]) -> None:
        """Add to the windows of now. Raises CountersAway; it may have been added all the same."""
        await self._run(ADD, ((*_window(bound), amount) for bound, amount in amounts))

    async def close(self) -> None:
        """End all connections."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, _close(self._client), return_exceptions=True)

    async def _run(self, script: Script, arguments: Iterator[tuple[str | int, ...]]) -> list[int]:
        words = [str(word) for group in arguments for word in group]
        client = self._client
        try:
            return await self._attempt(client, script, words)
        except _FAILURES:
            if client is self._client:  # else another request was faster
                self._begin_anew()
        try:
            return await self._attempt(self._client, script, words)
        except _FAILURES as error:
            raise CountersAway(_reason(error)) from error

    async def _attempt(self, client: Client, script: Script, words: Sequence[str]) -> list[int]:
        try:
            question = client.evalsha(script.sha1, 1, self._prefix, *words)
            return await answer_within(ATTEMPT_SECONDS, question)
        except NoScriptError:
            question = client.eval(script.text, 1, self._prefix, *words)
            return await answer_within(ATTEMPT_SECONDS, question)

    def _begin_anew(self) -> None:
        """Use none of the connections that there are: where one failed, the others will, too.

        They lead to a pod that is gone and does not say so, or to a primary that became a replica.
        """
        task = asyncio.create_task(_close_later(self._client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._client = self._connect()


async def _close_later(client: Client) -> None:
    """Close it when who still uses it has come to an end; at once when cancelled."""
    try:
        await asyncio.sleep(2 * ATTEMPT_SECONDS)
    finally:
        await _close(client)


async def _close(client: Client) -> None:
    # Over TLS the other side has its part in it, which it may not do.
    with contextlib.suppress(*_FAILURES):
        async with asyncio.timeout(ATTEMPT_SECONDS):
            await client.aclose()


def _window(bound: Bound) -> tuple[str, int]:
    return f"{bound.scope}:{bound.unit.name}", bound.unit.seconds or 0


def _reason(error: Exception) -> str:
    """What went wrong, for a log: Redis' own words hold neither password nor counts."""
    if isinstance(error, TimeoutError) or not str(error):
        return f"no answer within {ATTEMPT_SECONDS} s"
    return f"{error}"
