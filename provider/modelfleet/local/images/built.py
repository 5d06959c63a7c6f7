"""Builds the described images into the cache, and says what this machine lacks to do so."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelfleet.local.errors import LocalError
from modelfleet.local.images.archive import Config, entries_of, write_archive
from modelfleet.local.images.debian import NEEDS as DEBIAN_NEEDS
from modelfleet.local.images.debian import make_root_filesystem
from modelfleet.local.images.description import Image, described_images, is_program
from modelfleet.local.images.keys import architecture
from modelfleet.local.images.packages import installed_packages
from modelfleet.local.images.programs import compiled_program, required_programs
from modelfleet.local.progress import Progress
from modelfleet.local.whole import Work, made_whole, search_path, whole_folder

_KIND = "images"
_ARCHIVE = "image.tar"


@dataclass(frozen=True)
class BuiltImage:
    """An image in the cache: import ``archive`` and it is there under all of ``names``.

    It has no layers of the image that it is made from, so that one is imported before.
    ``key`` changes exactly when the content does, so that a node need not import it twice.
    """

    name: str
    names: tuple[str, ...]
    archive: Path
    key: str


def built_images(
    *, progress: Progress | None = None, images: Sequence[Image] | None = None
) -> Sequence[BuiltImage]:
    """Return every described image, built unless it is in the cache; parents come first.

    Raises LocalError naming the image that could not be built. Ask ``missing_requirements`` before.
    """
    progress = progress or Progress()
    return tuple(
        BuiltImage(image.name, image.described.names, _build(image, progress=progress), image.key)
        for image in (described_images() if images is None else images)
    )


def pause_program(*, progress: Progress | None = None) -> Path:
    """Return the static program that waits for a signal, and buries what nobody else does."""
    (pause,) = (image for image in described_images() if image.name == "pause")
    return compiled_program(pause, "/pause", progress=progress or Progress())


def missing_requirements(images: Sequence[Image] | None = None) -> Sequence[str]:
    """Return what this machine lacks to build what is not in the cache, in a fixed order.

    Each is the name of a program that is not on PATH, or ``root``; nothing when all is built.
    """
    found: dict[str, None] = {}
    for image in described_images() if images is None else images:
        if not archive_path(image).is_file():
            found |= dict.fromkeys(_missing(image))
    return tuple(found)


def _missing(image: Image) -> Iterator[str]:
    needed = [name for path in image.described.programs for name in required_programs(image, path)]
    if image.described.debian:
        if os.geteuid() != 0:
            yield "root"
        needed += DEBIAN_NEEDS
    yield from (name for name in needed if shutil.which(name, path=search_path()) is None)


def archive_path(image: Image) -> Path:
    """Where the image's archive is, or will be."""
    return whole_folder(_KIND, name=image.name, key=image.key) / _ARCHIVE


def _build(image: Image, *, progress: Progress) -> Path:
    """Build one image whose parent is built; return its archive."""
    if archive_path(image).is_file():
        return archive_path(image)
    programs = {
        path: compiled_program(image, path, progress=progress) for path in image.described.programs
    }
    python_folders = _python_folders(image, progress=progress)

    def make(work: Work) -> None:
        tree = work.part / "tree"
        tree.mkdir()
        if image.described.debian:
            make_root_filesystem(tree, packages=image.described.debian.packages, work=work)
        for path, folder in python_folders.items():
            # Links: the files are only read, and that twice as many would be there for a moment.
            shutil.copytree(folder, tree / path.lstrip("/"), copy_function=os.link)
        beside = {path: image.folder / name for path, name in image.described.files.items()}
        for path, file in (programs | beside).items():
            _place(file, tree / path.lstrip("/"))
        write_archive(
            work.part / _ARCHIVE,
            tree=tree,
            keep_owners=image.described.debian is not None,
            parent=archive_path(image.parent) if image.parent else None,
            names=image.described.names,
            config=Config(image.entrypoint, image.user, image.env, image.ports),
            architecture=architecture(),
        )
        shutil.rmtree(tree)

    made_whole(
        _KIND,
        name=image.name,
        key=image.key,
        title=f"Building the image {image.name}",
        progress=progress,
        make=make,
    )
    return archive_path(image)


def _place(file: Path, target: Path) -> None:
    """Copy a file for everybody to read, and to run if its owner may run it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    target.chmod(0o755 if is_program(file) else 0o644)


def _python_folders(image: Image, *, progress: Progress) -> Mapping[str, Path]:
    """The folder of packages, by where the image has it, for the Python of the image below."""
    python = image.described.python
    if python is None:
        return {}
    version = python_version(image.parent) if image.parent else None
    if version is None:
        raise LocalError(f"images: {image.name} has packages of Python, but no Python below it.")
    folder = installed_packages(
        image.name,
        requirements=image.folder / python.requirements,
        version=version,
        progress=progress,
    )
    return {python.to.format(version=version): folder}


def python_version(image: Image) -> str | None:
    """The version, such as ``3.11``, of the Python in a built image; None when it has none."""
    for entry in entries_of(archive_path(image)):
        if entry.name == "usr/bin/python3" and entry.issym():
            return re.sub(r".*python", "", entry.linkname)
    return python_version(image.parent) if image.parent else None
