"""The five programs of a plane's control plane and their command lines. Pure.

Ports and files are the only way they meet; every command line names a file in the plane's own
folder, which is how :mod:`modelfleet.local.processes` recognises it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
KWOK = "kwok"

# In the order they are started; ended in the opposite one.
PROGRAMS = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KWOK)

HOST = "127.0.0.1"  # the API server's own certificate names this address, not "localhost"

# A socket in the plane's folder, not a port: etcd asks nobody for a password, and the folder
# keeps other users of the machine out. Relative, since socket paths are short.
_ETCD_URL = "unix://etcd.sock:0"
_ETCD_PEER_URL = "unix://etcd-peer.sock:0"

SERVICE_ADDRESSES = "10.96.0.0/12"

AUDIT_POLICY = "audit-policy.json"
AUDIT_LOG = "logs/audit.log"

_CLIENT_SPEED = ("--kube-api-qps=500", "--kube-api-burst=1000")

# Nothing runs in a pod on a fake node, and none has to wait for its account.
_WITHOUT_ACCOUNTS = ("--disable-admission-plugins=ServiceAccount",)


@dataclass(frozen=True)
class Ports:
    """The plane's two TCP ports on loopback: the API server, and the fake kubelets' logs."""

    api_server: int
    kubelet: int


def server_url(ports: Ports) -> str:
    """Where the API server answers."""
    return f"https://{HOST}:{ports.api_server}"


def command_lines(
    *,
    folder: Path,
    ports: Ports,
    programs: Mapping[str, Path],
    kwok_config: Path,
    for_kubelets: Sequence[str] = (),
) -> dict[str, list[str]]:
    """The command line of each program, in the order to start them.

    ``folder`` is the plane's own, absolute; ``programs`` are the binaries by name;
    ``for_kubelets`` are what the API server is told of real nodes.
    """
    arguments = {
        ETCD: _etcd(folder),
        API_SERVER: [*_api_server(folder, ports=ports), *(for_kubelets or _WITHOUT_ACCOUNTS)],
        CONTROLLER_MANAGER: [
            f"--kubeconfig={folder}/kubeconfig",
            "--leader-elect=false",
            "--secure-port=0",
            # A machine that is busy, or wakes up, may let KWOK renew leases late: no node has died.
            "--node-monitor-grace-period=300s",
            "--concurrent-deployment-syncs=20",
            "--concurrent-replicaset-syncs=20",
            "--concurrent-namespace-syncs=20",
            *_CLIENT_SPEED,
        ],
        SCHEDULER: [
            f"--kubeconfig={folder}/kubeconfig",
            "--leader-elect=false",
            "--secure-port=0",
            *_CLIENT_SPEED,
        ],
        KWOK: _kwok(folder, ports=ports, config=kwok_config),
    }
    return {name: [str(programs[name]), *arguments[name]] for name in PROGRAMS}


def _etcd(folder: Path) -> list[str]:
    return [
        f"--data-dir={folder}/etcd",
        "--unsafe-no-fsync",  # survives a killed process, not a power cut: it is a throwaway
        f"--listen-client-urls={_ETCD_URL}",
        f"--advertise-client-urls={_ETCD_URL}",
        f"--listen-peer-urls={_ETCD_PEER_URL}",
        f"--initial-advertise-peer-urls={_ETCD_PEER_URL}",
        f"--initial-cluster=default={_ETCD_PEER_URL}",
        "--log-level=warn",
    ]


def _api_server(folder: Path, *, ports: Ports) -> list[str]:
    return [
        f"--etcd-servers={_ETCD_URL}",
        f"--bind-address={HOST}",
        f"--secure-port={ports.api_server}",
        f"--cert-dir={folder}/certificates",
        f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        f"--service-account-issuer=https://{HOST}",
        f"--service-account-key-file={folder}/service-account.key",
        f"--service-account-signing-key-file={folder}/service-account.key",
        f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={folder}/{AUDIT_POLICY}",
        f"--audit-log-path={folder}/{AUDIT_LOG}",
    ]


def audit_policy(user: str) -> dict[str, Any]:
    """What the API server writes down: each finished request of ``user``, nobody else's."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata", "users": [user]}, {"level": "None"}],
    }


def _kwok(folder: Path, *, ports: Ports, config: Path) -> list[str]:
    return [
        f"--kubeconfig={folder}/kubeconfig",
        f"--config={config}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        "--v=WARN",  # it would log every renewal of every lease
        # The API server fetches pod logs from here, as from a kubelet.
        f"--server-address={HOST}:{ports.kubelet}",
        f"--node-port={ports.kubelet}",
        f"--node-ip={HOST}",
        f"--tls-cert-file={folder}/certificates/apiserver.crt",
        f"--tls-private-key-file={folder}/certificates/apiserver.key",
    ]
