"""Fetches pinned source trees into the cache: a Go module, or a Python source distribution.

Neither comes from an address in this tree: Go and pip know where their packages are, and check
what they get against the pinned hashes. Nothing of a source distribution is run to get it, but
pip asks its build backend for the name and the version, which is why that is pinned beside it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from modelfleet.local.errors import LocalError
from modelfleet.local.go_compiler import find_go
from modelfleet.local.images.keys import content_key
from modelfleet.local.progress import Progress
from modelfleet.local.python_packages import installer
from modelfleet.local.toolchain import KUBERNETES, pinned_version
from modelfleet.local.whole import FETCH_HINT, Work, made_whole

_KIND = "sources"
_BACKENDS = Path(__file__).parent / "build-backends.txt"

LLAMA_CPP = Path(__file__).parent / "llama-cpp" / "llama-cpp-python.txt"
"""Pins the distribution that carries the whole tree of llama.cpp, in ``vendor/llama.cpp``."""


def pinned_distribution(requirements: str) -> tuple[str, str]:
    """Name and version of the one distribution that a requirements file pins.

    Raises LookupError when it pins none.
    """
    match = re.search(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", requirements, re.MULTILINE)
    if match is None:
        raise LookupError("the requirements file pins no distribution")
    return match[1], match[2]


def fetch_distribution(requirements: Path, *, progress: Progress) -> Path:
    """Return the unpacked source distribution that ``requirements`` pins with its hash.

    Raises LocalError when it cannot be downloaded.
    """
    name, version = pinned_distribution(requirements.read_text())

    def make(work: Work) -> None:
        with tempfile.TemporaryDirectory(dir=work.part.parent) as folder:
            archive = _download(requirements, folder=Path(folder), work=work)
            unpacked = Path(folder) / "unpacked"
            with tarfile.open(archive) as packed:
                packed.extractall(unpacked, filter="data")
            (tree,) = unpacked.iterdir()
            work.part.rmdir()
            tree.rename(work.part)

    return made_whole(
        _KIND,
        name=name,
        key=f"{version}-{_key(requirements)}",
        title=f"Fetching the source of {name} {version}",
        progress=progress,
        make=make,
    )


def _key(requirements: Path) -> str:
    return content_key(requirements.read_bytes())


def _download(requirements: Path, *, folder: Path, work: Work) -> Path:
    """Let pip download the distribution; return its archive."""
    backends, downloads = folder / "backends", folder / "downloads"
    checked = ["--no-deps", "--require-hashes", "-r"]
    work.run(
        [*installer(), "--target", str(backends), *checked, str(_BACKENDS)],
        hint=FETCH_HINT,
    )
    unbuilt = ["--no-binary", ":all:", "--no-build-isolation", "--dest", str(downloads)]
    work.run(
        [sys.executable, "-m", "pip", "download", *unbuilt, *checked, str(requirements)],
        # Where pip and the backend are: not every environment of a user has a pip.
        environ={"PYTHONPATH": str(backends), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        hint=FETCH_HINT,
    )
    (archive,) = downloads.iterdir()
    return archive


def module_version(module: str) -> str:
    """The version of a Go module that the plane's own programs are pinned to."""
    return pinned_version((KUBERNETES.pins / "go.mod").read_text(), module=module)


def fetch_module(module: str, *, progress: Progress) -> Path:
    """Return the folder of a Go module, at the version of the plane's own programs.

    Raises LocalError when there is no Go, or the module cannot be downloaded.
    """
    compiler = find_go(progress=progress)
    with tempfile.TemporaryDirectory() as folder:
        # A copy, since Go may add to the files beside the pins.
        shutil.copytree(KUBERNETES.pins, folder, dirs_exist_ok=True)
        reply = subprocess.run(
            [str(compiler), "mod", "download", "-json", module],
            cwd=folder,
            env={**os.environ, "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=False,
        )
    if reply.returncode != 0:
        raise LocalError(
            f"{module} {module_version(module)}: downloading it failed:\n"
            f"{reply.stderr or reply.stdout}",
            hint="Check the network, or GOPROXY, and run it again.",
        )
    return Path(json.loads(reply.stdout)["Dir"])
