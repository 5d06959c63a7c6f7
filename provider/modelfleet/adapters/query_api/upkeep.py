"""What a server does besides answering: it keeps the catalogue fed and the accounts current.

Everything here is retried for as long as the process lives; nothing of it fails a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

from modelfleet.adapters.query_api.parts import Parts
from modelfleet.errors import ModelFleetError

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0

_LOG: Final = logging.getLogger("modelfleet.serve")


class Refreshed(Protocol):
    """What follows files."""

    async def refresh(self) -> None:
        """Take up what has changed; what is wrong goes to the log."""
        ...


@asynccontextmanager
async def upkept(parts: Parts, *, refreshed: Sequence[Refreshed] = ()) -> AsyncIterator[None]:
    """Keep ``parts`` up meanwhile, and what else is ``refreshed``."""
    tasks = [
        asyncio.create_task(_sync(parts), name="sync"),
        asyncio.create_task(_look(parts, (parts.accounts, *refreshed)), name="upkeep"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.aclose()


async def _sync(parts: Parts) -> None:
    """Read the whole fleet once, however long it takes."""
    while not parts.readiness.synced:
        try:
            await parts.catalogue.fresh()
        except ModelFleetError as error:
            _LOG.error("The fleet could not be read yet. %s", error)
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            _LOG.exception("The fleet could not be read yet.")
            await asyncio.sleep(RETRY_SECONDS)
        else:
            parts.readiness.synced = True
            _LOG.info(
                "The fleet was read: %d resources.", len(parts.catalogue.last_known().entries)
            )


async def _look(parts: Parts, refreshed: Sequence[Refreshed]) -> None:
    """Look every second whether anything is to be done anew."""
    trouble = ""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for each in refreshed:
            try:
                await each.refresh()
            except Exception:
                _LOG.exception("A file could not be read again.")
        if not parts.readiness.synced:
            continue
        parts.catalogue.start()
        before, trouble = trouble, parts.catalogue.freshness.trouble
        if trouble and not before:
            _LOG.warning("The API server does not tell of changes. %s", trouble)
        if before and not trouble:
            _LOG.info("The API server tells of changes again.")
