"""Tells a person what takes long and how far it is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

_QUIET_SECONDS = 30.0  # without a terminal, a line at most this often while a step lasts


class Step:
    """One long step under way; ``advance`` says how far it is."""

    def __init__(self, title: str, *, console: Console, bar: Bar | None) -> None:
        self._title = title
        self._console = console
        self._bar = bar
        self._task = bar.add_task(title, total=None, detail="") if bar else None
        self._started = self._last_line = time.monotonic()

    def advance(self, done: int, *, of: int, unit: str) -> None:
        """``done`` of ``of`` units are ready; call it as often as you like."""
        done = min(done, of)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=of, detail=f"{done}/{of} {unit}")
        elif time.monotonic() - self._last_line >= _QUIET_SECONDS:
            self._last_line = time.monotonic()
            elapsed = self._last_line - self._started
            self._console.print(f"  {self._title}: {done} of {of} {unit}, {elapsed:.0f} s so far")


class Progress:
    """Where long steps report to. Without a console they report nowhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(quiet=True)

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(line, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Report a long step from its begin to its end, with the time it took."""
        started = time.monotonic()
        if self._console.is_terminal:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeElapsedColumn(),
            )
            with Bar(*columns, console=self._console, transient=True) as bar:
                yield Step(title, console=self._console, bar=bar)
        else:
            self.say(f"{title} …")
            yield Step(title, console=self._console, bar=None)
        self.say(f"{title}: done in {time.monotonic() - started:.1f} s")
