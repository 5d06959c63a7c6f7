"""Addresses, configuration and command lines of real nodes, and what a machine lacks for them."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from modelfleet.errors import ConfigError
from modelfleet.local import processes
from modelfleet.local.components import SERVICE_ADDRESSES
from modelfleet.local.pods import policies, requirements
from modelfleet.local.pods.components import PROGRAMS, init_command, node_commands, relay_command
from modelfleet.local.pods.configuration import ControlPlaneAccess, NodeConfiguration
from modelfleet.local.pods.network import (
    BLOCKS,
    NODES,
    Network,
    host_commands,
    inside_commands,
    inside_rules,
)

FOLDER = Path("/home/me/.modelfleet/plane")


def networks_of(network: Network) -> list[IPv4Network]:
    links = [*(network.host_link(n) for n in range(NODES)), *network.node_links().values()]
    return [*(link.network for link in links), *(network.pods(n) for n in range(NODES))]


def test_no_two_networks_of_any_two_planes_overlap() -> None:
    every = [each for block in range(BLOCKS) for each in networks_of(Network(block))]
    assert not any(one.overlaps(other) for one, other in combinations(every, 2))


def test_every_address_is_in_the_range_for_tests_that_nobody_routes() -> None:
    tests = IPv4Network("198.18.0.0/15")
    for block in range(BLOCKS):
        assert all(each.subnet_of(tests) for each in networks_of(Network(block)))


def test_names_of_interfaces_fit_into_fifteen_characters() -> None:
    network = Network(BLOCKS - 1)
    links = [*(network.host_link(n) for n in range(NODES)), *network.node_links().values()]
    assert all(len(name) <= 15 for link in links for name in link.names)


def test_no_node_gets_a_default_route() -> None:
    commands = [
        *host_commands(Network(3), init_pids=[11, 12], alias="modelfleet-1"),
        *(each for node in range(NODES) for each in inside_commands(Network(3), node=node)),
    ]
    assert not any(word in ("default", "0.0.0.0/0") for command in commands for word in command)


def test_every_node_has_a_way_to_the_api_server_and_to_the_pods_of_the_others() -> None:
    network = Network(0)
    for node in range(NODES):
        said = [" ".join(command) for command in inside_commands(network, node=node)]
        other = network.pods(1 - node)
        assert any(f"route add {other} via" in line for line in said)
        is_linked = network.api_address in network.host_link(node).network
        assert is_linked or any(f"route add {network.api_address}/32 via" in line for line in said)


@pytest.fixture
def configuration() -> NodeConfiguration:
    names = ("node:pods-0", "kube-proxy", "coredns", "network-policies")
    users = [f"system:{name}" for name in names]
    network = Network(0)
    return NodeConfiguration(
        name="pods-0",
        address=network.address(0),
        pods=network.pods(0),
        cgroup="/modelfleet-1/pods-0",
        access=ControlPlaneAccess(
            server="https://198.18.0.1:6443",
            certificate_authority="ca",
            tokens={user: f"token of {user}" for user in users},
            kubelet_clients="certificate",
        ),
    )


def test_programs_of_a_node_have_credentials_of_their_own(
    configuration: NodeConfiguration,
) -> None:
    files = configuration.files(FOLDER)
    for name, user in {"kubelet": "system:node:pods-0", "coredns": "system:coredns"}.items():
        document = yaml.safe_load(files[f"{name}.kubeconfig"])
        assert document["users"][0]["user"] == {"token": f"token of {user}"}
        assert document["clusters"][0]["cluster"]["tls-server-name"] == "127.0.0.1"


def test_what_enforces_policies_finds_its_account_as_a_pod_does(
    configuration: NodeConfiguration,
) -> None:
    files = configuration.files(FOLDER)
    assert files["account/token"] == "token of system:network-policies"
    (*_, token, authority) = policies.account_command(FOLDER / "account")
    assert [Path(token).name, Path(authority).name] == ["token", "ca.crt"]
    host = IPv4Address(policies.ENVIRONMENT["KUBERNETES_SERVICE_HOST"])
    first = next(IPv4Network(SERVICE_ADDRESSES).hosts())
    assert host == first, "the address that the API server's certificate names"


def test_a_node_asks_about_new_connections_that_it_passes_on_and_about_nothing_else() -> None:
    said = " ".join(policies.rule())
    assert "-A FORWARD -m conntrack ! --ctstate ESTABLISHED,RELATED -j NFQUEUE" in said
    assert "--queue-bypass" in said, "a node goes on without the program that it asks"
    program = policies.command(Path("/p"), account=FOLDER, node="pods-0")
    queue = next(a.removeprefix("--nfqueue-id=") for a in program if "nfqueue-id" in a)
    assert f"--queue-num {queue} " in said


def test_what_a_node_sends_to_a_service_that_is_not_there_goes_no_further_than_the_node() -> None:
    (route,) = [c for c in inside_commands(Network(0), node=0) if SERVICE_ADDRESSES in c]
    (rule,) = inside_rules()
    assert " ".join(route).endswith(f"dev lo src {Network(0).address(0)}")
    assert " ".join(rule).endswith(f"-d {SERVICE_ADDRESSES} -o lo -j REJECT")


def test_a_kubelet_lets_in_nobody_without_the_certificate(
    configuration: NodeConfiguration,
) -> None:
    authentication = yaml.safe_load(configuration.files(FOLDER)["kubelet.yaml"])["authentication"]
    assert authentication["anonymous"] == {"enabled": False}
    assert authentication["x509"] == {"clientCAFile": f"{FOLDER}/kubelet-clients.pem"}


def test_pods_get_addresses_of_their_node_and_nothing_hides_them(
    configuration: NodeConfiguration,
) -> None:
    (plugin,) = json.loads(configuration.files(FOLDER)["cni/10-pods.conflist"])["plugins"]
    assert plugin["ipam"]["ranges"] == [[{"subnet": str(configuration.pods)}]]
    assert plugin["ipMasq"] is False, "policies look at the address of the pod itself"


def test_every_command_line_of_a_node_names_the_planes_folder() -> None:
    node = FOLDER / "nodes" / "pods-0"
    network = Network(0)
    programs = {name: Path("/cache") / name for name in PROGRAMS}
    commands = [
        *node_commands(
            node / "etc" / "1", name="pods-0", address=network.address(0), programs=programs
        ).values(),
        relay_command(FOLDER, address=network.api_address, port=6443),
        ["/cache/pause", f"--node={node}/"],
    ]
    for argv in commands:
        assert processes.belongs(argv, folder=FOLDER, programs=frozenset(PROGRAMS)), argv


def test_a_node_is_made_of_namespaces_of_every_kind_that_pods_could_leave_traces_in() -> None:
    command = init_command(FOLDER, pause=Path("/cache/pause"), kept=[FOLDER])
    assert {"--mount", "--pid", "--net", "--uts", "--ipc"} <= set(command)


@pytest.mark.parametrize(
    ("platform", "user_id", "missing", "said"),
    [
        ("darwin", 0, False, "need Linux"),
        ("linux", 1000, False, "need root"),
        ("linux", 0, True, "make setup-root"),
        ("linux", 0, False, ""),
    ],
)
def test_a_machine_is_told_what_it_lacks_in_one_sentence(
    platform: str, user_id: int, missing: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("os.geteuid", lambda: user_id)
    monkeypatch.setattr(requirements, "_is_there", lambda _: not missing)
    assert said in requirements.lacking()
    assert bool(requirements.lacking()) is bool(said)
    if said:
        with pytest.raises(ConfigError, match="--pods: real pods need"):
            requirements.require_nothing_missing()
    else:
        requirements.require_nothing_missing()
