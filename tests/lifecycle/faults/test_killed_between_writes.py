"""A process that is killed between two objects of one service: the next run goes on there.

The process is a child. The proxy kills it when the API server has answered the n-th write and the
child does not know it yet, the worst moment there is.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleets import OWNER, desired, hosted, names_in, objects_in, pods_in, updated, writes

from faults.fault_proxy import FaultProxy
from faults.raw_http import Request
from modelfleet import labels
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.fleet import Desired, Fleet
from modelfleet.prune import Orphan

CHILD = Path(__file__).parent / "applying_child.py"
WITH_SECRET = ["Secret qwen-env", "NetworkPolicy qwen", "Service qwen", "Deployment qwen"]
DEPLOYMENT = {"secret_env": {"TOKEN": "hush-do-not-tell"}}


class Killer:
    """Kills a process at its n-th write."""

    def __init__(self, *, at_write: int) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self._left = at_write

    async def __call__(self, _request: Request) -> None:
        self._left -= 1
        if self._left == 0 and self.process is not None:
            self.process.kill()
            await self.process.wait()


def pointing_at(server: str, *, kubeconfig: Path, folder: Path) -> Path:
    """Return the path of a copy of ``kubeconfig`` for another address of the same server."""
    document = yaml.safe_load(kubeconfig.read_text())
    document["clusters"][0]["cluster"] = {"server": server}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


async def killed(
    service: Desired, inputs: dict[str, Any], *, at_write: int, kubeconfig: Path, folder: Path
) -> None:
    """Apply ``inputs`` in a process that is killed at a write."""
    killer = Killer(at_write=at_write)
    access = load_access(kubeconfig=str(kubeconfig))
    async with FaultProxy(access, after_write=killer).serving() as proxy:
        path = pointing_at(proxy.access().server, kubeconfig=kubeconfig, folder=folder)
        task = {"kubeconfig": str(path), "inputs": inputs, "incarnation": service.incarnation}
        killer.process = await asyncio.create_subprocess_exec(
            sys.executable, str(CHILD), stdin=asyncio.subprocess.PIPE
        )
        await killer.process.communicate(json.dumps({**task, "owner": OWNER}).encode())
        assert killer.process.returncode == -9, "it came to its end"


async def orphans(fleet: Fleet, namespace: str, *known: Desired) -> list[Orphan]:
    found = await fleet.orphans(OWNER, known={each.key: {each.incarnation} for each in known})
    return [each for each in found if each.namespace == namespace]


@pytest.mark.parametrize("at_write", [1, 2, 3, 4])
async def test_a_create_goes_on_after_the_object_at_which_it_was_killed(
    at_write: int, fleet: Fleet, fleet_kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    inputs = hosted(namespace, DEPLOYMENT)
    lost = desired(inputs)
    await killed(lost, inputs, at_write=at_write, kubeconfig=fleet_kubeconfig, folder=tmp_path)
    assert await names_in(fleet.client, namespace) == WITH_SECRET[:at_write]
    assert len(await orphans(fleet, namespace)) == 1, "prune finds what no state knows"

    again = desired(inputs)
    assert (await fleet.apply(again)).status == "READY"

    objects = (await objects_in(fleet.client, namespace)).values()
    marks = {obj["metadata"]["annotations"][labels.INCARNATION] for obj in objects}
    assert marks == {again.incarnation}
    assert await names_in(fleet.client, namespace) == WITH_SECRET
    assert await orphans(fleet, namespace, again) == []
    await fleet.delete(again)
    assert await names_in(fleet.client, namespace) == []


@pytest.mark.parametrize("at_write", [1, 2])
async def test_an_update_goes_on_after_the_object_at_which_it_was_killed(
    at_write: int, fleet: Fleet, fleet_kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    service = desired(hosted(namespace, DEPLOYMENT))
    await fleet.apply(service)
    inputs = hosted(namespace, {"secret_env": {"TOKEN": "hush-another"}})
    await killed(service, inputs, at_write=at_write, kubeconfig=fleet_kubeconfig, folder=tmp_path)

    after = updated(service, inputs)
    assert (await fleet.apply(after)).status == "READY"

    before = writes(fleet.client)
    await fleet.apply(after)
    assert writes(fleet.client) == before
    assert await names_in(fleet.client, namespace) == WITH_SECRET
    assert len(await pods_in(fleet.client, namespace)) == 1
