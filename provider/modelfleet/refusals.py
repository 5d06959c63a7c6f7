"""What keeps a resource from being deleted: its own protection, and the proxies that call it.

Reads, and raises; deleting is for ``writing``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.delete import is_anything_meant
from modelfleet.cluster.live import LiveObjects
from modelfleet.cluster.objects import DEPLOYMENT
from modelfleet.desired import KIND, Desired, protection_error
from modelfleet.errors import ConflictError
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.uses import proxies_using

_PROXIES: Final = (
    f"{labels.MANAGED_BY}={labels.MANAGED_BY_VALUE},{labels.KIND}={ModelProxySpec.kind}"
)
_LOOKS_AT_USERS: Final = 5
_SECONDS_BETWEEN_LOOKS: Final = 1.0


class Refusals:
    """Looks at the proxies of one cluster, all of them at the cost of one list."""

    def __init__(self, client: Client) -> None:
        """Nothing is sent before the first deletion."""
        self._client = client
        self._proxies = LiveObjects(client, [DEPLOYMENT], label_selector=_PROXIES)

    async def aclose(self) -> None:
        """End the watch."""
        await self._proxies.aclose()

    async def refuse_deletion(self, desired: Desired) -> None:
        """Raise what keeps a resource from being deleted.

        Raises:
            ConfigError: it is protected.
            ConflictError: a proxy sends requests to it.
        """
        spec = desired.spec
        users = await self._users(desired)
        # What a replacement under the same name has taken over is not deleted, so not protected.
        if not (spec.deletion_protection or users) or not await self._is_meant(desired):
            return
        if spec.deletion_protection:
            raise protection_error(spec.kind, desired.id, verb="deleted")
        raise ConflictError(
            desired.subject,
            f"is used by ModelProxy {', '.join(users)}",
            hint="Take it out of the routes of those first, or delete them.",
        )

    async def _users(self, desired: Desired) -> Sequence[str]:
        """Return the proxies that call a service and are to stay.

        A run that deletes both may begin with either: a proxy that names a service by plain text
        does not tell the engine that it needs it. So that one is given time to begin to go.
        """
        users: Sequence[str] = ()
        for look in range(_LOOKS_AT_USERS if desired.spec.kind == KIND else 0):
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS if look else 0)
            proxies = await self._proxies.read_all()
            users = proxies_using(desired.spec.namespace, desired.spec.name, proxies=proxies)
            if not users:
                break
        return users

    async def _is_meant(self, desired: Desired) -> bool:
        """Return whether a deletion would find anything of this very creation."""
        return await is_anything_meant(
            self._client,
            desired.refs,
            owners=desired.ownership.owners,
            incarnation=desired.incarnation or None,
        )
