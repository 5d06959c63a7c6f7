"""The verbs: get, list, watch, apply, patch, delete, over plain dicts.

What a verb means to the API server is decided here and nowhere else; whether an object may be
touched is decided by the callers (apply.py, delete.py). Every request but a watch is retried
while the server is unavailable.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, Literal

import httpx

from modelfleet.cluster.access import Access
from modelfleet.cluster.api_errors import Asked
from modelfleet.cluster.jitter import jittered
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.cluster.objects import NAMESPACE, Kind, Object, Ref, ref_of
from modelfleet.cluster.retry import RetryPolicy
from modelfleet.cluster.transport import Parameters, Transport, parameters_of
from modelfleet.cluster.wire import (
    Applied,
    Listing,
    WatchEvent,
    WatchExpired,
    decoded,
    encoded,
    event_in,
    typed,
)
from modelfleet.errors import ConflictError, NotFoundError

__all__ = ["Applied", "Client", "Listing", "WatchEvent", "WatchExpired"]

PAGE_SIZE: Final = 5_000
"""Objects per LIST: one request for any fleet we know of, and an end to each reply even so."""

WATCH_SECONDS: Final = 300
SILENCE_SECONDS: Final = 100.0
"""How long a watch may say nothing: bookmarks come every 60 to 75 seconds."""


class Client:
    """Reads and writes objects of one cluster. Belongs to the event loop that first uses it."""

    def __init__(
        self,
        access: Access,
        *,
        in_flight: int = 64,
        retry: RetryPolicy | None = None,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``in_flight`` bounds requests other than watches; ``http`` replaces the network."""
        self._transport = Transport(access, in_flight=in_flight, retry=retry, http=http)
        self._cluster_uid: asyncio.Task[str] | None = None

    @classmethod
    def connect(cls, *, kubeconfig: str | None = None, context: str | None = None) -> Client:
        """Return a client; nothing is sent yet.

        ``kubeconfig`` is YAML text or paths, None the ambient one or the pod's account, as
        ``load_access`` reads them. Raises ConfigError when that is unusable.
        """
        return cls(load_access(kubeconfig=kubeconfig, context=context))

    @property
    def access(self) -> Access:
        """The server, and where its address and the credentials were read from."""
        return self._transport.access

    @property
    def transport(self) -> Transport:
        """What sends requests, for verbs of other modules (subresources.py)."""
        return self._transport

    @property
    def requests(self) -> Counter[str]:
        """How many requests were sent, retries included, by ``"<verb> <plural>"``."""
        return self._transport.requests

    async def aclose(self) -> None:
        """Close all connections."""
        if self._cluster_uid is not None:
            self._cluster_uid.cancel()
        await self._transport.aclose()

    async def get(self, ref: Ref) -> Object | None:
        """Return the live object, or None where there is none."""
        try:
            return await self._send("get", ref, "GET", ref.path)
        except NotFoundError:
            return None

    async def list(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = PAGE_SIZE,
        slim: Callable[[Object], Object] | None = None,
    ) -> Listing:
        """Return all objects of a kind, of all namespaces where none is named.

        ``slim`` is applied to each object page by page, so that what it drops is never all in
        memory at once.
        """
        parameters = parameters_of(
            labelSelector=label_selector, fieldSelector=field_selector, limit=page_size
        )
        items: list[Object] = []
        while True:
            page = await self._send(
                "list", kind, "GET", kind.path(namespace=namespace), parameters=parameters
            )
            # A list names the kind once for all of its items; an object carries its own.
            objects = (typed(item, kind) for item in page.get("items") or ())
            items += map(slim, objects) if slim else objects
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listing(items, str(metadata.get("resourceVersion", "")))
            parameters = {**parameters, "continue": metadata["continue"]}

    async def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        namespace: str | None = None,
        label_selector: str = "",
        silence_seconds: float = SILENCE_SECONDS,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield what happens after ``resource_version``, until the server ends the watch.

        ``on_open`` is called when the server has agreed to it, before the first event.
        A normal end comes after some minutes: watch again from the last event's version. Raises
        WatchExpired when that version is too old, UnavailableError when the connection breaks or
        stays silent. Not retried here. Wrap it in ``contextlib.aclosing`` to leave it early.
        """
        asked = self.asked("watch", kind)
        parameters = parameters_of(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            # Spread, so that all watches of a fleet do not reconnect in the same second.
            timeoutSeconds=round(jittered(WATCH_SECONDS, least=2 / 3)),
        )
        lines = self._transport.lines(
            asked,
            kind.path(namespace=namespace),
            parameters=parameters,
            silence_seconds=silence_seconds,
            on_open=on_open,
        )
        try:
            async with aclosing(lines):
                async for line in lines:
                    if line:
                        yield event_in(line, kind, asked)
        except ConflictError as error:
            if error.status != httpx.codes.GONE:
                raise
            raise WatchExpired(asked.subject, "the watch expired", status=error.status) from error

    async def apply(self, obj: Object, *, field_manager: str, force: bool = False) -> Applied:
        """Apply ``obj`` server-side and return what became of it.

        With ``metadata.uid`` and ``metadata.resourceVersion`` in ``obj`` it is applied to that
        very object in that very state or not at all. Raises ConflictError for fields of other
        managers (unless ``force``) and for a changed object, NotFoundError for a missing
        namespace, ImmutableFieldError for what cannot be.
        """
        ref = ref_of(obj)
        parameters = {"fieldManager": field_manager, "force": "true" if force else "false"}
        asked = self.asked("apply", ref)
        response = await self._transport.send(
            asked,
            "PATCH",
            ref.path,
            parameters=parameters,
            content=encoded(obj),
            content_type="application/apply-patch+yaml",
        )
        live = decoded(response.content, asked)
        return Applied(live, created=response.status_code == httpx.codes.CREATED)

    async def patch(self, ref: Ref, *, operations: Iterable[Mapping[str, Any]]) -> Object:
        """Patch with JSON Patch ``operations`` and return the live object.

        To be repeatable they must carry a precondition, such as a replaced resourceVersion.
        """
        return await self._send(
            "patch",
            ref,
            "PATCH",
            ref.path,
            content=encoded(list(operations)),
            content_type="application/json-patch+json",
        )

    async def delete(
        self,
        ref: Ref,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Literal["Foreground", "Background", "Orphan"] = "Foreground",
    ) -> bool:
        """Ask for deletion; say whether there was anything to delete.

        Raises ConflictError when the object is not the one that ``uid`` and ``resource_version``
        name. It is gone only once its dependents and finalizers are.
        """
        preconditions = parameters_of(uid=uid, resourceVersion=resource_version)
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            **({"preconditions": preconditions} if preconditions else {}),
        }
        try:
            await self._send("delete", ref, "DELETE", ref.path, content=encoded(options))
        except NotFoundError:
            return False
        return True

    async def cluster_uid(self) -> str:
        """Return what identifies the cluster: the UID of its namespace kube-system.

        Asked once, and all who ask while there is no answer get the same one or the same failure:
        a server that is down is waited for once, not once by each of a hundred services.
        """
        if self._cluster_uid is None or _has_failed(self._cluster_uid):
            self._cluster_uid = asyncio.ensure_future(self._read_cluster_uid())
        return await asyncio.shield(self._cluster_uid)

    async def _read_cluster_uid(self) -> str:
        ref = Ref(NAMESPACE, "", "kube-system")
        live = await self._send("get", ref, "GET", ref.path)
        return str(live["metadata"]["uid"])

    async def _send(
        self,
        verb: str,
        target: Ref | Kind,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        content: bytes | None = None,
        content_type: str = "application/json",
    ) -> Object:
        asked = self.asked(verb, target)
        response = await self._transport.send(
            asked,
            method,
            path,
            parameters=parameters,
            content=content,
            content_type=content_type,
        )
        return decoded(response.content, asked)

    def asked(self, verb: str, target: Ref | Kind) -> Asked:
        """Return what messages say of a request."""
        kind = target.kind if isinstance(target, Ref) else target
        subject = str(target) if isinstance(target, Ref) else f"{kind.kind} objects"
        return Asked(
            subject=subject,
            verb=verb,
            plural=kind.plural,
            server=self.access.server,
            access=self.access.source,
        )


def _has_failed(task: asyncio.Task[str]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
