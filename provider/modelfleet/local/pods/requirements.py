"""What a machine needs to run real pods, and what of it is missing. Changes nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelfleet.errors import ConfigError

CNI_PLUGINS: Final = Path("/usr/lib/cni")

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Requirement:
    """A file of a Debian package: a program by its name, or anything by its absolute path."""

    file: str
    package: str


REQUIREMENTS: Final = (
    Requirement("containerd", "containerd"),
    Requirement("runc", "runc"),
    Requirement(str(CNI_PLUGINS / "ptp"), "containernetworking-plugins"),
    Requirement("ip", "iproute2"),
    Requirement("nft", "nftables"),
    Requirement("conntrack", "conntrack"),
    Requirement("iptables", "iptables"),
    Requirement("nsenter", "util-linux"),
    Requirement("socat", "socat"),
    Requirement("openssl", "openssl"),
)
"""What runs nodes."""

BUILDERS: Final = (
    Requirement("debootstrap", "debootstrap"),
    Requirement("unshare", "util-linux"),
    Requirement("cmake", "cmake"),
    Requirement("cc", "gcc"),
    Requirement("c++", "g++"),
    Requirement("make", "make"),
)
"""What builds the images that run on them; not needed once they are in the cache."""


def program(name: str) -> str:
    """Return the path of a required program; as root, also where a user's PATH does not look."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_PATH}") or name


def packages() -> Sequence[str]:
    """Return the Debian packages that ``make setup-root`` installs."""
    return sorted({requirement.package for requirement in (*REQUIREMENTS, *BUILDERS)})


def lacking() -> str:
    """Return what this machine lacks to run real pods, as one sentence; empty if nothing."""
    if not sys.platform.startswith("linux"):
        return "real pods need Linux."
    if os.geteuid() != 0:
        return "real pods need root: a node is made of namespaces, mounts and cgroups."
    missing = {each.package for each in (*REQUIREMENTS, *_builders()) if not _is_there(each)}
    if missing:
        return f"real pods need {', '.join(sorted(missing))}: `make setup-root` installs them."
    return ""


def require_nothing_missing() -> None:
    """Raise ConfigError with what is lacking, if anything is."""
    if sentence := lacking():
        raise ConfigError(
            f"--pods: {sentence}",
            hint="Without --pods the cluster has fake nodes, which need neither root nor packages.",
        )


def _builders() -> Sequence[Requirement]:
    """Return what builds the images that are not in the cache yet."""
    # What describes images is checked with pydantic, which whoever asks from afar does not need.
    from modelfleet.local.images import missing_requirements

    missing = missing_requirements()
    return [each for each in BUILDERS if each.file in missing]


def _is_there(requirement: Requirement) -> bool:
    if requirement.file.startswith("/"):
        return Path(requirement.file).exists()
    return Path(program(requirement.file)).is_absolute()
