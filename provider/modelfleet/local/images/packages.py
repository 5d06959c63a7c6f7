"""Installs pinned packages of Python into a folder of the cache, once, for images and for tests."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from modelfleet.local.folders import platform_name
from modelfleet.local.images.keys import content_key
from modelfleet.local.progress import Progress
from modelfleet.local.python_packages import installer
from modelfleet.local.whole import FETCH_HINT, Work, made_whole, search_path

RECIPE_VERSION = "1"
"""Part of the key: raise it when the same list comes to mean other files."""

LITELLM = Path(__file__).parent / "litellm" / "packages.txt"
"""Pins LiteLLM's proxy and all that it needs."""

_KIND = "packages"

# What only says who installed a package, when, and from where.
_OF_THE_INSTALLER = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json")


def litellm_packages(*, progress: Progress | None = None) -> Path:
    """Return the folder of the very packages that the image ``litellm`` has, for this Python.

    To be put on ``PYTHONPATH`` of a Python of the same version as the one that runs this. Raises
    LocalError when they cannot be downloaded, or there is no wheel of one for this Python.
    """
    return installed_packages(
        "litellm", requirements=LITELLM, version=own_version(), progress=progress or Progress()
    )


def own_version() -> str:
    """The version, such as ``3.11``, of the Python that runs this."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def packages_key(requirements: Path, *, version: str) -> str:
    """Changes when what is installed from ``requirements`` for that Python does."""
    return content_key(RECIPE_VERSION, platform_name(), version, requirements.read_bytes())


def installed_packages(name: str, *, requirements: Path, version: str, progress: Progress) -> Path:
    """Return a folder with every package of the list, for a Python of ``version`` (``3.11``).

    The list is complete, pins versions and hashes, and every package has a wheel: nothing is built
    and nothing else is looked up. Byte code is beside the sources where this machine has such a
    Python. Raises LocalError when something cannot be downloaded.
    """

    def make(work: Work) -> None:
        _install(requirements, target=work.part, version=version, work=work)
        _clean(work.part)
        _compile(work.part, version=version, work=work)
        work.part.chmod(0o755)

    return made_whole(
        _KIND,
        name=f"{name}-{version}",
        key=packages_key(requirements, version=version),
        title=f"Installing {name} for Python {version}",
        progress=progress,
        make=make,
    )


def _install(requirements: Path, *, target: Path, version: str, work: Work) -> None:
    wheels = ["--python-version", version, "--only-binary", ":all:", "--no-deps"]
    pinned = ["--require-hashes", "-r", str(requirements)]
    work.run(
        [*installer(), "--target", str(target), *wheels, *pinned],
        # Files of our own, not links to those of uv's cache, which other environments share.
        environ={"UV_LINK_MODE": "copy"},
        hint=FETCH_HINT,
    )


def _clean(folder: Path) -> None:
    """Take out what depends on who installs: scripts name a Python of this machine."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for cache in [*folder.rglob("__pycache__")]:
        shutil.rmtree(cache)
    for name in _OF_THE_INSTALLER:
        for path in folder.glob(f"*.dist-info/{name}"):
            path.unlink()
    (folder / ".lock").unlink(missing_ok=True)


def _compile(folder: Path, *, version: str, work: Work) -> None:
    """Write byte code that holds no times and no folder of this machine.

    Where it is used nobody may write any, and compiling takes longer than all else of a start.
    """
    python = _python(version)
    if python is None:
        return
    compileall = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    work.run(
        [python, *compileall, "-s", str(folder), "-p", "/", str(folder)],
        environ={"PYTHONHASHSEED": "0"},
    )


def _python(version: str) -> str | None:
    """A Python of this version on this machine, if there is one."""
    if version == own_version():
        return sys.executable
    return shutil.which(f"python{version}", path=search_path())
