"""All tools at once: which are there, which are built, and from where each one is used."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelfleet.local.builds import build, built_folder, is_built
from modelfleet.local.folders import cache_folder, require_supported_platform
from modelfleet.local.progress import Progress
from modelfleet.local.toolchain import (
    FAMILIES,
    KWOK,
    NODE_FAMILIES,
    Family,
    fits,
)


@dataclass(frozen=True)
class Tools:
    """Every program by name, with the folder of KWOK's stage files."""

    programs: Mapping[str, Path]
    stages: Path

    @property
    def own(self) -> frozenset[str]:
        """Names of the programs that are the user's own, found on PATH."""
        cache = cache_folder().resolve()
        return frozenset(
            name for name, path in self.programs.items() if cache not in path.resolve().parents
        )


def install_tools(*, progress: Progress | None = None, pods: bool = False) -> Tools:
    """Find or build every tool; returns at once when all are there.

    A family whose programs are all on PATH in a version that fits is used from there; the others
    are built into the user's cache folder. With ``pods``, also what runs on real nodes. Raises
    LocalError naming the tool that failed.
    """
    require_supported_platform()
    progress = progress or Progress()
    programs: dict[str, Path] = {}
    to_build: list[Family] = []
    own = own_programs()
    for family in (*FAMILIES, *(NODE_FAMILIES if pods else ())):
        if set(family.programs) <= own.keys():
            programs |= {name: own[name] for name in family.programs}
        else:
            programs |= {name: built_folder(family) / "bin" / name for name in family.programs}
            if not is_built(family):
                to_build.append(family)
    for number, family in enumerate(to_build, start=1):
        build(family, progress=progress, place=f"({number} of {len(to_build)})")
    return Tools(programs, stages=built_folder(KWOK) / "stages")


def own_programs() -> dict[str, Path]:
    """Programs on PATH that can be used instead of building them, by name.

    Families are taken whole: a control plane of two versions helps nobody, and Pulumi wants the
    Python language host that it came with.
    """
    found: dict[str, Path] = {}
    for family in FAMILIES:
        paths = {name: path for name in family.programs if (path := _on_path(name))}
        is_whole = len(paths) == len(family.programs)
        if is_whole and family.own_version and _version_fits(family, paths):
            found |= paths
    return found


def _on_path(name: str) -> Path | None:
    """A program on PATH that we did not build ourselves (our shells have ours on PATH, too)."""
    path = shutil.which(name)
    if path is None or cache_folder().resolve() in Path(path).resolve().parents:
        return None
    return Path(path)


def _version_fits(family: Family, paths: Mapping[str, Path]) -> bool:
    program, *arguments = family.own_version
    try:
        reply = subprocess.run(
            [str(paths[program]), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return fits(reply.stdout, family=family)
