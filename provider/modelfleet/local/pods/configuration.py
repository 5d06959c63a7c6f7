"""What the programs of a node are told: the texts of their configuration files, by name. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

import yaml

from modelfleet.local.credentials import kubeconfig
from modelfleet.local.pods.policies import ACCOUNT
from modelfleet.local.pods.requirements import CNI_PLUGINS

CLUSTER_DOMAIN: Final = "cluster.local"
CONTAINERD_ROOT: Final = Path("/var/lib/containerd")
CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"
PAUSE_IMAGE: Final = "modelfleet.local/pause:1"

KUBELET_USER: Final = "system:node:"
PROXY_USER: Final = "system:kube-proxy"
DNS_USER: Final = "system:coredns"
POLICIES_USER: Final = "system:network-policies"


@dataclass(frozen=True)
class ControlPlaneAccess:
    """Where a node finds the API server, and what it says there; ``tokens`` by user name."""

    server: str
    certificate_authority: str
    tokens: Mapping[str, str]
    kubelet_clients: str
    """The certificate in PEM that kubelets let in."""


@dataclass(frozen=True)
class NodeConfiguration:
    """One node: its name, its address, its pods' addresses, and the cgroup of its pods."""

    name: str
    address: IPv4Address
    pods: IPv4Network
    cgroup: str
    access: ControlPlaneAccess

    def files(self, folder: Path) -> dict[str, str]:
        """Return the files' texts by name; ``folder`` is where they will be."""
        users = {
            "kubelet": f"{KUBELET_USER}{self.name}",
            "kube-proxy": PROXY_USER,
            "coredns": DNS_USER,
        }
        return {
            "containerd.toml": _containerd(folder),
            "cni/10-pods.conflist": _json(_cni(self.pods)),
            "kubelet.yaml": _yaml(self._kubelet(folder)),
            "kubelet-clients.pem": self.access.kubelet_clients,
            "kube-proxy.yaml": _yaml(self._kube_proxy(folder)),
            "Corefile": self._corefile(folder),
            "resolv.conf": "",
            f"{ACCOUNT}/token": self.access.tokens[POLICIES_USER],
            f"{ACCOUNT}/ca.crt": self.access.certificate_authority,
            **{f"{name}.kubeconfig": self._kubeconfig(user) for name, user in users.items()},
        }

    def _kubeconfig(self, user: str) -> str:
        return kubeconfig(
            server=self.access.server,
            certificate_authority=self.access.certificate_authority,
            user=user,
            token=self.access.tokens[user],
            # The certificate was made for loopback, and stays as it is when nodes come and go.
            tls_server_name="127.0.0.1",
        )

    def _kubelet(self, folder: Path) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(self.address),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(folder / "kubelet-clients.pem")},
            },
            # Only the API server has a certificate to come in with.
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.cgroup,
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [str(self.address)],
            "clusterDomain": CLUSTER_DOMAIN,
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "enforceNodeAllocatable": [],
            # The disk is the machine's, shared with all that is not ours.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,  # nothing could be pulled again
            "localStorageCapacityIsolation": False,
            "nodeStatusUpdateFrequency": "5s",
            "nodeLeaseDurationSeconds": 10,  # a new node has one after a quarter of that
            "registerNode": True,
            "resolvConf": str(folder / "resolv.conf"),
            "healthzPort": 0,
            "shutdownGracePeriod": "0s",
            "syncFrequency": "5s",
        }

    def _kube_proxy(self, folder: Path) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "hostnameOverride": self.name,
            "clientConnection": {"kubeconfig": str(folder / "kube-proxy.kubeconfig")},
            "healthzBindAddress": f"{self.address}:10256",
            "metricsBindAddress": f"{self.address}:10249",
            # Limits of the machine, which a node does not own.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "nftables": {"minSyncPeriod": "0.2s"},
        }

    def _corefile(self, folder: Path) -> str:
        return (
            ".:53 {\n"
            f"    bind {self.address}\n"
            "    errors\n"
            f"    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{\n"
            f"        kubeconfig {folder}/coredns.kubeconfig\n"
            "        ttl 5\n"
            "    }\n"
            "}\n"
        )


def _containerd(folder: Path) -> str:
    """Return containerd's configuration, in the version that Debian's containerd 1.6 reads."""
    return f"""version = 2
root = "{CONTAINERD_ROOT}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # A machine may not let root raise a process above others.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def _cni(pods: IPv4Network) -> dict[str, Any]:
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                # Every pod has a link of its own: packets between two pods of a node are routed,
                # where rules for Services see them, as they are between nodes.
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _yaml(document: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(document, sort_keys=False))
