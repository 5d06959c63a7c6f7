"""A containerd's folder that has every image, made once per machine: new nodes begin with a copy.

An import streams each image through two processes that both hash it, which for every new node of
every plane took longer than all else together. Only what nodes do not begin with is imported.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelfleet.local.pods import commands
from modelfleet.local.pods.requirements import program
from modelfleet.local.progress import Progress
from modelfleet.local.stages import digest
from modelfleet.local.whole import Work, made_whole

if TYPE_CHECKING:
    from modelfleet.local.images import BuiltImage

CONTENT: Final = "io.containerd.content.v1.content"
METADATA: Final = "io.containerd.metadata.v1.bolt"

_KIND: Final = "image-stores"
_CONFIGURATION: Final = """version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = "{socket}"
"""


def ctr(socket: str) -> list[str]:
    """Return what every command of containerd's client begins with, for the kubelet's images."""
    return [program("ctr"), f"--address={socket}", "--namespace=k8s.io"]


def import_command(socket: str, archive: Path) -> list[str]:
    """Return what imports an image; a layer is unpacked when the first container needs it."""
    return [*ctr(socket), "images", "import", "--no-unpack", str(archive)]


def image_store(images: Sequence[BuiltImage], *, progress: Progress) -> Path:
    """Return the folder, made unless it is in the cache. Raises LocalError when it cannot be."""
    version = subprocess.run(
        [program("containerd"), "--version"], capture_output=True, text=True, check=False
    )
    key = digest("\n".join([version.stdout, *(image.key for image in images)]))

    def make(work: Work) -> None:
        with _containerd(work.part, work=work) as socket:
            for image in images:
                work.run(import_command(socket, image.archive))
        for entry in work.part.iterdir():
            if entry.name not in {CONTENT, METADATA}:
                shutil.rmtree(entry)

    title = "Importing the images"
    return made_whole(_KIND, name="images", key=key, title=title, progress=progress, make=make)


def begin_with(store: Path, root: Path) -> bool:
    """Fill ``root``, a node's folder of containerd, unless it is there; return whether it was not.

    What images consist of is linked: nobody ever changes it in place, and the last one to have it
    takes it along.
    """
    if root.exists():
        return False
    part = root.with_name(f"{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(store / CONTENT, part / CONTENT, copy_function=_link_or_copy)
    shutil.copytree(store / METADATA, part / METADATA)
    part.rename(root)
    return True


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system, or one without links
        shutil.copy2(source, target)


@contextmanager
def _containerd(root: Path, *, work: Work) -> Iterator[str]:
    """Run a containerd on ``root`` that runs nothing itself; gives its socket."""
    with tempfile.TemporaryDirectory(prefix="modelfleet-") as state:  # paths of sockets are short
        socket = f"{state}/containerd.sock"
        configuration = Path(state) / "containerd.toml"
        configuration.write_text(_CONFIGURATION.format(root=root, state=state, socket=socket))
        with (
            work.log.open("a") as log,
            subprocess.Popen(
                [program("containerd"), f"--config={configuration}"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=commands.environ(),
            ) as process,
        ):
            try:
                if not commands.wait_until(lambda: commands.succeeds([*ctr(socket), "version"])):
                    work.fail()
                yield socket
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=20)
                process.kill()
