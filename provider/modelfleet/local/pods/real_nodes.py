"""Makes a plane have real nodes: their namespaces, and the programs that run in them.

Idempotent: a node that is there, and a program that runs as wanted, are left alone. What the
cluster says of its nodes is for the plane to look at.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelfleet.local import processes
from modelfleet.local.credentials import (
    certificate_authority,
    kubelet_client,
    tokens,
    write_private,
)
from modelfleet.local.errors import LocalError
from modelfleet.local.pods import commands, image_store, namespaces, policies
from modelfleet.local.pods.blocks import free_block
from modelfleet.local.pods.components import (
    CONTAINERD,
    ENVIRONMENTS,
    INIT,
    NETWORK_POLICIES,
    ON_A_NODE,
    PROGRAMS,
    RELAY,
    inside,
    node_commands,
    relay_command,
)
from modelfleet.local.pods.configuration import (
    CONTAINERD_ROOT,
    CONTAINERD_SOCKET,
    ControlPlaneAccess,
    NodeConfiguration,
)
from modelfleet.local.pods.namespaces import NAMES
from modelfleet.local.pods.network import Network
from modelfleet.local.pods.policies import ACCOUNT
from modelfleet.local.settings import Settings
from modelfleet.local.stages import digest

if TYPE_CHECKING:
    from modelfleet.local.pods.materials import Materials

MODELS: Final = Path("/var/lib/modelfleet/models")
"""Where a node has the tiny models, for the volumes of pods."""

_IMPORTED: Final = "imported.json"


class RealNodes:
    """The real nodes of the plane whose files are in ``folder``."""

    def __init__(self, folder: Path, *, programs: Mapping[str, Path]) -> None:
        self._folder = folder
        self._programs = programs

    def with_block(self, settings: Settings) -> Settings:
        """Return ``settings`` with the addresses that the nodes have, or are going to have.

        Raises LocalError when this machine has none left.
        """
        if not settings.pods or namespaces.holders(self._folder, Network(settings.block)):
            return settings
        namespaces.end(self._folder)
        return replace(settings, block=free_block(wanted=settings.block))

    def converge(self, settings: Settings, *, materials: Materials) -> None:
        """Start what does not run as wanted.

        Raises LocalError with the end of the log of what does not start.
        """
        network = Network(settings.block)
        inits = namespaces.holders(self._folder, network) or namespaces.make(
            self._folder, network, pause=materials.pause
        )
        port = settings.ports.api_server
        relay = relay_command(self._folder, address=network.api_address, port=port)
        if not _listens(str(network.api_address), port):
            # Connections have processes of the same command line, which may outlive the listener.
            processes.end(processes.find(self._folder, [RELAY]))
        self._ensure(RELAY, relay, log=RELAY)
        access = self._access(network, port=port)
        nodes = [
            NodeConfiguration(
                name=name,
                address=network.address(number),
                pods=network.pods(number),
                cgroup=f"/{namespaces.mark_of(self._folder)}/{name}",
                access=access,
            )
            for number, name in enumerate(NAMES)
        ]
        converge_node = partial(self._converge_node, materials=materials)
        with ThreadPoolExecutor(len(nodes)) as threads:
            list(threads.map(converge_node, nodes, inits))
        for name, pid in zip(NAMES, inits, strict=True):
            if not commands.wait_until(partial(policies.are_enforced, init_pid=pid)):
                raise self._failure(f"{name}-{NETWORK_POLICIES}", NETWORK_POLICIES, "is not ready")

    def _converge_node(
        self, node: NodeConfiguration, init_pid: int, *, materials: Materials
    ) -> None:
        self._place_models(node.name, models=materials.models)
        configuration = self._write(node)
        command_lines = node_commands(
            configuration, name=node.name, address=node.address, programs=self._programs
        )
        self._begin_with_images(node.name, materials=materials)
        for name in ON_A_NODE:
            if name == NETWORK_POLICIES:
                commands.run(inside(init_pid, policies.account_command(configuration / ACCOUNT)))
            self._ensure(name, command_lines[name], log=f"{node.name}-{name}", init_pid=init_pid)
            if name == CONTAINERD:
                self._import_images(node.name, init_pid=init_pid, materials=materials)

    def _place_models(self, node: str, *, models: Path) -> None:
        """Put the tiny models where pods of the node find them."""
        folder = namespaces.node_folder(self._folder, node) / "root" / MODELS.relative_to("/")
        folder.mkdir(parents=True, exist_ok=True)
        for file in models.iterdir():
            placed = folder / file.name
            if not (placed.exists() and placed.stat().st_mtime == file.stat().st_mtime):
                shutil.copy2(file, placed.with_suffix(".part"))
                placed.with_suffix(".part").replace(placed)

    def _write(self, node: NodeConfiguration) -> Path:
        """Write a node's files into a folder that is named after what they say; return it."""
        parent = namespaces.node_folder(self._folder, node.name) / "etc"
        folder = parent / digest(json.dumps(node.files(parent), sort_keys=True))
        for name, text in node.files(folder).items():
            file = folder / name
            if file.exists() and file.read_text() == text:
                continue  # kube-proxy ends when its file is written, whatever it says
            file.parent.mkdir(parents=True, exist_ok=True)
            write_private(file, text)
        return folder

    def _ensure(self, name: str, argv: list[str], *, log: str, init_pid: int | None = None) -> None:
        """Leave the process with this command line alone, or make it so in the node."""
        ours = [
            process
            for process in processes.find(self._folder, [name])
            if _same_place(processes.argv_of(process), argv, folder=self._folder)
        ]
        if any(processes.argv_of(process) == argv for process in ours):
            return
        processes.end(ours)
        command = argv if init_pid is None else inside(init_pid, argv)
        environ = {**commands.environ(), **ENVIRONMENTS.get(name, {})}
        processes.start(command, folder=self._folder, log=self._log(log), environ=environ)
        started = commands.wait_until(
            lambda: any(
                processes.argv_of(process) == argv
                for process in processes.find(self._folder, [name])
            )
        )
        if not started:
            raise self._failure(log, name, "ended right after it was started")

    def _begin_with_images(self, node: str, *, materials: Materials) -> None:
        """Give a node that is new all images before its containerd has ever run."""
        own = namespaces.node_folder(self._folder, node)
        root = own / "root" / CONTAINERD_ROOT.relative_to("/")
        if image_store.begin_with(materials.image_store, root):
            _write_known(own, {image.name: image.key for image in materials.images})

    def _import_images(self, node: str, *, init_pid: int, materials: Materials) -> None:
        """Give a node the images that it does not have yet; it keeps them until it is purged."""
        own = namespaces.node_folder(self._folder, node)
        known = _known_images(own)
        version = inside(init_pid, [*image_store.ctr(CONTAINERD_SOCKET), "version"])
        if not commands.wait_until(lambda: commands.succeeds(version)):
            raise self._failure(f"{node}-{CONTAINERD}", CONTAINERD, "does not answer")
        for image in materials.images:
            # The last one under a name is what a node has: others go when they lose it.
            if known.get(image.name) != image.key:
                command = image_store.import_command(CONTAINERD_SOCKET, image.archive)
                commands.run(inside(init_pid, command))
                known[image.name] = image.key
                _write_known(own, known)

    def _access(self, network: Network, *, port: int) -> ControlPlaneAccess:
        certificate, _ = kubelet_client(self._folder)
        server = (self._folder / "certificates" / "apiserver.crt").read_text()
        return ControlPlaneAccess(
            server=f"https://{network.api_address}:{port}",
            certificate_authority=certificate_authority(server),
            tokens=tokens(self._folder),
            kubelet_clients=certificate.read_text(),
        )

    def _log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    def _failure(self, log: str, name: str, what: str) -> LocalError:
        path = self._log(log)
        tail = processes.last_lines(path)
        return LocalError(f"{name}: {what}:\n{tail}\nThe whole log is in {path}.")


def _known_images(node: Path) -> dict[str, str]:
    """Return the keys of the images, by name, that the node in this folder has."""
    known = node / _IMPORTED
    return dict(json.loads(known.read_text())) if known.exists() else {}


def _write_known(node: Path, known: Mapping[str, str]) -> None:
    (node / _IMPORTED).write_text(json.dumps(known))


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def pids(folder: Path) -> dict[str, int]:
    """Return the programs of the real nodes by what a person calls them; 0 for one that is gone."""
    found = [
        (process.pid, processes.argv_of(process)) for process in processes.find(folder, PROGRAMS)
    ]

    def pid_of(program_name: str, node: str) -> int:
        inside_node = f"{folder}/nodes/{node}/"
        return next(
            (
                pid
                for pid, argv in found
                if argv and Path(argv[0]).name == program_name and inside_node in " ".join(argv)
            ),
            0,
        )

    return {f"{node}/{name}": pid_of(name, node) for node in NAMES for name in (INIT, *ON_A_NODE)}


def for_kubelets(folder: Path, *, block: int) -> list[str]:
    """Return what the API server is told, so that it finds kubelets and they find it."""
    certificate, key = kubelet_client(folder)
    return [
        f"--advertise-address={Network(block).api_address}",
        f"--kubelet-client-certificate={certificate}",
        f"--kubelet-client-key={key}",
    ]


def _same_place(argv: Sequence[str], wanted: Sequence[str], *, folder: Path) -> bool:
    """Return whether two command lines of one program are for the same node, or both for none."""
    node = next((name for name in NAMES if f"{folder}/nodes/{name}/" in " ".join(wanted)), "")
    return f"{folder}/nodes/{node}" in " ".join(argv) if node else True
