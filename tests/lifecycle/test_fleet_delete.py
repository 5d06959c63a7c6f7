"""Deleting services: what goes, what stays, and what was left over.

Dimensions: is it there x whose incarnation it is x what keeps it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from fleets import (
    OTHER_OWNER,
    OWNER,
    desired,
    external,
    hold,
    hosted,
    let_go,
    names_in,
    pods_in,
    until_gone,
    updated,
    writes,
)

from modelfleet.cluster.apply import apply_objects
from modelfleet.desired import Kept
from modelfleet.errors import ConfigError, NotReadyError
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api

HOSTED = ["NetworkPolicy qwen", "Service qwen", "Deployment qwen"]


@pytest.mark.parametrize("kind", ["hosted", "external"])
async def test_a_deletion_leaves_nothing_and_a_second_one_finds_nothing(
    fleet: Fleet, namespace: str, kind: str
) -> None:
    inputs = external(namespace)
    if kind == "hosted":
        inputs = hosted(namespace, {"secret_env": {"TOKEN": "hush"}, "replicas": 2})
    service = desired(inputs)
    await fleet.apply(service)

    await fleet.delete(service)

    await until_gone(fleet.client, namespace)
    assert await pods_in(fleet.client, namespace) == set()
    before = writes(fleet.client)
    await fleet.delete(service)
    assert writes(fleet.client) == before


async def test_a_deletion_of_an_earlier_incarnation_touches_nothing(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    await fleet.apply(desired(hosted(namespace)))
    await fleet.delete(first)
    assert await names_in(fleet.client, namespace) == HOSTED


async def test_a_deletion_of_another_owner_touches_nothing(fleet: Fleet, namespace: str) -> None:
    service = desired(hosted(namespace))
    await fleet.apply(service)
    await fleet.delete(replace(service, owner=OTHER_OWNER))
    assert await names_in(fleet.client, namespace) == HOSTED


async def test_where_the_namespace_is_gone_there_is_nothing_to_delete(fleet: Fleet) -> None:
    await fleet.delete(desired(hosted("not-there")))


async def test_a_deletion_that_stays_away_is_told_and_goes_on_when_asked_again(
    fleet: Fleet, namespace: str, plane_api: Api
) -> None:
    service = desired(hosted(namespace))
    await fleet.apply(service)
    hold(plane_api, namespace)

    with pytest.raises(NotReadyError, match="is still being deleted after 1 s") as caught:
        await fleet.delete(service, timeout_seconds=1)
    assert "finalizers" in str(caught.value)

    again = asyncio.create_task(fleet.delete(service))
    await asyncio.sleep(0.2)
    assert not again.done()
    let_go(plane_api, namespace)
    await again
    assert await names_in(fleet.client, namespace) == []


async def test_a_protected_service_is_not_deleted(fleet: Fleet, namespace: str) -> None:
    service = desired(hosted(namespace, deletion_protection=True))
    await fleet.apply(service)
    with pytest.raises(ConfigError, match="has deletion_protection and would be deleted"):
        await fleet.delete(service)
    assert await names_in(fleet.client, namespace) == HOSTED
    open_again = updated(service, hosted(namespace))
    await fleet.apply(open_again)
    await fleet.delete(open_again)
    assert await names_in(fleet.client, namespace) == []


# What a crash has left


async def test_what_the_state_does_not_have_is_listed_and_pruned(
    fleet: Fleet, namespace: str
) -> None:
    kept, lost = desired(hosted(namespace)), desired(hosted(namespace, model_service_name="lost"))
    theirs = desired(external(namespace), owner=OTHER_OWNER)
    theirs = replace(theirs, spec=theirs.spec.model_copy(update={"model_service_name": "theirs"}))
    for service in (kept, lost, theirs):
        await fleet.apply(service)
    known = {kept.key: {kept.incarnation}}

    async def orphans() -> list[str]:
        found = await fleet.orphans(OWNER, known=known)
        return [f"{each.name} {each.incarnation}" for each in found if each.namespace == namespace]

    assert await orphans() == [f"lost {lost.incarnation}"]
    for orphan in await fleet.orphans(OWNER, known=known):
        if orphan.namespace == namespace:
            await fleet.prune(orphan, owner=OWNER)
    assert await names_in(fleet.client, namespace, name="lost") == []
    assert await names_in(fleet.client, namespace) == HOSTED
    assert await names_in(fleet.client, namespace, name="theirs") == ["Secret theirs-external"]


async def test_what_was_made_anew_since_it_was_listed_is_not_pruned(
    fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(hosted(namespace)))
    (orphan,) = [
        each for each in await fleet.orphans(OWNER, known={}) if each.namespace == namespace
    ]
    await fleet.apply(desired(hosted(namespace)))
    await fleet.prune(orphan, owner=OWNER)
    assert await names_in(fleet.client, namespace) == HOSTED


async def test_an_interrupted_replacement_leaves_nothing_that_may_be_pruned(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    second = desired(hosted(namespace))
    uid = await fleet.client.cluster_uid()
    half = second.objects(cluster_uid=uid, kept=Kept())[:2]
    await apply_objects(fleet.client, half, ownership=second.ownership)
    orphans = await fleet.orphans(OWNER, known={first.key: {first.incarnation}})
    assert [each for each in orphans if each.namespace == namespace] == []
