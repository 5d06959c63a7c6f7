"""Where things live on this machine: the cache every checkout shares, and one plane's state.

Pure but for reading the environment and looking for a project's root; creates nothing.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from modelfleet.errors import ConfigError

STATE_VARIABLE = "MODELFLEET_STATE"

_ROOT_MARKERS = ("Pulumi.yaml", ".git")


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's cache of built tools, shared by all checkouts: ``~/.cache/modelfleet``."""
    base = environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "modelfleet"


def default_state_folder(start: Path, *, environ: Mapping[str, str] = os.environ) -> Path:
    """``$MODELFLEET_STATE``, else ``.modelfleet`` at the root of the project around ``start``.

    The root is the nearest folder upwards with a ``Pulumi.yaml`` or a ``.git``, else ``start``.
    """
    if named := environ.get(STATE_VARIABLE):
        return Path(named)
    start = start.resolve()
    for folder in (start, *start.parents):
        if any((folder / marker).exists() for marker in _ROOT_MARKERS):
            return folder / ".modelfleet"
    return start / ".modelfleet"


def platform_name() -> str:
    """Operating system and processor, such as ``linux-x86_64``: binaries of one suit no other."""
    return f"{platform.system()}-{platform.machine()}".lower()


def require_supported_platform() -> None:
    """Raise ConfigError on a system the control plane does not run on."""
    if not sys.platform.startswith(("linux", "darwin")):
        raise ConfigError(
            f"modelfleet local runs on Linux and macOS, not on {platform.system()}.",
            hint="On Windows, use it inside WSL; everything else works with your own cluster.",
        )
