"""An image of modelfleet itself: what the Dockerfile of docs/http-api.md makes, without a registry.

The wheel of this checkout and the locked packages that it needs, none of those that developing it
takes, on the small Debian that other images are made from too. No plane has it but that of a test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from modelfleet.local import Plane
from modelfleet.local.folders import cache_folder
from modelfleet.local.images import built_images
from modelfleet.local.images.archive import Config, write_archive
from modelfleet.local.images.built import python_version
from modelfleet.local.images.description import described_images
from modelfleet.local.images.keys import architecture
from modelfleet.local.images.packages import installed_packages
from modelfleet.local.pods import commands, real_nodes
from modelfleet.local.pods.components import inside
from modelfleet.local.pods.configuration import CONTAINERD_SOCKET
from modelfleet.local.pods.requirements import program
from modelfleet.local.progress import Progress
from modelfleet.local.python_packages import installer

IMAGE: Final = "modelfleet.local/modelfleet:tests"

_CHECKOUT: Final = Path(__file__).parents[3]
_LOCK: Final = _CHECKOUT / "requirements.lock"
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==.*(?:\n[ \t]+--hash=.*)+", re.MULTILINE)
_SCRIPT: Final = """\
#!/usr/bin/python3
import sys
from modelfleet.main import main
sys.exit(main())
"""


def give_image(plane: Plane) -> None:
    """Build it, and have both real nodes of the plane know it as ``IMAGE``."""
    # Nodes have a /tmp of their own, where a checkout may be, and see the cache.
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        archive = Path(folder) / "image.tar"
        _write(archive, work=Path(folder))
        inits = real_nodes.pids(plane.state_folder / "plane")
        ctr = [program("ctr"), f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io"]
        command = [*ctr, "images", "import", "--no-unpack", str(archive)]

        def give(node: str) -> None:
            commands.run(inside(inits[f"{node}/{real_nodes.INIT}"], command))

        with ThreadPoolExecutor() as pool:
            list(pool.map(give, real_nodes.NAMES))


def runtime_requirements() -> str:
    """Return what the lock pins of all that the package needs to run, with its hashes."""
    needed = set(_needed("modelfleet", frozenset(), set()))
    pinned = {
        canonicalize_name(match[1]): match[0] for match in _PINNED.finditer(_LOCK.read_text())
    }
    return "".join(f"{pinned[name]}\n" for name in sorted(needed))


def _needed(
    name: str, extras: frozenset[str], known: set[tuple[str, frozenset[str]]]
) -> Iterator[str]:
    """Yield the packages that a package of this environment needs with these extras, and so on."""
    for text in requires(name) or ():
        needed = Requirement(text)
        marker, key = needed.marker, (canonicalize_name(needed.name), frozenset(needed.extras))
        is_meant = marker is None or any(marker.evaluate({"extra": e}) for e in ("", *extras))
        if is_meant and key not in known:
            known.add(key)
            yield key[0]
            yield from _needed(*key, known)


def _write(archive: Path, *, work: Path) -> None:
    (base,) = (image for image in described_images() if image.name == "base")
    (built,) = built_images(images=[base])
    version = python_version(base) or ""
    requirements = work / "requirements.txt"
    requirements.write_text(runtime_requirements())
    packages = installed_packages(
        "modelfleet", requirements=requirements, version=version, progress=Progress()
    )
    site = work / "tree" / f"usr/local/lib/python{version}/dist-packages"
    shutil.copytree(packages, site)
    _run(*installer(), "--target", str(site), "--no-deps", str(_wheel(work / "dist")))
    shutil.rmtree(site / "bin")  # names a Python of this machine
    script = work / "tree/usr/local/bin/modelfleet"
    script.parent.mkdir(parents=True)
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    write_archive(
        archive,
        tree=work / "tree",
        keep_owners=False,
        parent=built.archive,
        names=[IMAGE],
        config=Config(("modelfleet",), "2000", base.env),
        architecture=architecture(),
    )


def _wheel(folder: Path) -> Path:
    uv = str(Path(sys.executable).with_name("uv"))
    offline = ["--no-build-isolation", "--python", sys.executable]
    _run(uv, "build", "--wheel", *offline, "--out-dir", str(folder), str(_CHECKOUT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def _run(*command: str) -> None:
    environ = {**os.environ, "UV_LINK_MODE": "copy"}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}:\n{ended.stdout}{ended.stderr}"
