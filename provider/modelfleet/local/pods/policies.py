"""How NetworkPolicies are put into force on a node: by a rule that asks a program.

The rule holds the first packet of each connection that a node passes on, to or from a pod, until
the program has looked up which policies are for it. What belongs to a connection that was let
through passes, and so does what the node itself sends, such as probes, and what is for it, such
as questions to its DNS server: policies are not about nodes.

The program makes rules of its own that do the same, but of a kind that not every kernel knows; it
then logs an error and goes on. Ours are there in either case, so that all machines do the same;
where both are, the same question is asked twice.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from modelfleet.local.components import SERVICE_ADDRESSES

ACCOUNT: Final = "account"
"""The folder with ``token`` and ``ca.crt`` among the files of a node."""

# The program finds its account and the API server as pods do, and has no flags for that. The first
# address of Services is the API server's own, which its certificate names.
_ACCOUNT_IN_PODS: Final = "/run/secrets/kubernetes.io/serviceaccount"
ENVIRONMENT: Final = {
    "KUBERNETES_SERVICE_HOST": str(next(IPv4Network(SERVICE_ADDRESSES).hosts())),
    "KUBERNETES_SERVICE_PORT": "443",
}

_QUEUE: Final = 100


def rule() -> tuple[str, ...]:
    """Return what makes a node ask; without the program, all is let through."""
    new = ("-m", "conntrack", "!", "--ctstate", "ESTABLISHED,RELATED")
    ask = ("-j", "NFQUEUE", "--queue-num", str(_QUEUE), "--queue-bypass")
    return ("iptables", "--wait", "-A", "FORWARD", *new, *ask)


def are_enforced(*, init_pid: int) -> bool:
    """Return whether the program answers in the node that ``init_pid`` holds; it then knows all
    policies that there are."""
    queues = Path(f"/proc/{init_pid}/net/netfilter/nfnetlink_queue")
    try:
        return any(line.split()[0] == str(_QUEUE) for line in queues.read_text().splitlines())
    except FileNotFoundError:  # the node is gone
        return False


def account_command(account: Path) -> list[str]:
    """Return what puts the program's account where it looks for it."""
    files = (str(account / name) for name in ("token", "ca.crt"))
    return ["install", "-D", "--mode=600", f"--target-directory={_ACCOUNT_IN_PODS}", *files]


def command(executable: Path, *, account: Path, node: str) -> list[str]:
    """Return the program's command line. It takes no notice of its last argument, ``account``."""
    return [
        str(executable),
        f"--hostname-override={node}",
        f"--nfqueue-id={_QUEUE}",
        "--fail-open",
        "--metrics-bind-address=127.0.0.1:9080",
        str(account),
    ]
