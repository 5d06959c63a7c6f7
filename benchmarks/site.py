"""Where it is measured: a control plane of its own, and namespaces that come and go.

Also sees to it that the plane is at rest before something is measured: controllers go on tidying
up for a while after the last object is gone.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from rich.console import Console

from benchmarks.audit import AuditLog
from benchmarks.errors import BenchmarkError
from benchmarks.services import GPU_NODES
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.cluster.tls import tls_context
from modelfleet.local import Plane, Progress
from modelfleet.local.api import Api
from modelfleet.local.gpus import gpu_pools

COUNTED_USER = "modelfleet"
"""The plane's second user, whose requests its API server writes down."""

_GONE_SECONDS = 600.0
_QUIET_CPU_PERCENT = 30.0
_QUIET_SECONDS = 90.0


class Site:
    """A running plane; made by :func:`open_site`."""

    def __init__(self, plane: Plane, *, console: Console) -> None:
        self._plane = plane
        self._console = console
        pids = plane.status().components.values()
        self._processes = [psutil.Process(pid) for pid in pids if pid]
        access = load_access(kubeconfig=str(plane.kubeconfig))
        self._http = httpx.Client(
            base_url=access.server,
            headers={"Authorization": f"Bearer {access.token}"},
            verify=tls_context(access),
            timeout=60,
            trust_env=False,
        )

    @property
    def folder(self) -> Path:
        """Where files of the run may be kept."""
        return self._plane.state_folder

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self._plane.kubeconfig

    @property
    def counted_kubeconfig(self) -> Path:
        """That of the user whose requests the audit log has."""
        return self._plane.limited_kubeconfig

    @property
    def audit_log(self) -> AuditLog:
        """What the API server says about the requests of the counted user."""
        return AuditLog(self._plane.audit_log)

    @property
    def gpus(self) -> int:
        """How many GPUs the plane's nodes have together."""
        return sum(pool.gpus_per_node * pool.nodes for pool in gpu_pools(GPU_NODES))

    def api(self) -> Api:
        """Requests as the administrator; a context manager."""
        return self._plane.api()

    def environ(self) -> dict[str, str]:
        """The whole environment of a command that uses the plane, and finds this package."""
        folders = [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
        path = os.pathsep.join(filter(None, folders))
        return {**os.environ, **self._plane.environment(), "PYTHONPATH": path}

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show that this is under way, and how long it took; nothing that moves meanwhile."""
        started = time.monotonic()
        self._console.print(f"{title} … ", end="", highlight=False)
        try:
            yield
        finally:
            self._console.print(f"{time.monotonic() - started:.1f} s", highlight=False)

    def create_namespace(self) -> str:
        """Make a new namespace and return its name."""
        name = f"bench-{secrets.token_hex(4)}"
        self._http.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
        return name

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace with all there is in it; return when it is gone and all is quiet."""
        path = f"/api/v1/namespaces/{name}"
        self._http.delete(path)
        deadline = time.monotonic() + _GONE_SECONDS
        while self._http.get(path).status_code != httpx.codes.NOT_FOUND:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"namespace {name} is not gone after {_GONE_SECONDS:.0f} s.")
            time.sleep(0.5)
        self.settle()

    def cpu_seconds(self) -> float:
        """Return the processor time that the control plane has taken so far."""
        return sum(map(_cpu_seconds, self._processes))

    def settle(self) -> None:
        """Return when the plane is at rest, or after a bounded time all the same."""
        deadline = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(1)
            if (self.cpu_seconds() - before) * 100 < _QUIET_CPU_PERCENT:
                return

    def versions(self) -> dict[str, str]:
        """Return the versions of the programs in use."""
        pulumi = subprocess.run(
            ["pulumi", "version"], env=self.environ(), check=True, capture_output=True, text=True
        )
        kubernetes = self._http.get("/version").raise_for_status().json()["gitVersion"]
        return {"pulumi (engine)": pulumi.stdout.strip(), "kubernetes": kubernetes}

    def close(self) -> None:
        """End the connection; the plane goes on."""
        self._http.close()

    def grant_everything(self, user: str) -> None:
        """Let ``user`` do everything on this plane, which is thrown away."""
        rbac = "rbac.authorization.k8s.io"
        reply = self._http.post(
            f"/apis/{rbac}/v1/clusterrolebindings",
            json={
                "metadata": {"name": f"benchmarks-{user}"},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
            },
        )
        if reply.status_code != httpx.codes.CONFLICT:
            reply.raise_for_status()


@contextmanager
def open_site(folder: Path, *, console: Console, keep: bool, pods: bool = False) -> Iterator[Site]:
    """Start a plane in ``folder``, hand it out, and remove it in the end but for ``keep``.

    Its nodes are fake ones with GPUs, or with ``pods`` the two real ones alone.
    """
    plane = Plane(folder, progress=Progress(console))
    plane.up(gpus="" if pods else GPU_NODES, pods=pods)
    site = Site(plane, console=console)
    try:
        site.grant_everything(COUNTED_USER)
        site.settle()
        yield site
    finally:
        site.close()
        if not keep:
            plane.down(purge=True)


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
