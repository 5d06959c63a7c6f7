"""One control plane on this machine: brings it up, takes it down, says how it is.

Composes the rest of the package. A plane is its state folder: processes are recognised by it, so
two planes never meet, and one that a crash left behind is found and used or replaced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.local import components, control_plane, environment, nodes, processes
from modelfleet.local.api import Api
from modelfleet.local.components import PROGRAMS
from modelfleet.local.control_plane import ControlPlane
from modelfleet.local.errors import LocalError, NotRunningError
from modelfleet.local.folders import default_state_folder, require_supported_platform
from modelfleet.local.gpus import gpu_pools
from modelfleet.local.locks import exclusive
from modelfleet.local.pods import namespaces, real_nodes
from modelfleet.local.pods.configuration import DNS_USER, POLICIES_USER
from modelfleet.local.pods.real_nodes import RealNodes
from modelfleet.local.pods.requirements import require_nothing_missing
from modelfleet.local.progress import Progress
from modelfleet.local.settings import Settings, free_ports, read_settings, write_settings
from modelfleet.local.stages import BEHAVIOURS
from modelfleet.local.status import Status, node_groups
from modelfleet.local.tools import Tools, install_tools

if TYPE_CHECKING:
    from modelfleet.local.pods.materials import Materials

_CPU_NODES = 2  # for what needs no GPU
_NODES_READY_SECONDS = 300.0


class Plane:
    """A Kubernetes control plane with fake GPU nodes, living in ``state_folder``.

    Without a folder it is the one of the project around the working directory.
    """

    def __init__(
        self, state_folder: Path | str | None = None, *, progress: Progress | None = None
    ) -> None:
        folder = default_state_folder(Path.cwd()) if state_folder is None else Path(state_folder)
        self.state_folder = folder.resolve()
        self._folder = self.state_folder / "plane"
        self._settings_file = self._folder / "settings.json"
        self._progress = progress or Progress()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it is there while the plane runs."""
        return self._folder / "kubeconfig"

    @property
    def limited_kubeconfig(self) -> Path:
        """The kubeconfig of the user ``modelfleet``, who may do what RBAC grants that user."""
        return self._folder / "kubeconfig-limited"

    @property
    def audit_log(self) -> Path:
        """Where the API server writes down each request of that user, as lines of JSON.

        What a client really asks for can be counted there; it is not there before the first one.
        """
        return self._folder / components.AUDIT_LOG

    def up(
        self,
        *,
        gpus: str | None = None,
        chaos: bool | None = None,
        stage_files: Sequence[Path] | None = None,
        pods: bool | None = None,
        pod_gpus: int | None = None,
    ) -> Status:
        """Build what is missing, start what is not running, and make the nodes as asked for.

        ``gpus`` as in ``h100-80gb:8x12,l4-24gb:4x6``; ``chaos`` adds nodes on which pods
        misbehave; ``stage_files`` are more KWOK stages; ``pods`` makes real nodes, with so many
        ``pod_gpus`` each. What is None stays as it is. Raises ConfigError for a wrong ``gpus``, or
        for ``pods`` on a machine that cannot run them, LocalError naming the program that does not
        start.
        """
        require_supported_platform()
        if gpus is not None:
            gpu_pools(gpus)  # refused before anything is built
        self._make_folders()
        with self._locked():
            settings = self._wanted(
                gpus=gpus, chaos=chaos, stage_files=stage_files, pods=pods, pod_gpus=pod_gpus
            )
            if settings.pods:
                require_nothing_missing()
            tools = install_tools(progress=self._progress, pods=settings.pods)
            materials = self._materials() if settings.pods else None
            self._link_programs(tools)
            real = RealNodes(self._folder, programs=tools.programs)
            settings = real.with_block(settings)
            processes = ControlPlane(self._folder, tools=tools, progress=self._progress)
            with self._progress.step("Starting the control plane"):
                settings = processes.converge(settings)
                write_settings(self._settings_file, settings)
            if materials is None:
                namespaces.end(self._folder)
            if materials is not None:
                with self._progress.step("Starting the real nodes"):
                    self._give_rights(settings)
                    real.converge(settings, materials=materials)
            with self._progress.step("Waiting for the nodes"):
                self._converge_nodes(settings, processes=processes)
        return self.status()

    def down(self, *, purge: bool = False) -> list[str]:
        """End this plane's processes and return their names; nobody else's are touched.

        What is on disk stays, and the next ``up`` goes on from there. ``purge`` removes it: the
        cluster's data, its credentials, and the Pulumi state kept in this folder.
        """
        if not self.state_folder.exists():
            return self._end()
        with self._locked():
            ended = self._end()
            if purge:
                for name in ("plane", "bin", "pulumi-state", "pulumi-home"):
                    shutil.rmtree(self.state_folder / name, ignore_errors=True)
        return ended

    def _materials(self) -> Materials:
        # What describes images is checked with pydantic, which nothing else here needs.
        from modelfleet.local.pods.materials import prepare

        return prepare(progress=self._progress)

    def _end(self) -> list[str]:
        return [*namespaces.end(self._folder), *control_plane.end(self._folder)]

    def status(self) -> Status:
        """What runs now; asks the API server for its nodes when everything does."""
        running = {
            processes.name_of(process): process.pid for process in control_plane.find(self._folder)
        }
        pids = {program: running.get(program, 0) for program in PROGRAMS}
        settings = read_settings(self._settings_file)
        if settings is not None and settings.pods:
            pids |= real_nodes.pids(self._folder)
        if not any(pids.values()):
            return Status("stopped", self.state_folder, pids)
        missing = [program for program, pid in pids.items() if not pid]
        if missing or settings is None:
            trouble = f"not running: {', '.join(missing)}" if missing else "its settings are gone"
            return Status("broken", self.state_folder, pids, trouble=trouble)
        server = components.server_url(settings.ports)
        try:
            with Api(self._folder, server=server, timeout_seconds=30) as api:
                groups = node_groups(api.list_nodes(), api.list_pods())
        except LocalError as error:
            return Status("broken", self.state_folder, pids, server=server, trouble=str(error))
        return Status("running", self.state_folder, pids, server, str(self.kubeconfig), groups)

    def environment(self) -> dict[str, str]:
        """What a child process needs to use the plane, on top of its own environment.

        Raises NotRunningError when the plane does not run.
        """
        if not control_plane.find(self._folder) or not self.kubeconfig.exists():
            raise self._not_running()
        return environment.environment(self.state_folder, path=os.environ.get("PATH", ""))

    def api(self) -> Api:
        """A client of the running plane, as its administrator; use it as a context manager.

        Raises NotRunningError when the plane does not run.
        """
        settings = read_settings(self._settings_file)
        if settings is None:
            raise self._not_running()
        return Api(self._folder, server=components.server_url(settings.ports))

    def _not_running(self) -> NotRunningError:
        return NotRunningError(
            f"No plane is running in {self.state_folder}.",
            hint="Start one with `modelfleet local up`.",
        )

    def _make_folders(self) -> None:
        self.state_folder.mkdir(parents=True, exist_ok=True)
        (self.state_folder / ".gitignore").write_text("*\n")
        # Tokens, keys, and etcd's unguarded socket live in it.
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("certificates", "logs"):
            (self._folder / name).mkdir(exist_ok=True)
        for name in ("pulumi-state", "pulumi-home"):
            (self.state_folder / name).mkdir(exist_ok=True)

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        def say_who_waits() -> None:
            self._progress.say("Waiting for another `modelfleet local` on this plane …")

        return exclusive(self.state_folder / "lock", on_wait=say_who_waits)

    def _wanted(
        self,
        *,
        gpus: str | None,
        chaos: bool | None,
        stage_files: Sequence[Path] | None,
        pods: bool | None,
        pod_gpus: int | None,
    ) -> Settings:
        """The settings of last time with what was asked for now."""
        known = read_settings(self._settings_file) or Settings(ports=free_ports())
        return replace(
            known,
            gpus=known.gpus if gpus is None else gpus,
            chaos=known.chaos if chaos is None else chaos,
            pods=known.pods if pods is None else pods,
            pod_gpus=known.pod_gpus if pod_gpus is None else pod_gpus,
            stages=(
                tuple(file for file in known.stages if Path(file).exists())
                if stage_files is None
                else tuple(str(file.resolve()) for file in stage_files)
            ),
        )

    def _link_programs(self, tools: Tools) -> None:
        """Put every program into one folder, so that one entry in PATH is enough."""
        folder = self.state_folder / "bin"
        folder.mkdir(exist_ok=True)
        for link in folder.iterdir():
            if not link.is_symlink() or tools.programs.get(link.name) != link.readlink():
                link.unlink()
        for name, program in tools.programs.items():
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(program)

    def _give_rights(self, settings: Settings) -> None:
        with Api(self._folder, server=components.server_url(settings.ports)) as api:
            for user in (DNS_USER, POLICIES_USER):
                api.bind_role(user, role="view", user=user)

    def _converge_nodes(self, settings: Settings, *, processes: ControlPlane) -> None:
        fleet = [
            *nodes.node_objects(gpu_pools(settings.gpus)),
            # Where there are real nodes, they are for what needs no GPU.
            *nodes.cpu_node_objects(0 if settings.pods else _CPU_NODES),
        ]
        chaos = nodes.chaos_node_objects(BEHAVIOURS) if settings.chaos else []
        names = namespaces.NAMES if settings.pods else ()
        real = nodes.real_node_objects(names, gpus=settings.pod_gpus)
        with Api(self._folder, server=components.server_url(settings.ports)) as api:
            nodes.converge_nodes(api, fleet, pool=nodes.FLEET_POOL)
            nodes.converge_nodes(api, chaos, pool=nodes.CHAOS_POOL)
            nodes.converge_nodes(api, real, pool=nodes.PODS_POOL)
            deadline = time.monotonic() + _NODES_READY_SECONDS
            while waiting := nodes.not_ready(api.list_nodes(), held=api.held_nodes()):
                processes.require_alive()
                if time.monotonic() > deadline:
                    raise LocalError(
                        f"{len(waiting)} nodes are not ready, such as {waiting[0]}.",
                        hint=f"Its log is in {self._folder / 'logs'}.",
                    )
                time.sleep(0.1)
            processes.require_alive()
