"""What an apply waits for beyond a gateway's rollout: its Redis, its upstreams, its keys.

Each says what it waits for and why it ends; nothing is written but the annotation that hastens
keys. The rollout itself is waited for as every other is (``waiting``).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from modelfleet import labels
from modelfleet.cluster.apply import Change
from modelfleet.cluster.client import Client
from modelfleet.cluster.diagnosis import diagnose
from modelfleet.cluster.live import LiveObjects, LiveServices
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import DEPLOYMENT, SECRET, STATEFUL_SET, Object, Ref
from modelfleet.cluster.readiness import Ready, Waiting
from modelfleet.cluster.reasons import sentences
from modelfleet.cluster.records import is_recorded
from modelfleet.cluster.set_readiness import set_readiness
from modelfleet.desired import KIND, Desired
from modelfleet.errors import NotReadyError
from modelfleet.field_names import redis_field_names_of
from modelfleet.gateway.keys_file import KEYS_FILE
from modelfleet.gateway_pods import GatewayPods, NotAskedError
from modelfleet.render.proxy import REDIS_KIND
from modelfleet.service import Service, service_alone
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import routes_of
from modelfleet.unanswered import Unanswered, unanswered_of
from modelfleet.waiting import Progress, told_to

KEYS_SECONDS: Final = 90.0
"""How long keys are waited for: longer than the minute that a kubelet takes unhastened."""

FINAL_SECONDS: Final = 15.0
"""How long what waiting does not help, such as a wrong key, is looked at again all the same."""

_UPSTREAMS_PAUSE_SECONDS: Final = 2.0
_KEYS_PAUSE_SECONDS: Final = 0.3
_REREAD_SECONDS: Final = 0.5
"""A gateway looks at its file of keys at most that often (``gateway/app/watched.py``)."""


@dataclass(frozen=True)
class GatewayWaiting:
    """Waits for the gateways of one fleet; ``callees`` are the services they may call."""

    client: Client
    services: LiveServices
    callees: LiveObjects
    pods: GatewayPods

    async def until_redis_is_ready(
        self,
        desired: Desired,
        written: Iterable[Change],
        *,
        timeout_seconds: float,
        progress: Progress | None,
    ) -> None:
        """Return when the managed Redis serves, and at once where there is none.

        Raises:
            NotReadyError: with a diagnosis; it failed, or its time is up.
        """
        live = next((each.live for each in written if each.ref.kind == STATEFUL_SET), None)
        spec = desired.spec
        if live is None or not isinstance(spec, ModelProxySpec):
            return
        fields = redis_field_names_of(spec)
        key = Key(spec.namespace, REDIS_KIND, spec.name)
        try:
            outcome = await self.services.until_set(
                live,
                partial(set_readiness, fields=fields),
                pods=key,
                timeout_seconds=timeout_seconds,
                on_progress=told_to(progress, what="its Redis: "),
            )
        finally:
            if progress is not None:
                progress.end()
        if isinstance(outcome, Ready):
            return
        pods = self.services.pods_of(key)
        reasons = await diagnose(
            self.client, pods, outcome.reasons, fields=fields, secrets=spec.secret_values
        )
        is_late = isinstance(outcome, Waiting)
        told = f"is not ready after {timeout_seconds:g} s." if is_late else "failed."
        primaries = (each.live for each in written if each.ref == desired.primary_ref)
        raise NotReadyError(
            desired.subject, (f"Its Redis {told}", *sentences(reasons)), live=next(primaries, None)
        )

    async def until_upstreams_answer(
        self,
        desired: Desired,
        primary: Object,
        *,
        timeout_seconds: float,
        progress: Progress | None,
    ) -> None:
        """Return when every pod that serves reaches every upstream whose service is Ready.

        Of the other upstreams, ``progress`` is told which do not answer.

        Raises:
            NotReadyError: one is not reached, with what happened and what to do.
        """
        spec = desired.spec
        if not isinstance(spec, ModelProxySpec):
            return
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            try:
                answers = await self.pods.upstreams(self.services.pods(primary))
            except NotAskedError as error:
                _tell(progress, "Whether its upstreams answer was not looked at", error)
                return
            found = unanswered_of(spec, answers, services=await self._hosted(spec))
            blocking = [each for each in found if each.blocks]
            waited = clock() - began
            is_final = any(each.is_final for each in blocking) and waited >= FINAL_SECONDS
            if not blocking or is_final or waited + _UPSTREAMS_PAUSE_SECONDS > timeout_seconds:
                break
            if progress is not None:
                progress(f"waiting: {blocking[0].text}")
            await asyncio.sleep(_UPSTREAMS_PAUSE_SECONDS)
        if progress is not None:
            progress.end()
            for each in found if not blocking else ():
                progress.tell(each.text)
        if blocking:
            raise _not_answered(desired, primary, blocking, seconds=waited)

    async def until_keys_are_in_force(
        self, desired: Desired, written: Iterable[Change], *, progress: Progress | None
    ) -> None:
        """Have the pods take keys that have just changed; ``progress`` is told when they have.

        Pods that have started since have them, and are left alone. Nothing fails here: keys that
        have not come by then do so in a minute.
        """
        digest, spec = _changed_keys(desired, written), desired.spec
        if digest is None or not isinstance(spec, ModelProxySpec):
            return
        clock = asyncio.get_running_loop().time
        began = clock()
        hastened = False
        try:
            while True:
                pods = await self.pods.of(spec)
                lacking = await self.pods.without_keys(pods, digest)
                if not hastened:
                    if not lacking:
                        return
                    await self.pods.hasten(lacking, digest)
                    hastened = True
                waited = clock() - began
                if not lacking or waited > KEYS_SECONDS:
                    break
                if progress is not None:
                    progress(f"waiting: {len(lacking)} of {len(pods)} pods for their new keys")
                await asyncio.sleep(_KEYS_PAUSE_SECONDS)
        except NotAskedError as error:
            if not hastened:
                await self.pods.hasten(pods, digest)
            _tell(progress, "When its new keys are in force was not looked at", error)
            return
        if not lacking:
            await asyncio.sleep(_REREAD_SECONDS)
        if progress is not None:
            progress.end()
            has = f"{len(pods) - len(lacking)} of {len(pods)} pods"
            rest = "; the others take them in a minute or so" if lacking else ""
            progress.tell(f"Its keys are in force in {has} after {clock() - began:.1f} s{rest}.")

    async def hasten_keys(self, desired: Desired, written: Iterable[Change]) -> None:
        """Have the pods take keys that have just changed, and wait for nothing."""
        digest, spec = _changed_keys(desired, written), desired.spec
        if digest is not None and isinstance(spec, ModelProxySpec):
            await self.pods.hasten(await self.pods.of(spec), digest)

    async def _hosted(self, spec: ModelProxySpec) -> dict[str, Service]:
        """Return, of the services that ``spec`` names, the hosted ones by id."""
        names = {each.service for route in routes_of(spec).values() for each in route.upstreams}
        places = [name.partition("/") for name in names if name is not None]
        keys = [Key(namespace, KIND, name) for namespace, _, name in places]
        lists = await asyncio.gather(*(self.callees.read(key) for key in keys))
        uid = await self.client.cluster_uid()
        services = (
            service_alone(obj, cluster_uid=uid)
            for each in lists
            for obj in each
            if obj["kind"] == DEPLOYMENT.kind and is_recorded(obj)
        )
        return {service.id: service for service in services}


def _changed_keys(desired: Desired, written: Iterable[Change]) -> str | None:
    """Return the SHA-256 of the file of keys where its Secret was written beside living pods."""
    ref = Ref(SECRET, desired.spec.namespace, labels.proxy_object_name(desired.spec.name))
    for change in written:
        is_new = change.action == "created" and desired.prior is None
        if change.ref == ref and change.action != "unchanged" and not is_new:
            content = base64.b64decode(change.live["data"][KEYS_FILE])
            return hashlib.sha256(content).hexdigest()
    return None


def _not_answered(
    desired: Desired, primary: Object, blocking: list[Unanswered], *, seconds: float
) -> NotReadyError:
    told = f"its pods run, but do not reach every upstream after {seconds:.0f} s."
    return NotReadyError(desired.subject, (told, *(each.text for each in blocking)), live=primary)


def _tell(progress: Progress | None, what: str, error: NotAskedError) -> None:
    if progress is not None:
        progress.end()
        if str(error):
            progress.tell(f"{what}: {error}")
