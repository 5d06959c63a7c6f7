"""A process that applies one service, read from its standard input, and may be killed any time."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from modelfleet.cluster.client import Client
from modelfleet.fleet import Desired, Fleet
from modelfleet.plan import plan, spec_of


async def apply(task: dict[str, Any]) -> None:
    """Apply what ``task`` describes."""
    fleet = Fleet(Client.connect(kubeconfig=task["kubeconfig"]))
    spec = spec_of(plan(task["inputs"]).inputs)
    await fleet.apply(Desired(spec=spec, owner=task["owner"], incarnation=task["incarnation"]))
    await fleet.aclose()


if __name__ == "__main__":
    asyncio.run(apply(json.load(sys.stdin)))
