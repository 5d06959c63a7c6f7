"""The pods of gateways, asked on their internal port, and told to look at their files at once.

They are asked through the API server, which takes the right to forward ports. Whoever lacks it, or
has no way to a node, gets a ``NotAskedError``: that a gateway is broken does not follow from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import POD, Object, Ref, ref_of
from modelfleet.cluster.pod_requests import PodRequests
from modelfleet.cluster.pod_state import is_over, is_ready
from modelfleet.errors import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from modelfleet.render.proxy import HEALTH_PORT
from modelfleet.spec.proxy import ModelProxySpec

_TRIES: Final = 3
"""How often a pod that is ready, and does not answer, is asked again, a second apart."""

_PATCH_ATTEMPTS: Final = 10
"""How often a pod is read anew that changed under our hands (its kubelet writes its status)."""


class NotAskedError(Exception):
    """Nobody can ask the pods. The reason is empty where it has been told already."""


class GatewayPods:
    """The gateways' pods of one cluster."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._requests = PodRequests(client)
        self._is_denial_told = False

    async def aclose(self) -> None:
        """End connections."""
        await self._requests.aclose()

    async def upstreams(self, pods: Iterable[Object]) -> list[Mapping[str, Any]]:
        """Return what each pod that serves has found of its upstreams.

        Raises:
            NotAskedError: a pod that is there cannot be asked.
        """
        serving = [ref_of(pod) for pod in pods if serves(pod)]
        return [each for each in await self._answers(serving, "/upstreams") if each is not None]

    async def without_keys(self, pods: Iterable[Object], digest: str) -> list[Object]:
        """Return the pods, of those that serve, whose keys are not those of that SHA-256.

        Raises:
            NotAskedError: a pod that is there cannot be asked.
        """
        serving = [pod for pod in pods if serves(pod)]
        answers = await self._answers([ref_of(pod) for pod in serving], "/status")
        return [
            pod
            for pod, answer in zip(serving, answers, strict=True)
            if answer is not None and answer.get("keys_sha256") != digest
        ]

    async def of(self, spec: ModelProxySpec) -> list[Object]:
        """Return the pods of a proxy that are to stay, asked of the cluster."""
        selector = labels.selector(kind=spec.kind, name=spec.name)
        listing = await self._client.list(
            POD,
            namespace=spec.namespace,
            label_selector=",".join(f"{key}={value}" for key, value in selector.items()),
        )
        return [pod for pod in listing.items if not pod["metadata"].get("deletionTimestamp")]

    async def hasten(self, pods: Sequence[Object], digest: str) -> None:
        """Have kubelets bring the keys of that SHA-256 at once, as far as pods may be touched.

        A kubelet looks at what a pod mounts whenever the pod changes, and else every minute or so.
        """
        for pod in pods:
            try:
                await self._annotate(pod, labels.KEYS_HASH, digest[:16])
            except ForbiddenError:
                return
            except (NotFoundError, ConflictError, UnavailableError):
                continue

    async def _annotate(self, pod: Object, name: str, value: str) -> None:
        ref = ref_of(pod)
        live: Object | None = pod
        for attempt in range(1, _PATCH_ATTEMPTS + 1):
            if live is None or (live["metadata"].get("annotations") or {}).get(name) == value:
                return
            try:
                await self._client.patch(ref, operations=_annotating(live, name, value))
                return
            except ConflictError:
                if attempt == _PATCH_ATTEMPTS:
                    raise
            field = f"metadata.name={ref.name}"
            listing = await self._client.list(POD, namespace=ref.namespace, field_selector=field)
            live = next(iter(listing.items), None)

    async def _answers(self, pods: Sequence[Ref], path: str) -> list[Mapping[str, Any] | None]:
        return await asyncio.gather(*(self._answer(pod, path) for pod in pods))

    async def _answer(self, pod: Ref, path: str) -> Mapping[str, Any] | None:
        """Return what a pod answers, None where it has gone meanwhile."""
        for attempt in range(1, _TRIES + 1):
            try:
                answer = await self._requests.json(pod, path, port=HEALTH_PORT)
            except ForbiddenError as error:
                told, self._is_denial_told = self._is_denial_told, True
                raise NotAskedError("" if told else str(error)) from error
            except NotFoundError:
                return None
            except UnavailableError as error:
                if attempt == _TRIES:
                    raise NotAskedError(str(error)) from error
                await asyncio.sleep(1)
            else:
                return answer if isinstance(answer, Mapping) else {}
        return None


def serves(pod: Object) -> bool:
    """Return whether a pod gets requests."""
    return is_ready(pod) and not is_over(pod) and not pod["metadata"].get("deletionTimestamp")


def _annotating(live: Object, name: str, value: str) -> list[dict[str, Any]]:
    """Return the patch that adds an annotation to ``live`` if it is still the same."""
    metadata = live["metadata"]
    annotations = {**(metadata.get("annotations") or {}), name: value}
    return [
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": metadata["resourceVersion"],
        },
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
    ]
