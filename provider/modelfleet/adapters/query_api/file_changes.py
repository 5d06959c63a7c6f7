"""Whether files have changed since somebody looked, renamed ones and mounted Secrets included."""

from __future__ import annotations

from pathlib import Path

Stamp = tuple[int, int, int] | None


class FileChanges:
    """Looks at the files themselves, wherever symbolic links lead now; costs one stat each."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._stamps = self._look()

    def seen(self) -> bool:
        """Return whether any is another one than at the look before, and remember this look."""
        before, self._stamps = self._stamps, self._look()
        return before != self._stamps

    def _look(self) -> tuple[Stamp, ...]:
        return tuple(map(_stamp_of, self._paths))


def _stamp_of(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
