"""What Pulumi states point to. Never move, rename or remove anything in this module.

Every dynamic resource of every stack carries a pickled reference to a function of this module;
refresh and destroy of a stack made years ago import it by this very name. It holds no code of its
own, imports late (unpickling must not depend on what a provider needs), and its references are
recorded in ``tests/fixtures/provider-blobs.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulumi.dynamic import ResourceProvider


def model_proxy_provider() -> ResourceProvider:
    """Return the provider of ModelProxy."""
    from modelfleet.adapters.dynamic.provider import ModelProxyProvider

    return ModelProxyProvider()


def model_service_provider() -> ResourceProvider:
    """Return the provider of ModelService."""
    from modelfleet.adapters.dynamic.provider import ModelServiceProvider

    return ModelServiceProvider()
