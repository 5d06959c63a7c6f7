"""What proxies are tried in: two services of real models, two stubs, and a proxy over all of them.

Made once for all modules: a gateway takes its seconds to start. Each route of ``front`` has a
policy of its own, so that one gateway shows them all; each key a limit or a right of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from client_pods import NODES
from proxies_in_pods import Beside, Proxy, desired
from small_services import small_deployment
from stub_pod import StubPod

from modelfleet.fleet import new_incarnation
from modelfleet.local.api import Api

TEAM, NARROW = "sk-team-0123456789abcdef", "sk-narrow-0123456789abcdef"
KEYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "team": {"key": TEAM},
    "narrow": {"key": NARROW, "models": {"allow": ["one", "pair", "kept*"], "deny": ["pair"]}},
    "same-rights": {"key": "sk-same-0123456789abcdef"},
    "rpm": {"key": "sk-rpm-0123456789abcdef", "limits": {"rpm": 3}},
    "tps": {"key": "sk-tps-0123456789abcdef", "limits": {"tps": 10}},
    "tpm": {"key": "sk-tpm-0123456789abcdef", "limits": {"tpm": 10}},
    "tph": {"key": "sk-tph-0123456789abcdef", "limits": {"tph": 10}},
    "tpd": {"key": "sk-tpd-0123456789abcdef", "limits": {"tpd": 10}},
    "expired": {"key": "sk-old-0123456789abcdef", "expires_at": "2020-01-01T00:00:00Z"},
}
WEIGHTS: Final = {"tiny-chat": 80, "tiny-chat-b": 20}
"""Of the services that share ``chat``, by model; each is named as its model."""

GUARDED: Final = "the-forbidden-word"


def front_routes(a: str, b: str) -> dict[str, Any]:
    """Return the routes of ``front`` over stubs at two base URLs."""

    def to(base_url: str, model: str, **route: Any) -> dict[str, Any]:
        return {"targets": [{"base_url": base_url, "model_name": model}], **route}

    def one_try(**policies: Any) -> dict[str, Any]:
        return {"policies": {"num_retries": 0, **policies}}

    both = [{"base_url": a, "model_name": "pair"}, {"base_url": b, "model_name": "pair"}]
    windows = {
        f"route-{unit}": to(a, unit, **one_try(token_rate_limiter={unit: 10}))
        for unit in ("tps", "tpm", "tph", "tpd")
    }
    return {
        "chat": {
            "targets": [{"service": name, "weight": each} for name, each in WEIGHTS.items()],
        },
        "one": to(a, "one", **one_try()),
        "two": to(b, "two", **one_try()),
        "tried": to(a, "tried", policies={"num_retries": 2}),
        "pair": {"targets": both, "policies": {"num_retries": 1}},
        "first": to(a, "first", fallbacks=["second", "third"], policies={"num_retries": 1}),
        "second": to(b, "second", policies={"num_retries": 2}),
        "third": to(a, "third", **one_try()),
        "hasty": to(a, "hasty", **one_try(request_timeout=1)),
        "serial": to(a, "serial", **one_try(concurrency_limit=1)),
        "kept": to(a, "kept", **one_try(cache=True, cache_ttl_seconds=600)),
        "kept-too": to(a, "kept", **one_try(cache=True, cache_ttl_seconds=600)),
        "guarded": to(
            a,
            "guarded",
            **one_try(
                ai_guardrail_config={
                    "check_request": True,
                    "blocked_words": [GUARDED],
                    "max_text_length": 10_000,
                }
            ),
        ),
        "vectors": to(a, "vectors", model_type="text-embedding", **one_try()),
        "ranks": to(a, "ranks", model_type="rerank", **one_try()),
        "hears": to(a, "hears", model_type="speech2text", **one_try()),
        "speaks": to(a, "speaks", model_type="tts", **one_try()),
        **windows,
    }


class Service:
    """A service of a tiny model, named as the model."""

    def __init__(self, model: str, *, namespace: str, beside: Beside) -> None:
        self._model, self._namespace, self._fleet = model, namespace, beside.fleet
        self._incarnation = new_incarnation()

    async def apply(self, **fields: Any) -> None:
        """Converge on it."""
        wanted = desired(
            "ModelService",
            self._model,
            namespace=self._namespace,
            deployment=small_deployment(self._model),
            **fields,
        )
        await self._fleet.apply(replace(wanted, incarnation=self._incarnation))


@dataclass(frozen=True)
class World:
    """A namespace, what is in it, and how more is put there."""

    namespace: str
    api: Api
    beside: Beside
    environment: Mapping[str, str]
    a: StubPod
    b: StubPod
    front: Proxy

    def proxy(self, name: str, **fields: Any) -> Proxy:
        """Return another proxy of this namespace, which is not there yet."""
        return Proxy(
            name,
            namespace=self.namespace,
            beside=self.beside,
            api=self.api,
            environment=self.environment,
            **fields,
        )


@pytest.fixture(scope="package")
def world(
    package_namespace: str, api: Api, kubeconfig: Path, environment: Mapping[str, str]
) -> Iterator[World]:
    """The world, all of it ready."""
    beside = Beside(kubeconfig)
    stubs = [
        StubPod(
            name,
            namespace=package_namespace,
            node=node,
            api=api,
            beside=beside,
            environment=environment,
        )
        for name, node in zip(("stub-a", "stub-b"), NODES, strict=True)
    ]
    a, b = stubs
    front = Proxy(
        "front",
        namespace=package_namespace,
        beside=beside,
        api=api,
        environment=environment,
        routes=front_routes(a.base_url, b.base_url),
        api_keys=KEYS,
    )
    services = [Service(model, namespace=package_namespace, beside=beside) for model in WEIGHTS]
    try:
        # A proxy wants its services to be there, not to be ready.
        beside.all(*(each.apply(wait={"until": "accepted"}) for each in services))
        beside.all(*(each.apply() for each in services), front.apply())
        yield World(package_namespace, api, beside, environment, a, b, front)
    finally:
        for stub in stubs:
            stub.close()
        beside.close()


@pytest.fixture
def a(world: World) -> StubPod:
    """The first stub, as new. The other one is, too."""
    world.a.reset()
    world.b.reset()
    return world.a


@pytest.fixture
def b(world: World, a: StubPod) -> StubPod:
    """The second stub, as new."""
    return world.b


@pytest.fixture
def front(world: World, a: StubPod) -> Proxy:
    """The proxy over everything, over stubs that are as new."""
    return world.front
