"""One story, run: what a provider does with a program, through faults, and what is left of it.

The state is kept as an engine keeps it: what was made, what was made and is not ready, and nothing
of what was refused. After the faults comes a new process, as a person's next ``pulumi up`` is one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from fleets import planned, writes

from faults.fault_proxy import FaultProxy
from faults.fault_schedule import Fault, Seeded
from faults.random_fleets import Program, Story
from modelfleet import labels
from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import KINDS, Kind, Object, Ref, ref_of
from modelfleet.desired import Kept
from modelfleet.errors import (
    AlreadyExistsError,
    ClusterError,
    ModelFleetError,
    NotReadyError,
    ProviderBugError,
)
from modelfleet.fleet import Desired, Fleet, new_incarnation

_DELETION_SECONDS = 240
_WHAT_CONTROLLERS_MAKE = ("Pod", "Event", "ReplicaSet")

OWNED_KINDS = [
    kind for kind in KINDS.values() if kind.namespaced and kind.kind not in _WHAT_CONTROLLERS_MAKE
]


@dataclass
class Report:
    """What happened in one run. ``wrong`` says what must not have."""

    seed: int
    injected: Counter[Fault] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    programs: int = 0
    killed: int = 0
    orphans: int = 0
    foreign_touched: int = 0
    wrong: list[str] = field(default_factory=list)


class Run:
    """The run of one story. ``access`` is the provider's, ``admin`` sees everything."""

    def __init__(self, story: Story, *, access: Access, admin: Client, namespace: str) -> None:
        self.report = Report(story.seed)
        self._story = story
        self._access = access
        self._admin = admin
        self._namespace = namespace
        self._state: dict[str, Desired] = {}
        self._is_killed = False

    async def tell(self) -> Report:
        """Run it to its end and return what happened."""
        foreign = [
            (await self._admin.apply(obj, field_manager="others")).live
            for obj in self._story.foreign
        ]
        await self._through_faults()
        self._is_killed = False
        async with self._fleet(self._access) as fleet:
            await self._converges(fleet, self._story.programs[-1], foreign=foreign)
            await self._up(fleet, {})
            self._expect(not self._state, f"destroy left {sorted(self._state)} in the state")
        await self._has_exactly(set())
        await self._untouched(foreign)
        for obj in foreign:
            await self._admin.delete(ref_of(obj), propagation="Background")
        return self.report

    async def _through_faults(self) -> None:
        story = self._story
        schedule = Seeded(story.seed, rate=story.rate)
        proxy = FaultProxy(self._access, schedule)
        async with proxy.serving(), self._fleet(proxy.access()) as fleet:
            self.report.injected = proxy.injected
            *first, last = story.programs
            for program in first:
                await self._up(fleet, program)
            up = asyncio.create_task(self._up(fleet, last))
            await asyncio.wait({up}, timeout=story.killed_after_seconds)
            if not up.done():
                self._is_killed = True
                self.report.killed += 1
                await proxy.cut_off()
                await fleet.aclose()
            await up

    @asynccontextmanager
    async def _fleet(self, access: Access) -> AsyncIterator[Fleet]:
        fleet = Fleet(Client(access, retry=self._story.retry))
        try:
            yield fleet
        finally:
            await fleet.aclose()

    async def _up(self, fleet: Fleet, program: Program) -> dict[str, ModelFleetError]:
        """Do what ``pulumi up`` does; return what failed, by name."""
        self.report.programs += 1
        dropped = self._state.keys() - program.keys()
        calls = {
            **{name: self._applied(fleet, name, inputs) for name, inputs in program.items()},
            **{name: self._deleted(fleet, name) for name in dropped},
        }
        outcomes = await asyncio.gather(*calls.values(), return_exceptions=True)
        failed: dict[str, ModelFleetError] = {}
        for name, outcome in zip(calls, outcomes, strict=True):
            if isinstance(outcome, BaseException) and not self._is_killed:
                self._judge(name, outcome)
            if isinstance(outcome, ModelFleetError):
                failed[name] = outcome
        return failed

    async def _applied(self, fleet: Fleet, name: str, inputs: Any) -> None:
        former = self._state.get(name)
        desired = Desired(
            spec=planned(inputs),
            owner=self._story.owner,
            incarnation=former.incarnation if former else new_incarnation(),
            prior=former.spec if former else None,
        )
        try:
            await fleet.apply(desired)
        except NotReadyError as error:
            if not error.taken_back:
                self._save(name, desired)
            raise
        self._save(name, desired)

    async def _deleted(self, fleet: Fleet, name: str) -> None:
        await fleet.delete(self._state[name], timeout_seconds=_DELETION_SECONDS)
        self._save(name, None)

    def _save(self, name: str, desired: Desired | None) -> None:
        """Note in the state what there is, or is no more; a process that was killed cannot."""
        if self._is_killed:
            return
        if desired is None:
            del self._state[name]
        else:
            self._state[name] = desired

    def _judge(self, name: str, error: BaseException) -> None:
        """Every error is one of ours, names its subject, and tells no secret."""
        self.report.errors[type(error).__name__] += 1
        text = str(error)
        if not isinstance(error, ModelFleetError) or isinstance(error, ProviderBugError):
            self._wrong(f"{name}: {type(error).__name__}: {text}")
            return
        if isinstance(error, ClusterError | NotReadyError):
            self._expect(text.startswith(error.subject), f"{name}: no subject in {text!r}")
            self._expect(
                name in error.subject or error.subject in _SHARED_SUBJECTS,
                f"{name}: another subject in {text!r}",
            )
        self._expect(
            not any(secret in text for secret in self._story.secrets),
            f"{name}: a secret in the message of {type(error).__name__}",
        )

    async def _converges(self, fleet: Fleet, program: Program, *, foreign: list[Object]) -> None:
        """One rerun brings everything about, and a second one finds nothing to write."""
        in_the_way = {ref_of(obj) for obj in foreign}
        refused = await self._up(fleet, program)
        for name, error in refused.items():
            needed = await self._refs(fleet, planned_as(name, program, self._story.owner))
            self._expect(
                isinstance(error, AlreadyExistsError) and bool(needed & in_the_way),
                f"{name}: the rerun failed: {error}",
            )
        whole: set[Ref] = set()
        half: set[Ref] = set()
        for name, desired in self._state.items():
            # What is refused stays as it was, which may be half of what an earlier program asked.
            (half if name in refused else whole).update(await self._refs(fleet, desired))
        await self._has_exactly(whole, beside=half)
        await self._untouched(foreign)
        before = writes(fleet.client)
        await self._up(fleet, program)
        self._expect(writes(fleet.client) == before, "a second rerun wrote again")

    async def _refs(self, fleet: Fleet, desired: Desired) -> set[Ref]:
        uid = await fleet.client.cluster_uid()
        return {ref_of(obj) for obj in desired.objects(cluster_uid=uid, kept=Kept(hash_key=b"key"))}

    async def _has_exactly(self, expected: set[Ref], *, beside: Collection[Ref] = ()) -> None:
        """The owner has what its state has, and nothing else; what is going is waited for.

        It may have what is ``beside``.
        """
        found = await self._owned()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DELETION_SECONDS):
                while any(live["metadata"].get("deletionTimestamp") for live in found.values()):
                    await asyncio.sleep(0.1)
                    found = await self._owned()
        orphans, missing = found.keys() - expected - {*beside}, expected - found.keys()
        self.report.orphans += len(orphans)
        self._expect(not orphans, f"orphans: {', '.join(map(str, orphans))}")
        for ref in orphans:  # else they would be in the way of the next run
            await self._admin.delete(ref, propagation="Background")
        self._expect(not missing, f"missing: {', '.join(map(str, missing))}")

    async def _owned(self) -> dict[Ref, Object]:
        selector = f"{labels.OWNER_HASH}={labels.owner_hash(self._story.owner)}"

        async def listed(kind: Kind) -> list[Object]:
            return (await self._admin.list(kind, label_selector=selector)).items

        lists = await asyncio.gather(*map(listed, OWNED_KINDS))
        return {ref_of(obj): obj for items in lists for obj in items}

    async def _untouched(self, foreign: list[Object]) -> None:
        for before in foreign:
            now = await self._admin.get(ref_of(before))
            if now is None or any(
                now["metadata"][key] != before["metadata"][key]
                for key in ("uid", "resourceVersion")
            ):
                self.report.foreign_touched += 1
                self._wrong(f"{ref_of(before)}, which belongs to others, was touched")

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._wrong(otherwise)

    def _wrong(self, what: str) -> None:
        self.report.wrong.append(f"seed {self._story.seed}: {what}")


_SHARED_SUBJECTS = {"Namespace kube-system", *(f"{kind.kind} objects" for kind in KINDS.values())}
"""What is asked once for all services: the cluster's identity, and the shared watches."""


def planned_as(name: str, program: Program, owner: str) -> Desired:
    """Return a service of ``program`` as a creation of it."""
    return Desired(spec=planned(program[name]), owner=owner, incarnation=new_incarnation())
