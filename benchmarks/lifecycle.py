"""The life of a stack under the real engine: up, preview, up again, refresh, destroy.

Each life of a fleet is paired with one of as many resources whose provider does nothing. The steps
whose requests are counted run as the user whose requests the API server writes down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from benchmarks.audit import lists_in, writes_in
from benchmarks.engine import Run, Stack
from benchmarks.results import Row, row_of
from benchmarks.site import Site

UP = "up"
LISTS = "refresh: LIST requests"

_UP_LIMIT = 2.0
_PREVIEW_LIMIT = 1.2
_MEMORY_LIMIT_MB = 300.0

_CHECKPOINTS_UP_TO = 200
"""Beyond that many services they take minutes: the engine rewrites the state at every step."""

_FLEET, _FLOOR = "fleet", "floor"


@dataclass
class _Figures:
    """What was measured at one size, by stack kind and step, once per turn."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    peak_mb: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_seconds: dict[tuple[str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    writes: int = 0
    lists: int = 0
    reads: int = 0


def measure_lifecycle(site: Site, *, size: int, repeats: int, wanted: Collection[str]) -> list[Row]:
    """Return the ``wanted`` rows of stacks with ``size`` services, each lived ``repeats`` times.

    More services than there are GPUs for never become available: those are only accepted.
    """
    figures = _Figures()
    lives = [
        _Life(site, kind, size=size, figures=figures, wanted=wanted) for kind in (_FLOOR, _FLEET)
    ]
    for turn in range(repeats):
        turn_of = f"{turn + 1} of {repeats}"
        for life in lives if turn % 2 == 0 else reversed(lives):
            life.live(turn_of, stays="destroy" not in wanted and turn + 1 == repeats)
        # Not beside a fleet that stays: there are no GPUs for two.
        if "up" in wanted and "destroy" in wanted and lives[-1].until == "available":
            lives[-1].live_briefly("up, accepted", turn_of, until="accepted")
    if "up" in wanted and "destroy" in wanted and size <= _CHECKPOINTS_UP_TO:
        for life in lives:
            life.live_briefly("up, with checkpoints", "1 of 1", checkpoints=True)
    return [row for step, row in _rows(figures, size=size) if step in wanted]


class _Life:
    """Lives of one kind of stack, at one size."""

    def __init__(
        self,
        site: Site,
        kind: str,
        *,
        size: int,
        figures: _Figures,
        wanted: Collection[str],
    ) -> None:
        self._site = site
        self._kind = kind
        self._size = size
        self._figures = figures
        self._wanted = wanted
        self.until = "available" if size <= site.gpus else "accepted"
        name = f"{kind}-{size}"
        self._stack = Stack(name, folder=site.folder / "stacks", environ=site.environ())

    def live(self, turn: str, *, stays: bool) -> None:
        """Go through every wanted step and keep what each took; what ``stays`` is not deleted."""
        namespace = self._site.create_namespace()
        step = "up" if self.until == "available" else "up, accepted"
        before = self._site.cpu_seconds()
        run = self._run("up", step, turn, namespace=namespace)
        self._keep_shares(run, of_plane=self._site.cpu_seconds() - before)
        self._site.settle()
        if "preview" in self._wanted:
            self._run("preview", "preview", turn, namespace=namespace)
        if "noop" in self._wanted:
            with self._site.audit_log.counting() as requests:
                self._run("up", "up again", turn, namespace=namespace, counted=True)
            self._figures.writes = max(self._figures.writes, writes_in(requests))
        if "refresh" in self._wanted:
            with self._site.audit_log.counting() as requests:
                self._run("refresh", "refresh", turn, namespace=namespace, counted=True)
            self._figures.lists = max(self._figures.lists, lists_in(requests))
            self._figures.reads = max(self._figures.reads, requests.total())
        if stays:
            return
        self._run("destroy", "destroy", turn, namespace=namespace)
        self._site.delete_namespace(namespace)

    def live_briefly(
        self, step: str, turn: str, *, until: str = "", checkpoints: bool = False
    ) -> None:
        """Only come up and go, keeping what coming up took as ``step``."""
        namespace = self._site.create_namespace()
        self._run("up", step, turn, namespace=namespace, until=until, checkpoints=checkpoints)
        self._site.settle()
        self._run("destroy", f"destroy after {step}", turn, namespace=namespace)
        self._site.delete_namespace(namespace)

    def _keep_shares(self, run: Run, *, of_plane: float) -> None:
        self._figures.peak_mb[self._kind].append(run.plugin_peak_bytes / 1e6)
        shares = {
            "control plane": of_plane,
            "provider": run.plugin_cpu_seconds,
            "engine and program": run.cpu_seconds - run.plugin_cpu_seconds,
        }
        for whose, seconds in shares.items():
            self._figures.cpu_seconds[self._kind, whose].append(seconds)

    def _run(
        self,
        verb: str,
        step: str,
        turn: str,
        *,
        namespace: str,
        until: str = "",
        checkpoints: bool = False,
        counted: bool = False,
    ) -> Run:
        site = self._site
        environ = {
            "BENCHMARK_KIND": self._kind,
            "BENCHMARK_SIZE": str(self._size),
            "BENCHMARK_NAMESPACE": namespace,
            "BENCHMARK_UNTIL": until or self.until,
            "PULUMI_SKIP_CHECKPOINTS": str(not checkpoints).lower(),
            "KUBECONFIG": str(site.counted_kubeconfig if counted else site.kubeconfig),
        }
        with site.step(f"{self._kind} of {self._size}: {step} ({turn})"):
            run = self._stack.run(verb, timeout_seconds=120 + self._size, **environ)
        self._figures.seconds[self._kind, step].append(run.seconds)
        return run


def _rows(figures: _Figures, *, size: int) -> list[tuple[str, Row]]:
    """Return every row that there are figures for, with the step it belongs to."""
    timed = [
        ("up", UP, _UP_LIMIT),
        ("up", "up, accepted", None),
        ("up", "up, with checkpoints", None),
        ("preview", "preview", _PREVIEW_LIMIT),
        ("noop", "up again", None),
        ("refresh", "refresh", None),
        ("destroy", "destroy", None),
    ]
    rows = [
        (
            step,
            row_of(
                name,
                size,
                seconds,
                "s",
                # The provider that does nothing waits for nothing either.
                baselines=figures.seconds[_FLOOR, name] or figures.seconds[_FLOOR, _verb(name)],
                limit=limit,
            ),
        )
        for step, name, limit in timed
        if (seconds := figures.seconds[_FLEET, name])
    ]
    shares = [
        (
            "up",
            row_of(
                f"up: CPU of {whose}",
                size,
                seconds,
                "s",
                baselines=figures.cpu_seconds[_FLOOR, whose],
            ),
        )
        for (kind, whose), seconds in list(figures.cpu_seconds.items())
        if kind == _FLEET
    ]
    return [
        *rows,
        *shares,
        ("noop", Row("up again: write requests", size, figures.writes, "", limit=0)),
        ("refresh", Row(LISTS, size, figures.lists, "")),
        ("refresh", Row("refresh: all requests", size, figures.reads, "")),
        (
            "memory",
            row_of("provider memory", size, figures.peak_mb[_FLEET], "MB", limit=_MEMORY_LIMIT_MB),
        ),
        (
            "memory",
            row_of("memory of the floor", size, figures.peak_mb[_FLOOR], "MB"),
        ),
    ]


def _verb(step: str) -> str:
    """Return the verb a step begins with."""
    return step.partition(",")[0]
