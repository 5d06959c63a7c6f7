"""AgentRun's own SDK, unmodified, in an environment of its own: nothing of this project is in it.

Its packages are installed once into the user's cache, as tests/agentrun_sdk.lock pins them. Some
have no wheel: they are built, with what the same list pins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from modelfleet.local.folders import platform_name
from modelfleet.local.images.keys import content_key
from modelfleet.local.images.packages import own_version
from modelfleet.local.progress import Progress
from modelfleet.local.python_packages import installer
from modelfleet.local.whole import FETCH_HINT, Work, made_whole

LOCK: Final = Path(__file__).with_name("agentrun_sdk.lock")
VERSION: Final = "0.0.54"

_KEPT: Final = ("PATH", "LANG", "HOME")


def sdk_command(script: Path, *arguments: str) -> list[str]:
    """Return the command that runs a program with AgentRun's SDK and the standard library alone."""
    return [sys.executable, "-S", "-P", str(script), *arguments]


def sdk_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return all variables of such a program; ``settings`` come last.

    Installs the SDK into the user's cache if it is not there. Raises LocalError if it cannot.
    """
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "PYTHONPATH": str(sdk_packages()),
        "DISABLE_BREAKING_CHANGES_WARNING": "1",
        # Else LiteLLM asks the Internet for prices when it is imported.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        **settings,
    }


def sdk_packages() -> Path:
    """Return the folder with AgentRun's SDK and everything that it needs, for this Python."""
    version = own_version()
    return made_whole(
        "packages",
        name=f"agentrun-sdk-{version}",
        key=content_key(VERSION, platform_name(), version, LOCK.read_bytes()),
        title=f"Installing AgentRun's SDK for Python {version}",
        progress=Progress(),
        make=_install,
    )


def _install(work: Work) -> None:
    work.run(
        [
            *installer(),
            *("--target", str(work.part), "--no-deps", "--require-hashes"),
            *("--build-constraints", str(LOCK), "-r", str(LOCK)),
        ],
        # Files of our own, not links to those of uv's cache, which other environments share.
        environ={"UV_LINK_MODE": "copy"},
        hint=FETCH_HINT,
    )
