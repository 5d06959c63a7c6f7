"""Which processes of a pod can serve: each leaves a mark, and takes it away before it ends."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class Readiness:
    """The marks in a directory; ``expected`` is how many processes there should be."""

    def __init__(self, directory: Path, *, expected: int) -> None:
        self._directory, self._expected = directory / "ready", expected

    def reset(self) -> None:
        """Forget the marks of a former life: /tmp of a pod outlives its containers."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)

    def mark(self) -> None:
        """Say that this process can serve."""
        (self._directory / str(os.getpid())).touch()

    def unmark(self, pid: int | None = None) -> None:
        """Say that this process, or one that has ended, does not serve any more."""
        (self._directory / str(pid or os.getpid())).unlink(missing_ok=True)

    @property
    def is_ready(self) -> bool:
        """Whether all processes can serve."""
        return len(list(self._directory.iterdir())) >= self._expected
