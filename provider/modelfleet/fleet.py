"""The fleet of one cluster: what every adapter does with services, in one place.

Composes rendering, applying, waiting and records; each verb is one coroutine. Knows no Pulumi,
no command line and no HTTP: adapters translate to and from it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

from modelfleet import labels
from modelfleet.cluster.apply import Change, apply_objects
from modelfleet.cluster.client import Client
from modelfleet.cluster.delete import delete_objects, is_anything_meant
from modelfleet.cluster.diagnosis import diagnose
from modelfleet.cluster.live import LiveObjects, LiveServices
from modelfleet.cluster.managed_fields import taken
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import (
    DEPLOYMENT,
    KINDS,
    NETWORK_POLICY,
    SECRET,
    SERVICE,
    Object,
    Ref,
    ref_of,
)
from modelfleet.cluster.ownership import Ownership, belongs_to
from modelfleet.cluster.readiness import Outcome, Ready, Waiting, readiness
from modelfleet.cluster.reasons import sentences
from modelfleet.cluster.records import Record, record_annotations, record_of, refuse_too_large
from modelfleet.drift import Drift, drift_of
from modelfleet.errors import (
    ClusterError,
    ConfigError,
    ConflictError,
    NotReadyError,
    UnavailableError,
)
from modelfleet.field_names import field_names_of
from modelfleet.prune import Orphan, orphans_of
from modelfleet.render import (
    RENDERER_VERSION,
    Identity,
    object_refs_of,
    objects_of,
    record_spec_of,
)
from modelfleet.service import CREATE_FAILED, UPDATE_FAILED, Service, service_of
from modelfleet.spec.service import ModelServiceSpec

KIND: Final = "ModelService"
SPEC_SCHEMA_VERSION: Final = 1

SECONDS_BEYOND_STARTUP: Final = 120
"""What ``wait.timeout_seconds`` adds to ``startup_seconds`` when unset: scheduling and pulling."""

SECONDS_TO_DELETE: Final = 120
"""How long a deletion may take beyond ``drain_seconds``."""


class Progress(Protocol):
    """Is told what a service waits for, whenever that changes, and when the waiting is over."""

    def __call__(self, text: str) -> None:
        """Take note of a new reason."""
        ...

    def end(self) -> None:
        """Take note that nothing is waited for any more."""
        ...


def new_incarnation() -> str:
    """Return the random name of one creation of one service."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Desired:
    """A spec on its way into the cluster, and in whose name.

    ``former_owner`` (a renamed stack) may be taken over. ``cluster_uid``, where known, must be
    that of the cluster. ``prior`` is the spec in force, None where this creates the service: what
    ``spec`` no longer has of it is removed, and ``wait.on_failure: rollback`` returns to it.
    """

    spec: ModelServiceSpec
    owner: str
    incarnation: str
    urn: str = ""
    former_owner: str | None = None
    cluster_uid: str = ""
    prior: ModelServiceSpec | None = None

    @property
    def id(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.spec.namespace}/{self.spec.model_service_name}"

    @property
    def subject(self) -> str:
        """Return what messages call it."""
        return f"{KIND} {self.id}"

    @property
    def ownership(self) -> Ownership:
        """Return whose objects an apply may write."""
        return Ownership(self.owner, frozenset({self.former_owner or self.owner}))


@dataclass(frozen=True)
class Found:
    """A live service beside its declaration.

    ``drift`` is what others changed; ``recorded`` the declaration in force, where a later write
    of the same owner has changed it, else None.
    """

    service: Service
    drift: Drift
    recorded: Mapping[str, Any] | None = None


class Fleet:
    """The services of one cluster. Belongs to one event loop; safe for many tasks at once."""

    def __init__(self, client: Client, *, cluster: str = "default") -> None:
        self._client = client
        self._cluster = cluster
        self._services = LiveServices(client)
        self._objects = LiveObjects(client, (DEPLOYMENT, SERVICE, NETWORK_POLICY, SECRET))

    @property
    def client(self) -> Client:
        """The connection, for what is not a verb of a fleet."""
        return self._client

    async def aclose(self) -> None:
        """End watches and connections."""
        await self._services.aclose()
        await self._objects.aclose()
        await self._client.aclose()

    # -- apply -----------------------------------------------------------------------------

    async def apply(
        self,
        desired: Desired,
        *,
        timeout_seconds: float | None = None,
        progress: Progress | None = None,
    ) -> Service:
        """Converge ``desired`` and wait as its spec asks; return the live service.

        ``timeout_seconds`` overrides the spec's; ``progress`` is told what is waited for.

        Raises:
            ClusterError: refused; nothing was written.
            NotReadyError: the service exists, but is not, or not yet, what is declared; or, with
                ``wait.on_failure: rollback``, is again what it was.
        """
        written: list[Change] = []
        try:
            primary = await self._write(desired, written=written)
            return await self._ready(
                desired, primary, timeout_seconds=timeout_seconds, progress=progress
            )
        except ClusterError as error:
            if not _is_half_done(error, written, desired=desired):
                raise
            live = next(
                (each.live for each in written if each.ref == _primary_ref(desired.spec)), None
            )
            failure = NotReadyError(
                desired.subject, (f"was not written completely. {error}",), live=live
            )
        except NotReadyError as error:
            failure = error
        if desired.spec.wait.on_failure == "rollback":
            failure = await self._rolled_back(desired, failure, written=written)
        raise failure

    async def _rolled_back(
        self, desired: Desired, failure: NotReadyError, *, written: Sequence[Change]
    ) -> NotReadyError:
        """Undo what can be undone, and return ``failure`` with what became of it."""
        taken_back = False
        if desired.prior is None and any(each.action != "created" for each in written):
            # A replacement under the same name, or what an interrupted run has left: removing
            # what this call has not made could end pods that serve.
            told = "It is kept as it is: it was there before this run."
        else:
            try:
                await self.take_back(desired)
                taken_back = True
                told = "It was removed again" if desired.prior is None else "It was put back"
                told += " (wait.on_failure)."
            except (ClusterError, NotReadyError) as error:
                told = f"It could not be taken back. {error}"
        reasons = (*failure.reasons, told)
        return NotReadyError(failure.subject, reasons, live=failure.live, taken_back=taken_back)

    async def take_back(self, desired: Desired) -> None:
        """Undo an apply that failed: return to ``prior``, or remove what it made."""
        if desired.prior is None:
            await self._delete_objects(desired)
        else:
            await self._write(
                Desired(
                    spec=desired.prior,
                    owner=desired.former_owner or desired.owner,
                    incarnation=desired.incarnation,
                    urn=desired.urn,
                    former_owner=desired.owner,
                    prior=desired.spec,
                ),
                written=[],
            )

    async def _write(self, desired: Desired, *, written: list[Change]) -> Object:
        """Apply every object, remove those the spec no longer has; return the primary one."""
        cluster_uid = await self._verified_uid(desired.cluster_uid)
        spec = desired.spec
        objects = objects_of(
            spec,
            identity=_identity(desired, cluster_uid=cluster_uid),
            annotations=_record(desired, cluster_uid=cluster_uid),
            hash_key=await self._hash_key(spec),
        )
        await apply_objects(
            self._client,
            objects,
            ownership=desired.ownership,
            adopt=spec.adopt,
            on_change=written.append,
        )
        kept = {ref_of(obj) for obj in objects}
        for change in written:
            self._objects.observe(change.live)
        if desired.prior is not None:  # else this incarnation has nothing but what was just written
            await delete_objects(
                self._client,
                [ref for ref in _refs(spec) if ref not in kept],
                owners=desired.ownership.owners,
                incarnation=desired.incarnation,
            )
        return next(each.live for each in written if each.ref == _primary_ref(desired.spec))

    async def _ready(
        self,
        desired: Desired,
        primary: Object,
        *,
        timeout_seconds: float | None,
        progress: Progress | None,
    ) -> Service:
        spec = desired.spec
        if spec.deployment is None:
            return await self._service(primary, Ready())
        evaluate = partial(readiness, until="available", fields=field_names_of(spec))
        if spec.wait.until == "accepted":
            return await self._service(primary, evaluate(primary, (), current_hash=None))
        seconds = timeout_seconds or spec.wait.timeout_seconds
        seconds = seconds or spec.deployment.startup_seconds + SECONDS_BEYOND_STARTUP
        try:
            outcome = await self._services.until(
                primary,
                partial(evaluate, until=spec.wait.until),
                timeout_seconds=seconds,
                on_progress=_told(progress),
            )
        finally:
            if progress is not None:
                progress.end()
        if isinstance(outcome, Ready):
            return await self._service(primary, outcome)
        reasons = await diagnose(
            self._client,
            self._services.pods(primary),
            outcome.reasons,
            secrets=[value.get_secret_value() for value in spec.deployment.secret_env.values()],
        )
        told = f"is not ready after {seconds:g} s." if isinstance(outcome, Waiting) else "failed."
        raise NotReadyError(desired.subject, (told, *sentences(reasons)), live=primary)

    async def _hash_key(self, spec: ModelServiceSpec) -> bytes:
        """Return the key of the secrets' hashes: random, and kept beside the secrets."""
        if spec.deployment is None or not spec.deployment.secret_env:
            return b""
        ref = Ref(SECRET, spec.namespace, labels.env_secret_name(spec.model_service_name))
        live = await self._client.get(ref)
        kept = ((live or {}).get("data") or {}).get(labels.HASH_KEY_DATA)
        return base64.b64decode(kept) if kept else secrets.token_bytes(32)

    async def _verified_uid(self, expected: str) -> str:
        """Return the cluster's UID; raise when a state knows another cluster by this name."""
        uid = await self._client.cluster_uid()
        if expected and expected != uid:
            raise ConflictError(
                f"cluster {self._cluster}",
                f"is another cluster (UID {uid}) than the one this service was created in "
                f"(UID {expected})",
                hint=f"Point modelfleet:clusters.{self._cluster} (or the kubeconfig in use) back "
                "at it. If that cluster is gone for good, remove the service from the state with "
                "pulumi state delete, and run pulumi up again.",
            )
        return uid

    # -- read ------------------------------------------------------------------------------

    async def drift(self, desired: Desired) -> Found | None:
        """Return the live service and what others changed about it; None when it is gone.

        Costs no request of its own: all reads of a process share one LIST and WATCH per kind.
        """
        uid = await self._verified_uid(desired.cluster_uid)
        spec = desired.spec
        found = {ref_of(obj): obj for obj in await self._objects.read(_key(spec))}
        primary = found.get(_primary_ref(spec))
        if primary is None or primary["metadata"].get("deletionTimestamp"):
            return None
        service = await self._service(primary, self._outcome(primary, spec), cluster_uid=uid)
        if not belongs_to(primary, desired.ownership.owners):
            whose = Drift({"owner": f"now belongs to {service.owner or 'nobody'}"})
            return Found(service, whose)
        record = record_of(primary)
        expected = objects_of(
            spec,
            identity=_identity(desired, cluster_uid=uid),
            hash_key=b"",
        )
        manager = desired.ownership.field_manager
        drift = drift_of(
            taken=[
                (ref, each)
                for obj in expected
                if (live := found.get(ref := ref_of(obj))) is not None
                for each in taken(obj, live, field_manager=manager)
            ],
            missing=[ref for obj in expected if (ref := ref_of(obj)) not in found],
        )
        recorded = record.spec if record and record.spec != record_spec_of(spec) else None
        return Found(service, drift, recorded)

    async def status(self, namespace: str, name: str) -> Service | None:
        """Return one service as it is, None where there is none."""
        services = await self.list(namespace=namespace)
        return next((each for each in services if each.name == name), None)

    async def list(
        self, *, owner: str | None = None, namespace: str | None = None
    ) -> list[Service]:
        """Return the services of an owner, or of all, by namespace and name."""
        uid = await self._client.cluster_uid()
        services = []
        for obj in await self._objects.read_all():
            if labels.RECORD not in (obj["metadata"].get("annotations") or {}):
                continue
            if owner is not None and not belongs_to(obj, {owner}):
                continue
            if namespace is not None and obj["metadata"]["namespace"] != namespace:
                continue
            outcome = (
                readiness(obj, (), until="available") if obj["kind"] == DEPLOYMENT.kind else Ready()
            )
            services.append(await self._service(obj, outcome, cluster_uid=uid))
        return sorted(services, key=lambda each: (each.namespace, each.name))

    async def incomplete(self, desired: Desired, error: NotReadyError) -> Service:
        """Return the service that ``error`` is about, for whoever keeps a record of it."""
        service = Service(
            namespace=desired.spec.namespace,
            name=desired.spec.model_service_name,
            status="",
            owner=desired.owner,
            incarnation=desired.incarnation,
            cluster_uid=await self._client.cluster_uid(),
        )
        if error.live is not None:
            service = await self._service(dict(error.live), Ready())
        status = CREATE_FAILED if desired.prior is None else UPDATE_FAILED
        return replace(service, status=status, status_reason=" ".join(error.reasons))

    def _outcome(self, primary: Object, spec: ModelServiceSpec) -> Outcome:
        if primary["kind"] != DEPLOYMENT.kind:
            return Ready()
        return readiness(primary, (), until="available", fields=field_names_of(spec))

    async def _service(
        self, primary: Object, outcome: Outcome, *, cluster_uid: str | None = None
    ) -> Service:
        uid = cluster_uid or await self._client.cluster_uid()
        record = record_of(primary)
        return service_of(
            primary, outcome=outcome, cluster_uid=uid, spec=record.spec if record else None
        )

    # -- delete ----------------------------------------------------------------------------

    async def delete(self, desired: Desired) -> None:
        """Delete what this incarnation of the service owns, and wait until it is gone.

        Raises:
            ConfigError: it is protected.
            NotReadyError: it is still going at the timeout.
        """
        await self._verified_uid(desired.cluster_uid)
        # What a replacement under the same name has taken over is not deleted, so not protected.
        if desired.spec.deletion_protection and await is_anything_meant(
            self._client,
            _refs(desired.spec),
            owners=desired.ownership.owners,
            incarnation=desired.incarnation or None,
        ):
            raise protection_error(desired.id, verb="deleted")
        await self._delete_objects(desired)

    async def orphans(self, owner: str, *, known: Mapping[str, str]) -> Sequence[Orphan]:
        """Return what ``owner`` has here beside ``known``, its incarnations by service id."""
        objects = [obj for obj in await self._objects.read_all() if belongs_to(obj, {owner})]
        return orphans_of(objects, known=known)

    async def prune(self, orphan: Orphan, *, owner: str) -> None:
        """Delete an orphan; its pods may still be ending when this returns."""
        await delete_objects(
            self._client, orphan.refs, owners={owner}, incarnation=orphan.incarnation
        )

    async def _delete_objects(self, desired: Desired) -> None:
        spec = desired.spec
        going = await delete_objects(
            self._client,
            _refs(spec),
            owners=desired.ownership.owners,
            incarnation=desired.incarnation or None,
        )
        primary = next((each for each in going if each.ref == _primary_ref(spec)), None)
        if primary is None or spec.deployment is None:
            return
        seconds = spec.deployment.drain_seconds + SECONDS_TO_DELETE
        left = await self._services.until_gone(primary.live, timeout_seconds=seconds)
        if left is not None:
            raise NotReadyError(
                desired.subject,
                (
                    f"is still being deleted after {seconds} s: its pods do not end.",
                    "Look at their finalizers and nodes (kubectl describe pod), then run this "
                    "again; it goes on where it stopped.",
                ),
                live=left,
            )


def protection_error(service_id: str, *, verb: str) -> ConfigError:
    """Return the refusal to have a protected service ``deleted`` or ``replaced``."""
    return ConfigError(
        f"{KIND} {service_id} has deletion_protection and would be {verb}.",
        hint="Set deletion_protection to False in an update of its own first.",
    )


def _key(spec: ModelServiceSpec) -> Key:
    return Key(spec.namespace, KIND, spec.model_service_name)


def _refs(spec: ModelServiceSpec) -> list[Ref]:
    """Return every object the service may own, in the order of an apply."""
    return [
        Ref(KINDS[api_version, kind], spec.namespace, name)
        for api_version, kind, name in object_refs_of(spec.model_service_name, hosted=spec.hosted)
    ]


def _primary_ref(spec: ModelServiceSpec) -> Ref:
    return _refs(spec)[-1]


def _identity(desired: Desired, *, cluster_uid: str) -> Identity:
    return Identity(
        owner=desired.owner,
        urn=desired.urn or None,
        incarnation=desired.incarnation,
        cluster_uid=cluster_uid,
    )


def _record(desired: Desired, *, cluster_uid: str) -> dict[str, str]:
    spec = desired.spec
    annotations = record_annotations(
        Record(
            kind=KIND,
            name=spec.model_service_name,
            namespace=spec.namespace,
            owner=desired.owner,
            urn=desired.urn,
            incarnation=desired.incarnation,
            cluster_uid=cluster_uid,
            spec=record_spec_of(spec),
            schema_version=SPEC_SCHEMA_VERSION,
            renderer_version=RENDERER_VERSION,
        )
    )
    refuse_too_large(desired.subject, annotations)
    return annotations


def _is_half_done(error: ClusterError, written: Sequence[Change], *, desired: Desired) -> bool:
    """Return whether an apply that ended with ``error`` may have left something behind.

    A refusal comes before the first write. When the server went silent, an update may have
    happened; the state must then hold what was asked for, so that taking it back is a change.
    """
    changed = any(each.action != "unchanged" for each in written)
    return changed or (isinstance(error, UnavailableError) and desired.prior is not None)


def _told(progress: Progress | None) -> Callable[[Waiting], None] | None:
    if progress is None:
        return None
    return lambda waiting: progress(f"waiting: {waiting.reasons[0].text}")
