"""What a ModelProxy refers to must be there before it is: services, their names, Secrets.

Dimensions: what is referred to x how it is written x what is there.
"""

from __future__ import annotations

from typing import Any

import pytest
from fleets import desired as desired_service
from fleets import external, hold, let_go, names_in, objects_in
from module_fleet import ON_ONE_LOOP, module_fleet
from proxies import NAME, desired, make_secret, proxy, service, to_url, updated

from modelfleet.errors import SpecError
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api

__all__ = ["module_fleet"]  # a fixture, in the place of each test's own

pytestmark = ON_ONE_LOOP

ACCEPTED: dict[str, Any] = {"wait": {"until": "accepted"}}
SOMEWHERE = "https://api.example.com/v1"


async def refused(fleet: Fleet, declared: dict[str, Any]) -> str:
    """Return what is said of a proxy that is refused, of which nothing must be left."""
    with pytest.raises(SpecError) as caught:
        await fleet.apply(desired({**declared, **ACCEPTED}))
    namespace = declared["namespace"]
    assert await names_in(fleet.client, namespace, name=NAME) == []
    return str(caught.value)


async def test_every_service_that_is_missing_is_told_with_its_place(
    fleet: Fleet, namespace: str
) -> None:
    routes = {
        "chat": {"targets": [{"service": "qwen"}, {"service": {"id": "other/llama"}}]},
        "plain": {"targets": [to_url()]},
    }
    said = await refused(fleet, proxy(namespace, routes=routes))
    assert f"routes.chat.targets[0].service: there is no ModelService {namespace}/qwen" in said
    assert "routes.chat.targets[1].service: there is no ModelService other/llama" in said
    assert "plain" not in said


async def test_in_the_short_form_the_endpoint_is_named(fleet: Fleet, namespace: str) -> None:
    declared = {**proxy(namespace), "proxy_config": {"endpoints": [{"model_service_name": "qwen"}]}}
    del declared["routes"]
    said = await refused(fleet, declared)
    assert "proxy_config.endpoints[0].model_service_name: there is no ModelService" in said


async def test_a_service_that_this_process_has_just_made_is_there(
    fleet: Fleet, namespace: str
) -> None:
    for name in ("one", "two"):
        await fleet.apply(desired_service(service(namespace, name, **ACCEPTED)))
        declared = proxy(namespace, name, model_proxy_name=f"gate-{name}", **ACCEPTED)
        await fleet.apply(desired(declared))


async def test_a_service_that_is_being_deleted_counts_as_missing(
    fleet: Fleet, namespace: str, plane_api: Api
) -> None:
    qwen = desired_service(service(namespace, "qwen", **ACCEPTED))
    await fleet.apply(qwen)
    hold(plane_api, namespace)
    plane_api.send("DELETE", f"/apis/apps/v1/namespaces/{namespace}/deployments/qwen")
    try:
        assert "there is no ModelService" in await refused(fleet, proxy(namespace, "qwen"))
    finally:
        let_go(plane_api, namespace)


async def test_a_name_that_a_service_does_not_answer_to_is_refused_with_those_it_does(
    fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired_service(service(namespace, "qwen", workspace_id="team", **ACCEPTED)))
    said = await refused(fleet, proxy(namespace, "qwen"))
    assert f"{namespace}/qwen does not answer to 'qwen', but to team/qwen" in said
    assert "say which one in model_name" in said
    declared = proxy(namespace, {"service": "qwen", "model_name": "team/qwen"}, **ACCEPTED)
    await fleet.apply(desired(declared))


async def test_an_external_service_by_its_plain_name_is_refused_with_what_to_write(
    fleet: Fleet, namespace: str
) -> None:
    outside = external(namespace, base_url=SOMEWHERE, model_names=["gpt"])
    await fleet.apply(desired_service({**outside, "model_service_name": "openai"}))
    said = await refused(fleet, proxy(namespace, "openai"))
    assert "is external, so it has no address in the cluster" in said
    reference = {"id": f"{namespace}/openai", "base_url": SOMEWHERE, "model_names": ["gpt"]}
    assert f"{{id: {namespace}/openai, base_url: {SOMEWHERE}, model_names: [gpt]}}" in said
    await fleet.apply(desired(proxy(namespace, {"service": reference}, **ACCEPTED)))


async def test_an_external_service_as_a_fallback_by_its_plain_name_is_refused_with_what_to_write(
    fleet: Fleet, namespace: str
) -> None:
    outside = external(namespace, base_url=SOMEWHERE, model_names=["gpt"])
    await fleet.apply(desired_service({**outside, "model_service_name": "openai"}))
    upstream = {"base_url": SOMEWHERE, "model_name": "gpt"}
    policies = {"fallbacks": [{"model_service_name": "openai", "model_name": "gpt"}]}
    said = await refused(fleet, proxy(namespace, upstream, policies=policies))
    assert "fallbacks[0].model_service_name" in said
    assert "is external, so it has no address in the cluster" in said
    reference = {"id": f"{namespace}/openai", "base_url": SOMEWHERE, "model_names": ["gpt"]}
    assert f"{{id: {namespace}/openai, base_url: {SOMEWHERE}, model_names: [gpt]}}" in said
    missing = {**reference, "credential_name": "nobodys"}
    policies = {"fallbacks": [{"model_service_name": missing}]}
    said = await refused(fleet, proxy(namespace, upstream, policies=policies))
    assert "policies.fallbacks[0].model_service_name: there is no Secret nobodys" in said
    policies = {"fallbacks": [{"model_service_name": reference}]}
    await fleet.apply(desired(proxy(namespace, upstream, policies=policies, **ACCEPTED)))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"routes": {"a": {"targets": [to_url(credential_name="s/k")]}}}, "routes.a.targets[0]."),
        ({"credential_name": "s/k"}, ""),
        ({"redis": {"host": "redis.example.com", "credential_name": "s/k"}}, "redis."),
    ],
    ids=["a target's", "the callers'", "of Redis"],
)
async def test_a_secret_or_a_key_in_it_that_is_missing_is_told_by_field(
    fleet: Fleet, namespace: str, plane_api: Api, fields: dict[str, Any], field: str
) -> None:
    declared = proxy(namespace, **fields)
    said = await refused(fleet, declared)
    assert f"{field}credential_name: there is no Secret s in namespace {namespace}" in said
    make_secret(plane_api, namespace, "s", other="hush")
    said = await refused(fleet, declared)
    assert f"{field}credential_name: Secret s has no key k (it has: other)" in said
    assert "hush" not in said


async def test_each_secret_is_read_once_however_many_name_it(
    fleet: Fleet, namespace: str, plane_api: Api
) -> None:
    make_secret(plane_api, namespace, "s", a="1", b="2")
    targets = [to_url(f"{n}.example.com", credential_name=f"s/{'ab'[n % 2]}") for n in range(6)]
    await fleet.apply(desired(proxy(namespace, **ACCEPTED)))
    before = fleet.client.requests["get secrets"]
    other = proxy(namespace, *targets, model_proxy_name="other", **ACCEPTED)
    await fleet.apply(desired(other))
    # One for its own Secret, which is about to be written, and one for all of those it names.
    assert fleet.client.requests["get secrets"] == before + 2


async def test_an_update_that_is_refused_leaves_everything_as_it_was(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(proxy(namespace, **ACCEPTED))
    await fleet.apply(first)
    before = await objects_in(fleet.client, namespace, name=NAME)
    with pytest.raises(SpecError):
        await fleet.apply(updated(first, proxy(namespace, "gone", replicas=2, **ACCEPTED)))
    after = await objects_in(fleet.client, namespace, name=NAME)
    generations = [
        {ref: obj["metadata"].get("generation") for ref, obj in objects.items()}
        for objects in (before, after)
    ]
    assert generations[0] == generations[1]
