"""Builds one tool family into the cache: once, whole or not at all.

A build happens in a temporary folder beside its target, which gets its name when everything is
in it; a lock keeps two builders of one family apart, and the kernel drops it with its holder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from modelfleet.local.errors import LocalError
from modelfleet.local.folders import cache_folder
from modelfleet.local.go_compiler import find_go
from modelfleet.local.locks import exclusive
from modelfleet.local.processes import last_lines
from modelfleet.local.progress import Progress, Step
from modelfleet.local.toolchain import Family

_NETWORK_TROUBLE = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|network is unreachable"
    r"|TLS handshake timeout|proxyconnect|temporary failure in name resolution"
    r"|module lookup disabled by GOPROXY=off",
    re.IGNORECASE,
)


def built_folder(family: Family) -> Path:
    """Where the family's build is, or will be."""
    return cache_folder() / "tools" / family.cache_key


def is_built(family: Family) -> bool:
    """Whether nothing has to be built: a folder has this name only when it is complete."""
    return built_folder(family).is_dir()


def build(family: Family, *, progress: Progress, place: str = "") -> Path:
    """Build ``family`` unless it is in the cache, and return its folder.

    ``place`` is shown behind the title, such as ``(2 of 5)``. Raises LocalError with the end of
    the log when it fails.
    """
    for companion in family.beside:
        build(companion, progress=progress)
    target = built_folder(family)
    title = f"Building {family.name} {family.version} {place}".rstrip()

    def say_who_waits() -> None:
        progress.say(f"{title}: waiting for another build of it to finish …")

    # One lock per family, whatever the version, so that a part found under it belongs to nobody.
    with exclusive(target.parent / f"{family.name}.lock", on_wait=say_who_waits):
        for abandoned in target.parent.glob(f".{family.name}.part-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        if not is_built(family):
            compiler = find_go(progress=progress)
            with progress.step(title) as step:
                _build_whole(family, target=target, compiler=compiler, step=step)
    return target


def _build_whole(family: Family, *, target: Path, compiler: Path, step: Step) -> None:
    log = cache_folder() / "logs" / f"{family.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{family.name}.part-", dir=target.parent) as folder:
        module = Path(folder) / "module"
        shutil.copytree(family.pins, module)
        part = Path(folder) / "part"
        (part / "bin").mkdir(parents=True)
        with log.open("w") as output:
            go = _Go(compiler, folder=module, output=output)
            try:
                _compile(family, go=go, binaries=part / "bin", step=step)
                _copy_files(family, go=go, target=part)
            except subprocess.CalledProcessError:
                raise _failure(family, log=log) from None
        for companion in family.beside:
            shutil.copytree(built_folder(companion) / "bin", part / "bin", dirs_exist_ok=True)
        part.rename(target)


def _compile(family: Family, *, go: _Go, binaries: Path, step: Step) -> None:
    """Download, compile and link all programs of the family."""
    packages = list(family.packages.values())
    modules = go.folder.joinpath("go.mod").read_text().count("\n\t")

    def downloaded(count: int) -> None:
        step.advance(count, of=modules, unit="modules downloaded")

    listed = go.run("list", "-mod=readonly", "-deps", *packages, on_line=downloaded)

    def compiled(count: int) -> None:
        step.advance(count, of=len(listed.split()), unit="packages compiled")

    flags = ["-v", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    go.run(
        *("build", *flags, "-ldflags", family.linker_flags, "-o", f"{binaries}/", *packages),
        on_line=compiled,
    )
    for program, package in family.packages.items():
        (binaries / binary_name(package)).rename(binaries / program)


def binary_name(package: str) -> str:
    """What Go calls the program of a package: its last path element that is not a version."""
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]


def _copy_files(family: Family, *, go: _Go, target: Path) -> None:
    """Copy the family's scripts and data out of the downloaded modules."""
    for file in family.files:
        module = json.loads(go.run("mod", "download", "-json", file.module))
        path = target / file.target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(module["Dir"]) / file.path, path)
        path.chmod(file.mode)


def _failure(family: Family, *, log: Path) -> LocalError:
    end = last_lines(log)
    hint = "If it says nothing to you, please report it with the log."
    if _NETWORK_TROUBLE.search(end):
        hint = (
            "Go modules could not be downloaded: check the network, or GOPROXY, and run it again."
        )
    return LocalError(
        f"{family.name} {family.version}: building it failed:\n{end}\nThe whole log is in {log}.",
        hint=hint,
    )


class _Go:
    """Runs Go commands in one folder; what they print as they go is written to ``output``."""

    def __init__(self, compiler: Path, *, folder: Path, output: IO[str]) -> None:
        self.folder = folder
        self._compiler = compiler
        self._output = output
        self._environ = {
            **os.environ,
            "CGO_ENABLED": "0",  # static programs, and no C compiler needed
            "GO111MODULE": "on",
            "GOFLAGS": "",  # a user's own flags, such as -mod=vendor, are not meant for these
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }

    def run(self, *arguments: str, on_line: Callable[[int], None] = lambda _: None) -> str:
        """Run a command and return its standard output; ``on_line`` counts its messages.

        Raises CalledProcessError when it fails.
        """
        command = [str(self._compiler), *arguments]
        with (
            tempfile.TemporaryFile("w+") as result,
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environ,
                stdout=result,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            for number, line in enumerate(process.stderr or (), start=1):
                self._output.write(line)
                self._output.flush()
                on_line(number)
            if process.wait() != 0:
                raise subprocess.CalledProcessError(process.returncode, command)
            result.seek(0)
            return result.read()
