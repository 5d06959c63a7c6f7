"""What an image is, read from ``<name>/image.toml`` and the files beside it. Builds nothing.

An image's layer is made of, in this order, each part optional:

- ``debian``: a minimal root file system with packages; only for an image from no other,
- ``programs``: compiled here from a pinned source, by the path that each one gets,
- ``python``: pinned packages of Python, in a folder of their own,
- ``files``: copied from beside the description, by the path that each one gets.

A further image needs a folder with such a file, and no code.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelfleet.local.folders import platform_name
from modelfleet.local.images.debian import release
from modelfleet.local.images.keys import content_key
from modelfleet.local.images.sources import module_version

DESCRIPTIONS = Path(__file__).parent

RECIPE_VERSION = "2"
"""Part of an image's key: raise it when the same description comes to mean another archive."""

COMPILING_VERSION = "1"
"""Part of a program's key: raise it when the same description comes to mean another program."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Program(_Part):
    """One program, compiled in an empty folder.

    ``commands`` are run in order; ``{source}`` is the fetched source, ``{jobs}`` how many
    compilers may run at a time. ``result`` is where the program is then, in that folder.
    """

    go_module: str | None = None
    requirements: str | None = None
    commands: tuple[tuple[str, ...], ...] = Field(min_length=1)
    needs: tuple[str, ...] = ()
    result: str

    @model_validator(mode="after")
    def _has_one_source(self) -> Program:
        if (self.go_module is None) == (self.requirements is None):
            raise ValueError("needs one source: go_module, or the name of a requirements file")
        return self

    @property
    def required_programs(self) -> tuple[str, ...]:
        """What has to be on PATH to compile it."""
        return (*dict.fromkeys(command[0] for command in self.commands), *self.needs)


class Debian(_Part):
    """A minimal root file system, of the Debian or Ubuntu release that this machine runs.

    The same release, since what is compiled here has to find the libraries that it was linked to.
    """

    packages: tuple[str, ...] = ()


class Python(_Part):
    """Packages for the Python of the image below, installed into the folder ``to``.

    ``{version}`` in it is that Python's, such as ``3.11``: where Debian's Python looks for packages
    that are not Debian's is ``/usr/local/lib/python{version}/dist-packages``. Modules are started
    with ``python3 -m``: scripts are left out, since they name the Python that installed them.
    """

    requirements: str
    to: str


class Description(_Part):
    """One ``image.toml``. What is not said is as in the image that it is made ``from``."""

    names: tuple[str, ...] = Field(min_length=1)
    from_: str | None = Field(default=None, alias="from")
    entrypoint: tuple[str, ...] | None = None
    user: str | None = None
    port: int | None = None
    env: dict[str, str] = {}
    debian: Debian | None = None
    programs: dict[str, Program] = {}
    python: Python | None = None
    files: dict[str, str] = {}


@dataclass(frozen=True)
class Image:
    """A described image, with the one that it is made from."""

    folder: Path
    described: Description
    parent: Image | None

    @property
    def name(self) -> str:
        """Its short name, which is the name of its folder."""
        return self.folder.name

    @property
    def entrypoint(self) -> tuple[str, ...]:
        """The command that a container runs, its own or the parent's."""
        if self.described.entrypoint is None and self.parent:
            return self.parent.entrypoint
        return self.described.entrypoint or ()

    @property
    def user(self) -> str:
        """The user (``1000:1000``) that a container runs as; empty for root."""
        return self.described.user or (self.parent.user if self.parent else "")

    @property
    def env(self) -> dict[str, str]:
        """All variables, the parent's first."""
        return (self.parent.env if self.parent else {}) | self.described.env

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that it says it listens on."""
        below = self.parent.ports if self.parent else ()
        return below if self.described.port is None else (self.described.port,)

    @functools.cached_property
    def key(self) -> str:
        """Changes when anything does that decides what is in the image."""
        beside = [self.described.python.requirements] if self.described.python else []
        return content_key(
            RECIPE_VERSION,
            platform_name(),
            (self.folder / "image.toml").read_bytes(),
            release() if self.described.debian else "",
            self.parent.key if self.parent else "",
            *(program_key(self, program) for program in self.described.programs.values()),
            *((self.folder / name).read_bytes() for name in beside),
            *(_file_key(self.folder / name) for name in self.described.files.values()),
        )


def _file_key(path: Path) -> str:
    return content_key(path.read_bytes(), "program" if is_program(path) else "")


def is_program(path: Path) -> bool:
    """Whether a file beside a description is to be run, by the mode of its owner."""
    return bool(path.stat().st_mode & 0o100)


def program_key(image: Image, program: Program) -> str:
    """Changes when the source or the way to compile it does, but with nothing else of an image."""
    if program.requirements is not None:
        pin = (image.folder / program.requirements).read_bytes()
    else:
        pin = module_version(program.go_module or "").encode()
    # The release, since a program is linked to the libraries of this machine.
    return content_key(
        COMPILING_VERSION, platform_name(), release(), program.model_dump_json(), pin
    )


def described_images(folder: Path = DESCRIPTIONS) -> Sequence[Image]:
    """Return every image that is described in ``folder``, each behind the one it is made from.

    Raises ValueError for a description that is wrong, and LookupError for an unknown ``from``.
    """
    found: dict[str, Image] = {}

    def image(name: str) -> Image:
        if name not in found:
            path = folder / name / "image.toml"
            if not path.is_file():
                raise LookupError(f"no image {name!r} is described in {folder}")
            described = Description.model_validate(tomllib.loads(path.read_text()))
            parent = image(described.from_) if described.from_ else None
            found[name] = Image(path.parent, described, parent)
        return found[name]

    for name in _names(folder):
        image(name)
    return tuple(found.values())


def _names(folder: Path) -> Iterator[str]:
    return (path.parent.name for path in sorted(folder.glob("*/image.toml")))
