"""The services of a fleet as rows, made once for each version of each and kept while it stands.

A snapshot shares the entries that did not change with the one before it, and so do rows. What an
answer holds of a service is JSON text from the start: most answers only put such texts together.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from modelfleet.adapters.query_api.accounts import Account
from modelfleet.adapters.query_api.zstack_api.columns import COLUMNS
from modelfleet.adapters.query_api.zstack_api.described import Described
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS
from modelfleet.agentrun.scope import workspace_of
from modelfleet.catalogue import Entry, Snapshot
from modelfleet.cluster.mirror import Key
from modelfleet.desired import KIND

_LOG: Final = logging.getLogger("modelfleet.serve")

_AT_A_TIME: Final = 25
"""Rows that are made before other requests get their turn."""

_VIEWS: Final = 64
"""Accounts whose view of the last snapshot is kept."""


@dataclass(frozen=True, slots=True)
class Row:
    """One service. ``cells`` are its columns in their order, ``text`` all its fields as JSON."""

    namespace: str
    workspace: str
    values: Mapping[str, Any] = field(repr=False)
    cells: tuple[Any, ...] = field(repr=False)
    text: str = field(repr=False)


def row_of(entry: Entry) -> Row:
    """Return the row of a ModelService.

    One that cannot be told in full, which would be a bug, is told as far as its object alone tells:
    it must not keep all the others from being found.
    """
    try:
        return _row(entry, Described(entry))
    except Exception:
        _LOG.exception("ModelService %s cannot be told in full", entry.service.id)
        return _row(entry, Described(replace(entry, spec=None, record=None)))


def _row(entry: Entry, described: Described) -> Row:
    values = {each.name: each.of(described) for each in FIELDS}
    return Row(
        namespace=entry.key.namespace,
        workspace=workspace_of(entry),
        values=values,
        cells=tuple(each.of(values, described) for each in COLUMNS.values()),
        text=json.dumps(values, ensure_ascii=False, separators=(",", ":")),
    )


class Rows:
    """The rows of the last snapshot that was asked about."""

    def __init__(self) -> None:
        """Nothing is made before the first request."""
        self._snapshot: Snapshot | None = None
        self._made: dict[Key, tuple[Entry, Row]] = {}
        self._views: OrderedDict[Account, Sequence[Row]] = OrderedDict()
        self._making = asyncio.Lock()

    async def seen_by(self, account: Account, snapshot: Snapshot) -> Sequence[Row]:
        """Return the services that an account may know of, by namespace and name."""
        if snapshot is not self._snapshot:
            async with self._making:
                if self._snapshot is None or snapshot.version > self._snapshot.version:
                    await self._take_in(snapshot)
        if account not in self._views:
            self._views[account] = self._view(account)
            if len(self._views) > _VIEWS:
                self._views.popitem(last=False)
        self._views.move_to_end(account)
        return self._views[account]

    def _view(self, account: Account) -> Sequence[Row]:
        namespaces, scope = account.namespaces, account.scope
        return [
            row
            for _, row in self._made.values()
            if (namespaces is None or row.namespace in namespaces) and scope.sees(row.workspace)
        ]

    async def _take_in(self, snapshot: Snapshot) -> None:
        made: dict[Key, tuple[Entry, Row]] = {}
        new = 0
        for entry in snapshot.entries:
            if entry.key.kind != KIND:
                continue
            known = self._made.get(entry.key)
            if known is not None and known[0] is entry:
                made[entry.key] = known
                continue
            made[entry.key] = (entry, row_of(entry))
            new += 1
            if new % _AT_A_TIME == 0:
                await asyncio.sleep(0)
        self._made, self._snapshot = made, snapshot
        self._views.clear()
