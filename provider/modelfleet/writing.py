"""Writing and removing one resource: what is written, waited for, taken back, and deleted.

Which objects it has is for ``desired``; whether they may be touched is for ``cluster``. Every verb
verifies first that the cluster is the one that is meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from modelfleet import labels
from modelfleet.catalogue import Catalogue
from modelfleet.cluster.apply import Change, apply_objects
from modelfleet.cluster.client import Client
from modelfleet.cluster.delete import delete_objects
from modelfleet.cluster.live import LiveObjects, LiveServices
from modelfleet.cluster.objects import Object, Ref, ref_of
from modelfleet.cluster.readiness import Outcome
from modelfleet.desired import KIND, Desired, Kept, refuse_newer_record
from modelfleet.errors import ClusterError, ConflictError, NotReadyError, UnavailableError
from modelfleet.gateway_waiting import GatewayWaiting
from modelfleet.prerequisites import refuse_missing_prerequisites
from modelfleet.resource_types import ResourceSpec
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.waiting import Progress, seconds_to_wait, wait_until_ready

OnFailure = Literal["keep", "rollback"]

SECONDS_TO_DELETE: Final = 120
"""How long a deletion may take beyond ``drain_seconds``."""


@dataclass(frozen=True)
class Writer:
    """Writes to the cluster that goes by the name of ``cluster``.

    ``objects``, ``catalogue``, and ``callees``, the services that proxies may call, are told of
    what was written; ``services`` is asked when a service is gone, ``gateways`` when a proxy is
    ready.
    """

    client: Client
    cluster: str
    objects: LiveObjects
    callees: LiveObjects
    catalogue: Catalogue
    services: LiveServices
    gateways: GatewayWaiting

    async def apply(
        self,
        desired: Desired,
        *,
        wait: bool = True,
        timeout_seconds: float | None = None,
        on_failure: OnFailure | None = None,
        progress: Progress | None = None,
    ) -> tuple[Object, Outcome | None]:
        """Converge ``desired``; return its primary object, and how ready it is where that matters.

        The rest is as ``Fleet.apply`` says.
        """
        if isinstance(desired.spec, ModelProxySpec):
            await verified_uid(self.client, desired.cluster_uid, cluster=self.cluster)
            await refuse_missing_prerequisites(self.client, self.callees, desired.spec)
        written: list[Change] = []
        try:
            primary = await self._write(
                desired, written=written, timeout_seconds=timeout_seconds, progress=progress
            )
            if not desired.spec.hosted or not wait or desired.spec.wait.until == "accepted":
                await self._delete_former(desired)
                await self.gateways.hasten_keys(desired, written)
                return primary, None
            ready = await self._ready(
                desired, primary, written, timeout_seconds=timeout_seconds, progress=progress
            )
            await self._delete_former(desired)
            return ready
        except ClusterError as error:
            if not _is_half_done(error, written, desired=desired):
                raise
            lives = (each.live for each in written if each.ref == desired.primary_ref)
            live = next(lives, None)
            told = "was written, but not seen to be ready." if live else "was not written wholly."
            failure = NotReadyError(desired.subject, (f"{told} {error}",), live=live)
            failure.__cause__ = error
        except NotReadyError as error:
            failure = error
        if (on_failure or desired.spec.wait.on_failure) == "rollback":
            failure = await self._rolled_back(desired, failure, written=written)
        raise failure

    async def _ready(
        self,
        desired: Desired,
        primary: Object,
        written: Sequence[Change],
        *,
        timeout_seconds: float | None,
        progress: Progress | None,
    ) -> tuple[Object, Outcome]:
        """Wait until what was written is ready, a proxy's Redis and upstreams included."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + (timeout_seconds or seconds_to_wait(desired.spec))

        def seconds_left() -> float:
            return max(1.0, round(deadline - clock()))

        if isinstance(desired.spec, ModelProxySpec):
            await self.gateways.until_redis_is_ready(
                desired, written, timeout_seconds=seconds_left(), progress=progress
            )
        live, outcome = await wait_until_ready(
            self.client,
            self.services,
            desired,
            primary,
            timeout_seconds=seconds_left(),
            progress=progress,
        )
        if isinstance(desired.spec, ModelProxySpec):
            await self.gateways.until_keys_are_in_force(desired, written, progress=progress)
            await self.gateways.until_upstreams_answer(
                desired, live, timeout_seconds=seconds_left(), progress=progress
            )
        return live, outcome

    async def delete(
        self, desired: Desired, *, wait: bool = True, timeout_seconds: float | None = None
    ) -> None:
        """Delete what this incarnation of the service owns, protected or not, and wait for that.

        ``timeout_seconds`` is how long; unset, its ``drain_seconds`` and two minutes. Without
        ``wait`` this returns once everything was told to go.

        Raises:
            NotReadyError: it is still going at the timeout.
        """
        going = await delete_objects(
            self.client,
            [*await self._variants(desired), *desired.refs],
            owners=desired.ownership.owners,
            incarnation=desired.incarnation or None,
        )
        primary = next((each for each in going if each.ref == desired.primary_ref), None)
        if primary is None or not desired.spec.hosted or not wait:
            return
        seconds = timeout_seconds or _deletion_seconds(desired.spec)
        left = await self.services.until_gone(primary.live, timeout_seconds=seconds)
        if left is not None:
            raise NotReadyError(
                desired.subject,
                (
                    f"is still being deleted after {seconds:g} s: its pods do not end.",
                    "Look at their finalizers and nodes (kubectl describe pod), then run this "
                    "again; it goes on where it stopped.",
                ),
                live=left,
            )

    async def _write(
        self,
        desired: Desired,
        *,
        written: list[Change],
        timeout_seconds: float | None = None,
        progress: Progress | None = None,
    ) -> Object:
        """Apply every object, remove those the spec no longer has; return the primary one.

        A claim or configuration that it no longer has is still mounted, and needed if this does not
        work out.
        """

        def done(change: Change) -> None:
            written.append(change)
            self.objects.observe(change.live)
            self.catalogue.observe(change.live)
            if desired.spec.kind == KIND:
                self.callees.observe(change.live)

        objects = desired.objects(
            cluster_uid=await verified_uid(self.client, desired.cluster_uid, cluster=self.cluster),
            kept=await self._kept(desired),
        )
        changes = await apply_objects(
            self.client,
            objects,
            ownership=desired.ownership,
            adopt=desired.spec.adopt,
            deletion_timeout_seconds=timeout_seconds or _deletion_seconds(desired.spec),
            refuse=refuse_newer_record,
            on_change=done,
            on_notice=progress.tell if progress else None,
        )
        if desired.prior is not None:  # else this incarnation has nothing but what was just written
            kept = {change.ref for change in changes}
            await delete_objects(
                self.client,
                [ref for ref in desired.all_refs if ref not in {*kept, *desired.lingering_refs}],
                owners=desired.ownership.owners,
                incarnation=desired.incarnation,
            )
        return changes[-1].live

    async def _delete_former(self, desired: Desired) -> None:
        """Delete what former pods needed: another cache, their configuration, their Redis."""
        refs = list(desired.lingering_refs)
        if desired.had_variants:
            refs += [ref for ref in await self._variants(desired) if ref != desired.variant_ref]
        if not refs:
            return
        await delete_objects(
            self.client,
            refs,
            owners=desired.ownership.owners,
            incarnation=desired.incarnation,
        )

    async def _rolled_back(
        self, desired: Desired, failure: NotReadyError, *, written: Sequence[Change]
    ) -> NotReadyError:
        """Undo what can be undone, and return ``failure`` with what became of it."""
        taken_back = False
        before = desired.taken_back
        if before is None and any(each.action != "created" for each in written):
            # A replacement under the same name, or what an interrupted run has left: removing
            # what this call has not made could end pods that serve.
            told = "It is kept as it is: it was there before this run."
        else:
            try:
                if before is None:
                    await self.delete(desired)
                    told = "It was removed again."
                else:
                    await self._write(before, written=[])
                    await self._delete_former(before)
                    told = "It was put back."
                taken_back = True
            except (ClusterError, NotReadyError) as error:
                told = f"It could not be taken back. {error}"
        reasons = (*failure.reasons, told)
        return NotReadyError(failure.subject, reasons, live=failure.live, taken_back=taken_back)

    async def _variants(self, desired: Desired) -> Sequence[Ref]:
        """Return its claims or configurations: one, or several where an update was interrupted."""
        selector = labels.selector(kind=desired.spec.kind, name=desired.spec.name)
        variants = await self.client.list(
            desired.variant_kind,
            namespace=desired.spec.namespace,
            label_selector=",".join(f"{key}={value}" for key, value in selector.items()),
        )
        return [ref_of(each) for each in variants.items]

    async def _kept(self, desired: Desired) -> Kept:
        """Return what is random and kept beside the secrets, made anew where there is none yet."""
        if not desired.keeps:
            return Kept()
        return desired.kept_in(await self.client.get(desired.keeper_ref))


async def verified_uid(client: Client, expected: str, *, cluster: str) -> str:
    """Return the cluster's UID.

    Raises:
        ConflictError: a state knows another cluster by the name of ``cluster``.
    """
    uid = await client.cluster_uid()
    if expected and expected != uid:
        raise ConflictError(
            f"cluster {cluster}",
            f"is another cluster (UID {uid}) than the one this service was created in "
            f"(UID {expected})",
            hint=f"Point modelfleet:clusters.{cluster} (or the kubeconfig in use) back "
            "at it. If that cluster is gone for good, remove the service from the state with "
            "pulumi state delete, and run pulumi up again.",
        )
    return uid


def _is_half_done(error: ClusterError, written: Sequence[Change], *, desired: Desired) -> bool:
    """Return whether an apply that ended with ``error`` may have left something behind.

    A refusal comes before the first write. Where the answer to a write was lost, it may have
    happened; and when the server went silent, the state must hold what was asked for, so that
    taking an update back is a change.
    """
    changed = any(each.action != "unchanged" for each in written)
    is_silent = isinstance(error, UnavailableError) and desired.prior is not None
    return changed or error.maybe_written or is_silent


def _deletion_seconds(spec: ResourceSpec) -> float:
    return spec.drain_seconds + SECONDS_TO_DELETE
