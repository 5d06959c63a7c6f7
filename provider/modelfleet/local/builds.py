"""Builds one tool family into the cache, from its pinned Go module."""

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

from modelfleet.local.go_compiler import find_go
from modelfleet.local.processes import last_lines
from modelfleet.local.progress import Progress, Step
from modelfleet.local.toolchain import Family
from modelfleet.local.whole import Work, made_whole, whole_folder

_KIND = "tools"

_NETWORK_TROUBLE = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|network is unreachable"
    r"|TLS handshake timeout|proxyconnect|temporary failure in name resolution"
    r"|module lookup disabled by GOPROXY=off",
    re.IGNORECASE,
)


def built_folder(family: Family) -> Path:
    """Where the family's build is, or will be."""
    return whole_folder(_KIND, name=family.name, key=family.cache_key)


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
    if is_built(family):
        return built_folder(family)
    compiler = find_go(progress=progress)
    return made_whole(
        _KIND,
        name=family.name,
        key=family.cache_key,
        title=f"Building {family.name} {family.version} {place}".rstrip(),
        progress=progress,
        make=lambda work: _make(family, work=work, compiler=compiler),
    )


def _make(family: Family, *, work: Work, compiler: Path) -> None:
    binaries = work.part / "bin"
    binaries.mkdir()
    with tempfile.TemporaryDirectory() as folder, work.log.open("w") as output:
        module = Path(folder) / "module"
        shutil.copytree(family.pins, module)
        go = _Go(compiler, folder=module, output=output)
        try:
            _compile(family, go=go, binaries=binaries, step=work.step)
            _copy_files(family, go=go, target=work.part)
        except subprocess.CalledProcessError:
            work.fail(_hint(last_lines(work.log)))
    for companion in family.beside:
        shutil.copytree(built_folder(companion) / "bin", binaries, dirs_exist_ok=True)


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


def _hint(said: str) -> str:
    """Return what to do about a failure that ended with ``said``, if there is anything to say."""
    if _NETWORK_TROUBLE.search(said):
        return (
            "Go modules could not be downloaded: check the network, or GOPROXY, and run it again."
        )
    return ""


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
