"""Makes the five processes of a plane be exactly those that are wanted, and waits for them.

Idempotent: a process with the wanted command line is left alone, any other of this plane is
replaced. Data that no program starts on any more is replaced as well, and that is said.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from modelfleet.local import credentials, processes, stages
from modelfleet.local.api import Api
from modelfleet.local.components import (
    API_SERVER,
    AUDIT_POLICY,
    ETCD,
    KWOK,
    PROGRAMS,
    audit_policy,
    command_lines,
    server_url,
)
from modelfleet.local.errors import LocalError
from modelfleet.local.pods.real_nodes import for_kubelets
from modelfleet.local.progress import Progress
from modelfleet.local.settings import Settings, become_free, free_ports
from modelfleet.local.tools import Tools

_START_SECONDS = 300.0
_POLL_SECONDS = 0.2
_PORT_SECONDS = 2.0
_ATTEMPTS = 4  # as it is, on other ports, on fresh data, and once more for a port lost again


class _DiedError(Exception):
    """A program ended right after its start, or while it was waited for."""

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.program = program


class ControlPlane:
    """The processes whose files are in ``folder``."""

    def __init__(self, folder: Path, *, tools: Tools, progress: Progress) -> None:
        self._folder = folder
        self._tools = tools
        self._progress = progress

    def converge(self, settings: Settings) -> Settings:
        """Start what does not run as wanted, and return once the API server accepts our token.

        The settings returned have other ports when somebody else took the old ones meanwhile.
        Raises LocalError with the end of the log of the program that does not start.
        """
        for _ in range(_ATTEMPTS):
            settings = self._with_usable_ports(settings)
            try:
                self._start(settings)
                return settings
            except _DiedError as death:
                end(self._folder)
                log = processes.last_lines(self._log(death.program))
                settings = self._otherwise(settings, died=death.program, log=log)
        raise LocalError("kube-apiserver: no port to be had for it on loopback.")

    def require_alive(self) -> None:
        """Raise LocalError with the end of its log if a program has ended since its start."""
        alive = {processes.name_of(process) for process in find(self._folder)}
        for program in PROGRAMS:
            if program not in alive:
                raise self._failure(program, "ended right after it was started")

    def _with_usable_ports(self, settings: Settings) -> Settings:
        """The same settings, or other ports, when ours are taken and our holder is gone."""
        alive = {processes.name_of(process) for process in find(self._folder)}
        ports = settings.ports
        holders = ((API_SERVER, ports.api_server), (KWOK, ports.kubelet))
        # A killed process looks gone a moment before the last of its threads lets go of a port.
        needed = [port for program, port in holders if program not in alive]
        if become_free(needed, timeout_seconds=_PORT_SECONDS):
            return settings
        end(self._folder)  # the others know the old ports
        return replace(settings, ports=free_ports())

    def _otherwise(self, settings: Settings, *, died: str, log: str) -> Settings:
        """What to try after ``died`` did not start. Raises LocalError when nothing is left."""
        if "address already in use" in log:
            return replace(settings, ports=free_ports())
        data = self._folder / "etcd"
        if died in (ETCD, API_SERVER) and data.exists() and not self._is_fresh:
            self._progress.say(
                f"{died} does not start on the data that was left behind;"
                " going on with an empty cluster."
            )
            shutil.rmtree(data)
            return settings
        raise self._failure(died, "ended right after it was started", log=log)

    def _start(self, settings: Settings) -> None:
        if credentials.write_credentials(self._folder):
            end(self._folder)  # what runs knows other tokens
        self._is_fresh = not (self._folder / "etcd").exists()
        policy = json.dumps(audit_policy(credentials.LIMITED), indent=2)
        (self._folder / AUDIT_POLICY).write_text(f"{policy}\n")
        commands = command_lines(
            folder=self._folder,
            ports=settings.ports,
            programs=self._tools.programs,
            kwok_config=self._write_kwok_config(settings),
            for_kubelets=(
                for_kubelets(self._folder, block=settings.block) if settings.pods else ()
            ),
        )
        # A client finds a server again that was away, but only after half a minute or more of
        # waiting longer each time; so all that relies on a program is started after it.
        if self._ensure(ETCD, commands[ETCD]):
            end(self._folder, programs=PROGRAMS[1:])
        if self._ensure(API_SERVER, commands[API_SERVER]):
            end(self._folder, programs=PROGRAMS[2:])
        server = server_url(settings.ports)
        self._wait_for_api_server(server)
        credentials.write_kubeconfigs(self._folder, server=server)
        if not processes.find(self._folder, [KWOK]):
            # A new KWOK has a new name, and would wait until the leases of the old one expire.
            with Api(self._folder, server=server) as api:
                api.remove_node_leases()
        for program in PROGRAMS:
            self._ensure(program, commands[program])

    def _ensure(self, program: str, argv: list[str]) -> bool:
        """Leave the one process with this command line alone, or make it so; whether it did."""
        running = processes.find(self._folder, [program])
        if len(running) == 1 and processes.argv_of(running[0]) == argv:
            return False
        processes.end(running)
        log = self._log(program)
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        pid = processes.start(argv, folder=self._folder, log=log, environ=_environ())
        if not processes.wait_until_started(pid, program=program):
            raise _DiedError(program)
        return True

    def _wait_for_api_server(self, server: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while refusal := self._refusal(server):
            for program in (ETCD, API_SERVER):
                if not processes.find(self._folder, [program]):
                    raise _DiedError(program)
            if time.monotonic() > deadline:
                raise self._failure(API_SERVER, f"not ready in {_START_SECONDS:.0f} s ({refusal})")
            time.sleep(_POLL_SECONDS)

    def _refusal(self, server: str) -> str:
        try:
            with Api(self._folder, server=server, timeout_seconds=30) as api:
                return api.refusal()
        except LocalError as error:  # it has not made its certificate yet, or not all of it
            return str(error)

    def _write_kwok_config(self, settings: Settings) -> Path:
        """KWOK's configuration under a name that changes with it, and so restarts KWOK."""
        extra = [Path(file) for file in settings.stages]
        text = stages.kwok_configuration(built_in=self._tools.stages, extra=extra)
        path = self._folder / f"kwok-{stages.digest(text)}.yaml"
        for old in self._folder.glob("kwok-*.yaml"):
            old.unlink()
        path.write_text(text)
        return path

    def _log(self, program: str) -> Path:
        return self._folder / "logs" / f"{program}.log"

    def _failure(self, program: str, what: str, *, log: str = "") -> LocalError:
        path = self._log(program)
        tail = log or processes.last_lines(path)
        return LocalError(f"{program}: {what}:\n{tail}\nThe whole log is in {path}.")


def find(folder: Path) -> list[psutil.Process]:
    """The processes of the plane whose files are in ``folder``."""
    return processes.find(folder, PROGRAMS)


def end(folder: Path, *, programs: Sequence[str] = PROGRAMS) -> list[str]:
    """End the processes of the plane in ``folder``, clients first; return their names."""
    running = processes.find(folder, programs)
    names = [processes.name_of(process) for process in running]
    by_name = {
        program: [process for process, name in zip(running, names, strict=True) if name == program]
        for program in PROGRAMS
    }
    clients = [process for program in PROGRAMS[2:] for process in by_name[program]]
    for group in (clients, by_name[API_SERVER], by_name[ETCD]):
        processes.end(group)
    return [program for program in PROGRAMS if by_name[program]]


def _environ() -> Mapping[str, str]:
    """As little as programs need: no proxy and no kubeconfig of the user's."""
    kept = ("HOME", "PATH", "TMPDIR", "LANG")
    return {name: os.environ[name] for name in kept if name in os.environ}
