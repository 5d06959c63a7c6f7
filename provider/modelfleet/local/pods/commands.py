"""Runs short commands to their end, and waits for conditions, for whoever makes nodes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final

from modelfleet.local.errors import LocalError

_START_SECONDS: Final = 180.0  # on a machine that is busy, or slow


def run(command: Sequence[str]) -> None:
    """Run ``command``. Raises LocalError with what it printed when it fails."""
    reply = subprocess.run(command, capture_output=True, text=True, check=False, env=environ())
    if reply.returncode != 0:
        said = (reply.stderr or reply.stdout).strip()
        raise LocalError(f"real nodes: `{' '.join(command)}` failed: {said}")


def succeeds(command: Sequence[str]) -> bool:
    """Run ``command``, and return whether it succeeded."""
    return subprocess.run(command, capture_output=True, check=False, env=environ()).returncode == 0


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float = _START_SECONDS) -> bool:
    """Wait until ``condition`` holds; return whether it did within the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def environ() -> dict[str, str]:
    """Return as little as programs need: no proxy and no kubeconfig of the user's."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return {**kept, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"}
