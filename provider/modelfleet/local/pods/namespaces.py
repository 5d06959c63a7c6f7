"""The namespaces of a plane's nodes: made, connected with the host and each other, and taken away.

A node is held by one process; what a plane has outside of it, links and a cgroup, carries the
plane's mark. What runs in a node is none of this module's business.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from modelfleet.local import processes
from modelfleet.local.errors import LocalError
from modelfleet.local.folders import cache_folder
from modelfleet.local.pods import cgroups, commands, policies
from modelfleet.local.pods.blocks import links_of
from modelfleet.local.pods.components import INIT, PROGRAMS, init_command, inside
from modelfleet.local.pods.network import (
    NODES,
    Network,
    host_commands,
    inside_commands,
    inside_rules,
)
from modelfleet.local.pods.requirements import program
from modelfleet.local.stages import digest

NAMES: Final = tuple(f"pods-{number}" for number in range(NODES))

# In a node's own /run, so it goes with the node; seen from outside through the node's process 1.
_FINISHED: Final = "run/modelfleet-node"


def node_folder(folder: Path, name: str) -> Path:
    """Return where the plane in ``folder`` keeps the files of a node."""
    return folder / "nodes" / name


def log_of(folder: Path, name: str, program_name: str) -> Path:
    """Return the log of a program of a node."""
    return folder / "logs" / f"{name}-{program_name}.log"


def mark_of(folder: Path) -> str:
    """Return what a plane's cgroup and links are called: found by its folder after a crash, too."""
    return f"modelfleet-{digest(str(folder))}"


def holders(folder: Path, network: Network) -> list[int]:
    """Return the processes that hold the nodes, in the nodes' order.

    Empty unless there are all of them, finished, and made as they would be made now.
    """
    pids = _inits(folder)
    wanted = _made_as(folder, network)
    finished = [pid for pid in pids if _read(Path(f"/proc/{pid}/root/{_FINISHED}")) == wanted]
    return finished if len(finished) == NODES else []


def make(folder: Path, network: Network, *, pause: Path) -> list[int]:
    """Make the nodes of the plane in ``folder``, and return the processes that hold them.

    Raises LocalError when one of them cannot be made; what was made of the others is ended.
    """
    try:
        return _make(folder, network, pause=pause)
    except LocalError:
        end(folder)
        raise


def _make(folder: Path, network: Network, *, pause: Path) -> list[int]:
    for name in NAMES:
        own = node_folder(folder, name)
        own.mkdir(parents=True, exist_ok=True)
        cgroups.make(f"{mark_of(folder)}/{name}")
        command = init_command(own, pause=pause, kept=[folder, cache_folder()])
        log = log_of(folder, name, INIT)
        processes.start(command, folder=folder, log=log, environ=commands.environ())
    if not commands.wait_until(lambda: len(_inits(folder)) == NODES):
        log = log_of(folder, NAMES[0], INIT)
        raise LocalError(
            f"{INIT}: a node did not come up:\n{processes.last_lines(log)}\n"
            f"The whole log is in {log}."
        )
    pids = _inits(folder)
    for on_host in host_commands(network, init_pids=pids, alias=mark_of(folder)):
        commands.run(on_host)
    for number, pid in enumerate(pids):
        for in_node in _inside(network, node=number):
            commands.run(inside(pid, in_node))
        Path(f"/proc/{pid}/root/{_FINISHED}").write_text(_made_as(folder, network))
    return pids


def end(folder: Path) -> list[str]:
    """End the nodes of the plane in ``folder``, and leave nothing of them; return what ran."""
    running = processes.find(folder, PROGRAMS)
    names = sorted({processes.name_of(process) for process in running})
    # Whoever holds a node goes first: the kernel then ends what runs in it, and unmounts.
    processes.end([process for process in running if processes.name_of(process) == INIT])
    processes.end(processes.find(folder, PROGRAMS))
    # A connection that its peer did not end keeps a network namespace for minutes, and its links.
    for link in links_of(mark_of(folder)):
        commands.succeeds([program("ip"), "link", "delete", link])
    cgroups.remove(mark_of(folder))
    return names


def _inside(network: Network, *, node: int) -> list[tuple[str, ...]]:
    return [*inside_commands(network, node=node), *inside_rules(), policies.rule()]


def _made_as(folder: Path, network: Network) -> str:
    """Return what a node says of how it was made: another release may make it otherwise."""
    numbers = list(range(NODES))
    on_host = host_commands(network, init_pids=numbers, alias=mark_of(folder))
    return digest(json.dumps([on_host, *(_inside(network, node=number) for number in numbers)]))


def _inits(folder: Path) -> list[int]:
    found = {
        argument: process.pid
        for process in processes.find(folder, [INIT])
        for argument in processes.argv_of(process)[1:]
    }
    flags = [f"--node={node_folder(folder, name)}/" for name in NAMES]
    return [found[flag] for flag in flags if flag in found]


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # unfinished, or gone meanwhile
        return ""
