"""The cgroup subtree that a plane's pods are in: made before nodes start, removed after them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mounts")
_CPUSET: Final = ("cpuset.cpus", "cpuset.mems")
_REMOVE_SECONDS: Final = 60.0


def make(name: str) -> None:
    """Make the cgroup ``name``, such as ``mfleet0/pods-0``, in every hierarchy."""
    for root in _hierarchies():
        folder = root
        for part in Path(name).parts:
            _pass_on(folder)
            folder /= part
            folder.mkdir(exist_ok=True)
            _inherit_cpuset(folder)


def remove(name: str) -> None:
    """Remove the cgroup ``name`` and all below it; nothing runs in it any more."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while [root for root in _hierarchies() if not _removed(root / name)]:
        if time.monotonic() > deadline:
            return  # something was moved into it by hand; the next end tries again
        time.sleep(0.1)


def exists(name: str) -> bool:
    """Return whether any hierarchy has the cgroup ``name``."""
    return any((root / name).exists() for root in _hierarchies())


def _hierarchies() -> Iterator[Path]:
    for line in _MOUNTS.read_text().splitlines():
        _, place, kind, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            yield Path(place)


def _pass_on(folder: Path) -> None:
    """In a unified hierarchy, let the children of ``folder`` have every controller it has."""
    control = folder / "cgroup.subtree_control"
    if control.exists():
        for controller in (folder / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # one that is in use elsewhere; kubelets need few
                control.write_text(f"+{controller}")


def _inherit_cpuset(folder: Path) -> None:
    """In a cpuset hierarchy, let ``folder`` use what its parent may: a new one may use nothing."""
    for name in _CPUSET:
        file = folder / name
        if file.exists() and not file.read_text().strip():
            value = (folder.parent / name).read_text().strip()
            if value:
                file.write_text(value)


def _removed(folder: Path) -> bool:
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            Path(path).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return not folder.exists()
