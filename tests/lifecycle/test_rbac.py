"""The ClusterRole that ships with the project grants what is used, and nothing that is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import proxies
import pytest
import yaml

from modelfleet.errors import NotReadyError
from modelfleet.fleet import Desired, Fleet, new_incarnation
from modelfleet.plan import spec_of

ROLE: Final = Path(__file__).parents[2] / "docs" / "rbac.yaml"

VERBS_OF_RBAC: Final[Mapping[str, tuple[str, ...]]] = {
    "apply": ("patch", "create"),
    "log": ("get",),
    "reach": ("get", "create"),
}
"""What the API server asks for where our verb has another name; else it has the same one."""

SUBRESOURCES: Final[Mapping[str, str]] = {"log": "pods/log", "reach": "pods/portforward"}


def desired(namespace: str, name: str, **declared: Any) -> Desired:
    inputs = {"model_service_name": name, "namespace": namespace, **declared}
    return Desired(spec_of(inputs), owner="acme/fleet/prod", incarnation=new_incarnation())


def hosted(namespace: str, name: str, **deployment: Any) -> Desired:
    model = {"model": {"uri": "hf://Qwen/Qwen3-8B"}, "gpu": {"product": "NVIDIA-L4"}}
    fields = {"deployment": {**model, **deployment}, "wait": {"timeout_seconds": 240}}
    return desired(namespace, name, **fields)


def crashing(namespace: str, name: str) -> Desired:
    return hosted(
        namespace,
        name,
        gpu={"count": 1},
        node_selector={"modelfleet.test/behaviour": "crash-loop"},
        tolerations=[{"key": "modelfleet.test/behaviour"}],
    )


async def live_as_a_gateway(fleet: Fleet, namespace: str) -> Desired:
    """Do everything that is done for a proxy beside that; for its first Redis there is no disk."""
    declared = proxies.proxy(namespace, "qwen", api_keys={"ci": {"key": "sk-not-a-real-key-01"}})
    with_redis = {**declared, "redis": {"managed": True}, "wait": {"timeout_seconds": 2}}
    first = proxies.desired(with_redis)
    with pytest.raises(NotReadyError, match="Its Redis is not ready"):
        await fleet.apply(first)
    second = proxies.updated(first, declared)
    await fleet.apply(second)
    keys = {"ci": {"key": "sk-not-a-real-key-02"}}
    third = proxies.updated(second, {**declared, "api_keys": keys})
    await fleet.apply(third)
    assert await fleet.drift(third)
    return third


async def live_and_die(fleet: Fleet, namespace: str) -> None:
    """Do everything a fleet can do, its failures included."""
    first = hosted(namespace, "qwen", secret_env={"VLLM_API_KEY": "not-a-real-key"})
    settings = {"base_url": "https://api.openai.com/v1"}
    external = desired(namespace, "openai", provider_settings=settings)
    # No volume is there to bind the claim to; what is asked of the cluster is the same.
    storage = {"kind": "pvc", "size_gib": 10, "access_mode": "ReadWriteMany"}
    cached = hosted(namespace, "cached", storage=storage, disruption={})
    accepted = cached.spec.wait.model_copy(update={"until": "accepted"})
    cached = replace(cached, spec=cached.spec.model_copy(update={"wait": accepted}))
    for each in (first, external, cached):
        await fleet.apply(each)
    rolled = replace(
        hosted(namespace, "qwen", max_model_len=8192),
        incarnation=first.incarnation,
        owner="acme/fleet/renamed",
        former_owner=first.owner,
        prior=first.spec,
    )
    await fleet.apply(rolled)
    with pytest.raises(NotReadyError, match="Last log lines"):
        await fleet.apply(crashing(namespace, "broken"))
    assert await fleet.drift(rolled)
    gateway = await live_as_a_gateway(fleet, namespace)
    assert await fleet.list()
    for each in (gateway, rolled, external, cached):
        await fleet.delete(each)


def used(requests: Mapping[str, int]) -> set[tuple[str, str]]:
    """Return the pairs of RBAC verb and resource that stand behind ``requests``."""
    pairs = set()
    for request in requests:
        verb, _, plural = request.partition(" ")
        resource = SUBRESOURCES.get(verb, plural)
        pairs |= {(each, resource) for each in VERBS_OF_RBAC.get(verb, (verb,))}
    return pairs


async def test_the_shipped_role_grants_exactly_the_verbs_that_are_used(
    fleet: Fleet, namespace: str
) -> None:
    rules = yaml.safe_load(ROLE.read_text())["rules"]
    granted = {
        (verb, resource)
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    await live_and_die(fleet, namespace)
    assert used(fleet.client.requests) == granted
