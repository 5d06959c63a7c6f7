"""Who used what: sums over the records that gateways print about every request. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Any, Final

from modelfleet.cluster.logs import LogLine
from modelfleet.uses import is_address_of

_A_MILLION: Final = 1_000_000
_RECORD: Final = ("request_id", "path", "key_name", "prompt_tokens", "completion_tokens")


@dataclass(frozen=True)
class Price:
    """What a million tokens of a model cost, those that go in and those that come out."""

    input_per_million: float
    output_per_million: float
    currency: str = "USD"


@dataclass(frozen=True)
class Tally:
    """Requests and their tokens. Of ``estimated_requests`` nobody reported the tokens.

    ``cost`` is None without prices, or where one of a model is missing.
    """

    requests: int = 0
    failed_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated_requests: int = 0
    cost: float | None = None

    @property
    def total_tokens(self) -> int:
        """The tokens of both ways."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Usage:
    """What was used between two times, by the name of the key and by the model callers named.

    ``""`` stands for requests without a key, or for a model that is not known. Nothing is missing
    from ``reaches_back_to`` on, which is None where there are no logs at all; ``missing`` says
    which replicas had none. ``unpriced_models`` have tokens and no price.
    """

    total: Tally
    by_key: Mapping[str, Tally]
    by_model: Mapping[str, Tally]
    proxies: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None
    reaches_back_to: datetime | None = None
    missing: tuple[str, ...] = ()
    currency: str | None = None
    unpriced_models: tuple[str, ...] = ()

    @property
    def cost(self) -> float | None:
        """What all of it costs, None without prices for all of it."""
        return self.total.cost

    @property
    def is_complete(self) -> bool:
        """Whether the logs of all replicas reach back to ``since``."""
        if self.missing or self.since is None or self.reaches_back_to is None:
            return False
        return self.reaches_back_to <= self.since


@dataclass
class Heard:
    """The lines of some gateways: their records, and from when on each replica's are there."""

    records: list[Mapping[str, Any]] = field(default_factory=list)
    first: dict[str, datetime] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def take(self, line: LogLine) -> None:
        """Take in a line; what is no record of a request says when the log begins, at most."""
        record = record_in(line.text)
        time = line.time or str((record or {}).get("time", ""))
        if line.pod not in self.first and time:
            self.first[line.pod] = moment(time)
        if record is not None:
            self.records.append(record)


def usage_in(
    heard: Heard,
    *,
    proxies: tuple[str, ...],
    served_by: tuple[str, str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Usage:
    """Return the sums over what was ``heard``, of one service alone where ``served_by`` is given.

    ``since`` counts, ``until`` does not.
    """
    sums: dict[tuple[str, str], Tally] = {}
    for record in _chosen(heard.records, served_by, since, until):
        key = str(record["key_name"]), str(record.get("model") or "")
        sums[key] = _added(sums.get(key, Tally()), _tally(record))
    priced = {key: _priced(tally, key[1], prices) for key, tally in sums.items()}
    return Usage(
        total=_sum(priced.values(), prices),
        by_key=_grouped(priced, 0, prices),
        by_model=_grouped(priced, 1, prices),
        proxies=proxies,
        since=since,
        until=until,
        reaches_back_to=max(heard.first.values(), default=None),
        missing=tuple(heard.missing),
        currency=currency_of(prices),
        unpriced_models=tuple(
            sorted({model for (_, model), tally in priced.items() if tally.cost is None})
            if prices is not None
            else ()
        ),
    )


def record_in(line: str) -> Mapping[str, Any] | None:
    """Return the record of a request, None for a line that is something else."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if all(name in record for name in _RECORD) else None


def moment(time: datetime | str) -> datetime:
    """Return a time; one without a zone is of UTC. Raises ValueError for what is none."""
    try:
        found = datetime.fromisoformat(time) if isinstance(time, str) else time
    except ValueError:
        raise ValueError(f"{time!r} is no time: it looks like 2026-01-31T12:00:00Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def currency_of(prices: Mapping[str, Price] | None) -> str | None:
    """Return the one currency of ``prices``, None without any; raises ValueError for several."""
    currencies = sorted({each.currency for each in (prices or {}).values()})
    if len(currencies) > 1:
        raise ValueError(f"prices are of several currencies: {', '.join(currencies)}.")
    return next(iter(currencies), None)


def _chosen(
    records: Iterable[Mapping[str, Any]],
    served_by: tuple[str, str] | None,
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Mapping[str, Any]]:
    for record in records:
        time, server = moment(str(record["time"])), str(record.get("served_by") or "")
        if (since is not None and time < since) or (until is not None and time >= until):
            continue
        if served_by is None or server == "/".join(served_by) or is_address_of(server, *served_by):
            yield record


def _tally(record: Mapping[str, Any]) -> Tally:
    return Tally(
        requests=1,
        failed_requests=int(int(record.get("status") or 0) >= 400),
        prompt_tokens=int(record["prompt_tokens"]),
        completion_tokens=int(record["completion_tokens"]),
        estimated_requests=int(bool(record.get("is_estimated"))),
    )


def _added(one: Tally, other: Tally) -> Tally:
    costs = (one.cost, other.cost)
    return Tally(
        requests=one.requests + other.requests,
        failed_requests=one.failed_requests + other.failed_requests,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        estimated_requests=one.estimated_requests + other.estimated_requests,
        cost=None if None in costs else sum(each for each in costs if each is not None),
    )


def _priced(tally: Tally, model: str, prices: Mapping[str, Price] | None) -> Tally:
    price = (prices or {}).get(model)
    if prices is None or (price is None and tally.total_tokens):
        return tally
    given, made = (price.input_per_million, price.output_per_million) if price else (0.0, 0.0)
    cost = (tally.prompt_tokens * given + tally.completion_tokens * made) / _A_MILLION
    return replace(tally, cost=cost)


def _sum(tallies: Iterable[Tally], prices: Mapping[str, Price] | None) -> Tally:
    return reduce(_added, tallies, Tally(cost=None if prices is None else 0.0))


def _grouped(
    tallies: Mapping[tuple[str, str], Tally], part: int, prices: Mapping[str, Price] | None
) -> dict[str, Tally]:
    names = sorted({key[part] for key in tallies})
    return {
        name: _sum((tally for key, tally in tallies.items() if key[part] == name), prices)
        for name in names
    }
