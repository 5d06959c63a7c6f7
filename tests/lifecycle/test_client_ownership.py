"""What the SDK may do to what others declared, and d.run's verbs on what runs here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleets import OWNER, desired
from fleets import external as declared_externally
from fleets import hosted as declared_hosted
from sdk import Do, async_form, config_of, external, hosted, proxy, sync_form

from modelfleet.client import (
    ClientError,
    Config,
    ModelClient,
    ModelProxy,
    ModelProxyUpdateInput,
    ModelService,
    ModelServiceUpdateInput,
    Status,
)
from modelfleet.fleet import Fleet
from modelfleet.labels import REPLICAS_TO_START


@pytest.fixture(params=[sync_form, async_form], ids=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Do:
    return request.param


@pytest.fixture
def config(fleet_kubeconfig: Path, namespace: str) -> Config:
    return config_of(fleet_kubeconfig, namespace)


UPDATE = ModelServiceUpdateInput(description="mine now")

WRITES: dict[str, tuple[Any, ...]] = {
    "update": (UPDATE,),
    "delete": (),
    "scale": (2,),
    "stop": (),
    "start": (2,),
}


@pytest.mark.parametrize("verb", WRITES)
async def test_what_a_stack_declared_is_read_and_not_written_unless_taken_over(
    fleet: Fleet, config: Config, namespace: str, verb: str
) -> None:
    await fleet.apply(desired(declared_hosted(namespace)))
    service = await ModelService.get_by_name_async("qwen", config)
    assert service.owner == OWNER
    await service.wait_until_ready_or_failed_async(timeout_seconds=240)
    assert [each.owner for each in await ModelService.list_all_async(config=config)] == [OWNER]

    with pytest.raises(ClientError, match=OWNER) as caught:
        await getattr(service, f"{verb}_async")(*WRITES[verb])
    assert caught.value.status_code == 409
    assert (await service.refresh_async()).owner == OWNER

    await getattr(service, f"{verb}_async")(*WRITES[verb], take_ownership=True)
    if verb == "delete":
        assert service.status == Status.DELETING
    else:
        assert service.owner == "modelfleet-client"


async def test_a_config_can_take_over_whatever_is_written_with_it(
    fleet: Fleet, config: Config, namespace: str
) -> None:
    await fleet.apply(desired(declared_externally(namespace)))
    taking = Config.with_configs(config, Config(take_ownership=True, owner="me"))
    async with ModelClient(taking) as client:
        assert (await client.update_async("qwen", UPDATE)).owner == "me"
        other = Config(owner="other", take_ownership=False)
        with pytest.raises(ClientError, match="belongs to me"):
            await client.update_async("qwen", ModelServiceUpdateInput(description="x"), other)


def replicas_of(resource: ModelService | ModelProxy) -> int | None:
    return resource.refresh().replicas


@pytest.mark.parametrize("kind", ["service", "proxy"])
def test_replicas_are_set_stopped_and_started_again_as_many_as_before(
    do: Do, config: Config, kind: str
) -> None:
    resource: ModelService | ModelProxy
    if kind == "service":
        resource = ModelService.create(hosted(), config)
    else:
        ModelService.create(external(), config)
        resource = ModelProxy.create(proxy(tags={"team": "a"}), config)
    assert do(resource, "scale", 3) is resource
    assert replicas_of(resource) == 3
    resource.wait_until_ready_or_failed(timeout_seconds=240)
    assert (resource.status, resource.ready_replicas) == (Status.READY, 3)
    assert do(resource, "stop") is resource
    assert replicas_of(resource) == 0
    resource.wait_until_ready_or_failed(timeout_seconds=240)
    assert resource.status == Status.STOPPED
    assert REPLICAS_TO_START not in (resource.tags or {}), "a note of ours is no tag of theirs"
    do(resource, "stop")
    do(resource, "start")
    assert replicas_of(resource) == 3, "a second stop forgets nothing"
    do(resource, "start")
    assert replicas_of(resource) == 3, "what runs already stays as it is"
    do(resource, "stop")
    do(resource, "start", 2)
    assert replicas_of(resource) == 2


def test_what_was_never_stopped_starts_with_one(do: Do, config: Config) -> None:
    service = ModelService.create(hosted(replicas=0), config)
    do(service, "start")
    assert replicas_of(service) == 1


def test_a_note_of_a_stop_does_not_outlive_it(do: Do, config: Config) -> None:
    service = ModelService.create(hosted(replicas=4), config)
    do(service, "stop")
    do(service, "scale", 2)
    do(service, "update", ModelServiceUpdateInput(deployment={"replicas": 0}))
    do(service, "start")
    assert replicas_of(service) == 1


@pytest.mark.parametrize(("verb", "arguments"), [("scale", (2,)), ("stop", ()), ("start", ())])
def test_what_runs_elsewhere_has_no_replicas_here(
    do: Do, config: Config, verb: str, arguments: tuple[int, ...]
) -> None:
    service = ModelService.create(external(), config)
    with pytest.raises(ClientError, match="is external: it runs elsewhere") as caught:
        do(service, verb, *arguments)
    assert caught.value.status_code == 400


def test_a_target_that_makes_no_sense_is_refused(do: Do) -> None:
    service = ModelService(model_service_name="qwen")
    with pytest.raises(ValueError, match="at least 0, not -1"):
        do(service, "scale", -1)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        do(service, "start", 0)


def test_keys_that_are_made_are_told_once_and_never_shown(do: Do, config: Config) -> None:
    ModelService.create(external(), config)
    made = do(ModelProxy, "create", proxy(api_keys={"app": {"generate": {}}}), config)
    assert isinstance(made, ModelProxy)
    [key] = made.generated_api_keys.values()
    assert key.startswith("sk-")
    assert key not in f"{made!r}{made.model_dump()}"
    assert made.refresh().generated_api_keys == {"app": key}, "whoever made it keeps it"
    assert do(ModelProxy, "get_by_name", "gate", config).generated_api_keys == {}
    made.update(ModelProxyUpdateInput(api_keys={"app": {"generate": {"rotation": "2"}}}))
    assert made.generated_api_keys["app"] != key
