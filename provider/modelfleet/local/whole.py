"""Makes one folder of the cache: once, whole or not at all, with a log of what was run for it.

The work happens in a temporary folder beside the target, which gets its name when everything is in
it; a lock keeps two builders of one thing apart, and the kernel drops it with its holder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from modelfleet.local.errors import LocalError
from modelfleet.local.folders import cache_folder
from modelfleet.local.locks import exclusive
from modelfleet.local.processes import last_lines
from modelfleet.local.progress import Progress, Step

# What a user has set for builds of their own is not meant for these, and is part of no key.
_NOT_INHERITED = (
    *("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"),
    *("PYTHONPATH", "PYTHONHOME"),
)

_SYSTEM_PROGRAMS = "/usr/sbin:/sbin:/usr/local/sbin"  # where a user's PATH does not look

FETCH_HINT = "If nothing could be downloaded: check the network, and run it again."


@dataclass(frozen=True)
class Work:
    """One thing in the making: where it grows, what has been run for it, how far it is."""

    title: str
    part: Path
    log: Path
    step: Step

    def run(
        self,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        environ: Mapping[str, str] | None = None,
        hint: str = "",
        on_line: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Run ``command`` with a low priority, its output in the log and line by line to you.

        Raises LocalError with the end of the log and ``hint`` when it fails.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in _NOT_INHERITED and not name.startswith("CMAKE_")
        }
        with (
            self.log.open("a") as output,
            subprocess.Popen(
                ["nice", "-n", "10", *command],
                cwd=folder or self.part,
                env={**inherited, "PATH": search_path(), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            for line in process.stdout or ():
                output.write(line)
                output.flush()
                on_line(line)
        if process.returncode != 0:
            self.fail(hint)

    def fail(self, hint: str = "") -> NoReturn:
        """Raise LocalError with the end of the log."""
        raise LocalError(
            f"{self.title}: failed:\n{last_lines(self.log)}\nThe whole log is in {self.log}.",
            hint=hint or "If it says nothing to you, please report it with the log.",
        )


def search_path() -> str:
    """Where programs are looked for: the user's own PATH, and the system's programs for root."""
    return f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PROGRAMS}"


def made_whole(
    kind: str,
    *,
    name: str,
    key: str,
    title: str,
    progress: Progress,
    make: Callable[[Work], None],
) -> Path:
    """Return the folder ``<cache>/<kind>/<name>-<key>``, filled by ``make`` unless it is there.

    ``title`` says what is being done, such as ``Compiling llama-server``. Raises LocalError, and
    leaves nothing, when it fails.
    """
    target = whole_folder(kind, name=name, key=key)
    if target.is_dir():
        return target
    log = cache_folder() / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def say_who_waits() -> None:
        progress.say(f"{title}: waiting for another one who does it to finish …")

    # One lock per name, whatever the key, so that a part found under it belongs to nobody.
    with exclusive(target.parent / f"{name}.lock", on_wait=say_who_waits):
        for abandoned in target.parent.glob(f".{name}.part-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        if not target.is_dir():
            log.write_text("")
            with (
                tempfile.TemporaryDirectory(prefix=f".{name}.part-", dir=target.parent) as folder,
                progress.step(title) as step,
            ):
                work = Work(title, part=Path(folder) / "part", log=log, step=step)
                work.part.mkdir()
                make(work)
                work.part.rename(target)
    return target


def whole_folder(kind: str, *, name: str, key: str) -> Path:
    """Where it is, or will be: a folder has this name only when it is complete."""
    return cache_folder() / kind / f"{name}-{key}"
