"""Which addresses the nodes of a plane have, and the commands that make and remove links. Pure.

Every plane has one block of 198.18.0.0/15, the range that RFC 2544 sets aside for tests and nobody
routes. Links are point to point: host and node, node and node; there is no bridge, no default route
and no rule of a firewall on the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from typing import Final

from modelfleet.local.components import SERVICE_ADDRESSES

NODES: Final = 2
BLOCKS: Final = 32
"""How many planes a machine can give real nodes at a time."""

_RANGE: Final = IPv4Network("198.18.0.0/15")
_BLOCK_BITS: Final = 20
_LINK_BITS: Final = 30
_POD_BITS: Final = 24

Command = tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """Two ends of a veth pair, each with an interface name and an address of one /30."""

    network: IPv4Network
    names: tuple[str, str]

    def address(self, end: int) -> IPv4Address:
        """Return the address of one end."""
        return self.network[1 + end]

    def interface(self, end: int) -> str:
        """Return an end's address with the length of its network, as ``ip`` takes it."""
        return f"{self.address(end)}/{_LINK_BITS}"


@dataclass(frozen=True)
class Network:
    """The addresses of a plane's real nodes; ``block`` is its number on this machine."""

    block: int

    @property
    def name(self) -> str:
        """Return what names of interfaces and cgroups on the host begin with."""
        return f"mfleet{self.block}"

    @property
    def api_address(self) -> IPv4Address:
        """Return where on the host the API server is reached from the nodes."""
        return self.host_link(0).address(0)

    def host_link(self, node: int) -> Link:
        """Return the link between the host (end 0) and a node (end 1)."""
        return Link(self._subnet(_LINK_BITS, node), (f"{self.name}-{node}", "host"))

    def node_links(self) -> dict[tuple[int, int], Link]:
        """Return the links between nodes, the lower number being end 0."""
        pairs = list(combinations(range(NODES), 2))
        return {
            pair: Link(self._subnet(_LINK_BITS, NODES + i), (f"node{pair[1]}", f"node{pair[0]}"))
            for i, pair in enumerate(pairs)
        }

    def address(self, node: int) -> IPv4Address:
        """Return a node's own address."""
        return self.host_link(node).address(1)

    def pods(self, node: int) -> IPv4Network:
        """Return the addresses of a node's pods."""
        return self._subnet(_POD_BITS, 1 + node)

    def _subnet(self, bits: int, number: int) -> IPv4Network:
        block = list(_RANGE.subnets(new_prefix=_BLOCK_BITS))[self.block]
        return list(block.subnets(new_prefix=bits))[number]


def host_commands(network: Network, *, init_pids: list[int], alias: str) -> list[Command]:
    """Return what connects the host with nodes whose init processes are ``init_pids``.

    Links are marked with ``alias``, and found by it again.
    """
    commands: list[Command] = []
    for node, pid in enumerate(init_pids):
        link = network.host_link(node)
        ours, theirs = link.names
        peer = ("peer", "name", theirs, "netns", str(pid))
        commands += [
            ("link", "add", ours, "type", "veth", *peer),
            ("address", "add", link.interface(0), "dev", ours),
            ("link", "set", ours, "up", "alias", alias),
            # For answers of the API server to pods; it goes with the link.
            ("route", "add", str(network.pods(node)), "via", str(link.address(1)), "dev", ours),
        ]
    for (first, second), link in network.node_links().items():
        peer = ("peer", "name", link.names[1], "netns", str(init_pids[second]))
        namespace = ("netns", str(init_pids[first]))
        commands.append(("link", "add", link.names[0], *namespace, "type", "veth", *peer))
    return [("ip", *command) for command in commands]


def inside_commands(network: Network, *, node: int) -> list[Command]:
    """Return what a node does with its ends of the links, inside its own namespace."""
    link = network.host_link(node)
    commands: list[Command] = [
        ("link", "set", "lo", "up"),
        ("address", "add", link.interface(1), "dev", "host"),
        ("link", "set", "host", "up"),
        # What runs on the node itself reaches Services, too: kube-proxy sends it to an endpoint.
        ("route", "add", SERVICE_ADDRESSES, "dev", "lo", "src", str(link.address(1))),
    ]
    if network.api_address not in link.network:
        via = ("via", str(link.address(0)))
        commands.append(("route", "add", f"{network.api_address}/32", *via))
    for pair, between in network.node_links().items():
        if node not in pair:
            continue
        end = pair.index(node)
        other = pair[1 - end]
        via = ("via", str(between.address(1 - end)))
        name = between.names[end]
        commands += [
            ("address", "add", between.interface(end), "dev", name),
            ("link", "set", name, "up"),
            ("route", "add", f"{network.address(other)}/32", *via),
            ("route", "add", str(network.pods(other)), *via),
        ]
    return [("ip", *command) for command in commands]


def inside_rules() -> list[Command]:
    """Return what refuses, instead of losing, what a node sends to a Service that is not there."""
    to_services = ("-d", SERVICE_ADDRESSES, "-o", "lo")
    return [("iptables", "--wait", "-A", "OUTPUT", *to_services, "-j", "REJECT")]
