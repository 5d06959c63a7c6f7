"""What a shell or a child process needs to use a plane by hand. Pure."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from modelfleet.local.folders import STATE_VARIABLE

# Protects nothing: state and stack live in this folder, and are thrown away with it. One and the
# same everywhere, since the Pulumi.<stack>.yaml of a project is read with it by every checkout.
PASSPHRASE = "modelfleet-local"  # noqa: S105 - no secret

PARALLEL = 64

_WHY = {
    "PULUMI_PARALLEL": (
        "services are mostly waited for, so many at a time cost little; Pulumi's own default"
        " is a few per core"
    ),
    "PULUMI_CONFIG_PASSPHRASE": "no secret: it protects throwaway local state only",
}


def environment(state: Path, *, path: str) -> dict[str, str]:
    """Variables by name; ``path`` is the PATH that the plane's programs are put in front of."""
    folders = [str(state / "bin")]
    if sys.prefix != sys.base_prefix:
        # Pulumi starts `python3` from PATH, which has to be the one that has modelfleet.
        folders.append(str(Path(sys.prefix) / "bin"))
    others = [folder for folder in path.split(":") if folder not in folders]
    return {
        "PATH": ":".join([*folders, *others]),
        "KUBECONFIG": str(state / "plane" / "kubeconfig"),
        "PULUMI_HOME": str(state / "pulumi-home"),
        "PULUMI_BACKEND_URL": f"file://{state}/pulumi-state",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_PARALLEL": str(PARALLEL),
        STATE_VARIABLE: str(state),
    }


def shell_exports(variables: Mapping[str, str]) -> str:
    """The variables as commands for a POSIX shell, with the reason behind what needs one."""
    lines = []
    for name, value in variables.items():
        if name in _WHY:
            lines.append(f"# {_WHY[name]}")
        lines.append(f"export {name}={shlex.quote(value)}")
    return "\n".join(lines)
