"""Commands that go on beside a test, and end with it: also where nobody lets it clean up. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def tied(command: Sequence[str]) -> list[str]:
    """Return what runs a command that is killed when the thread that started it is gone."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]
