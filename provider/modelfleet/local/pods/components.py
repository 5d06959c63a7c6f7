"""The programs of a node, their command lines, and how they get into it. Pure.

Every command line names a file in the plane's own folder, which is how
:mod:`modelfleet.local.processes` recognises it from outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from modelfleet.local.pods import policies
from modelfleet.local.pods.policies import ACCOUNT
from modelfleet.local.pods.requirements import program

RELAY: Final = "socat"
INIT: Final = "pause"
CONTAINERD: Final = "containerd"
KUBELET: Final = "kubelet"
KUBE_PROXY: Final = "kube-proxy"
COREDNS: Final = "coredns"
NETWORK_POLICIES: Final = "kube-network-policies"

ON_A_NODE: Final = (CONTAINERD, KUBELET, KUBE_PROXY, COREDNS, NETWORK_POLICIES)
"""In the order they are started."""

ENVIRONMENTS: Final = {NETWORK_POLICIES: policies.ENVIRONMENT}
"""What programs are told by variables of their environment, where they are."""

PROGRAMS: Final = (RELAY, INIT, *ON_A_NODE)

_INIT_SCRIPT: Final = Path(__file__).parent / "init.sh"


def relay_command(folder: Path, *, address: IPv4Address, port: int) -> list[str]:
    """Return what makes the API server, which listens on loopback, answer on ``address`` too."""
    listen = f"TCP-LISTEN:{port},bind={address},reuseaddr,fork"
    return [program(RELAY), "-lf", f"{folder}/logs/relay.log", listen, f"TCP:127.0.0.1:{port}"]


def init_command(folder: Path, *, pause: Path, kept: Sequence[Path]) -> list[str]:
    """Return what makes a node of ``folder``: namespaces, mounts, and the process that holds them.

    A script runs first in it, as process 1, and becomes ``pause``. ``kept`` are folders of the
    machine that stay visible.
    """
    namespaces = ("--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--mount-proc")
    arguments = (_INIT_SCRIPT, pause, f"--node={folder}/", *kept)
    return [program("unshare"), *namespaces, "/bin/sh", *map(str, arguments)]


def inside(init_pid: int, command: Sequence[str]) -> list[str]:
    """Return what runs ``command`` in the node that ``init_pid`` holds."""
    return [program("nsenter"), f"--target={init_pid}", "--all", "--", *command]


def node_commands(
    configuration: Path, *, name: str, address: IPv4Address, programs: Mapping[str, Path]
) -> dict[str, list[str]]:
    """Return the command line of each program of a node, in the order to start them.

    ``configuration`` is the folder of its files: another text is another folder, hence another
    command line, hence a restart.
    """
    return {
        CONTAINERD: [program(CONTAINERD), f"--config={configuration}/containerd.toml"],
        KUBELET: [
            str(programs[KUBELET]),
            f"--config={configuration}/kubelet.yaml",
            f"--kubeconfig={configuration}/kubelet.kubeconfig",
            f"--hostname-override={name}",
            f"--node-ip={address}",
            "--v=1",
        ],
        KUBE_PROXY: [str(programs[KUBE_PROXY]), f"--config={configuration}/kube-proxy.yaml"],
        COREDNS: [str(programs[COREDNS]), f"-conf={configuration}/Corefile"],
        NETWORK_POLICIES: policies.command(
            programs[NETWORK_POLICIES], account=configuration / ACCOUNT, node=name
        ),
    }
