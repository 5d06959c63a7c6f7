"""Waiting with the SDK: what callbacks see, how a wait ends, and what it does to others."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from fleets import behaving, hold, let_go
from sdk import Do, async_form, config_of, external, hosted, sync_form

from modelfleet.background import run
from modelfleet.client import (
    Config,
    DeleteResourceError,
    ModelService,
    ModelServiceUpdateInput,
    NotReadyError,
    ResourceNotExistError,
    Status,
    connections,
    waits,
)
from modelfleet.local.api import Api


@pytest.fixture(params=[sync_form, async_form], ids=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Do:
    return request.param


@pytest.fixture
def config(fleet_kubeconfig: Path, namespace: str) -> Config:
    return config_of(fleet_kubeconfig, namespace)


def test_a_wait_tells_its_callback_of_every_look_and_ends_with_what_is_there(
    do: Do, config: Config
) -> None:
    service = ModelService.create(hosted(), config)
    seen: list[Any] = []

    def note(each: ModelService) -> None:
        assert each is service
        seen.append(each.status)

    assert do(service, "wait_until_ready_or_failed", note, 0.1, 240) is None
    assert seen[-1] == service.status == Status.READY
    assert set(seen[:-1]) <= {Status.CREATING}


def test_a_wait_for_what_is_over_already_looks_once(do: Do, config: Config) -> None:
    service = ModelService.create(external(), config)
    seen: list[Any] = []
    do(service, "wait_until_ready_or_failed", lambda each: seen.append(each.status))
    assert seen == [Status.READY]


def test_an_update_can_be_waited_for_as_a_creation_can(do: Do, config: Config) -> None:
    service = ModelService.create(hosted(), config)
    service.wait_until_ready_or_failed(timeout_seconds=240)
    do(service, "update", ModelServiceUpdateInput(deployment={"env": {"A": "1"}}))
    assert service.status in (Status.UPDATING, Status.READY), "its pod may have been fast"
    do(service, "wait_until_ready_or_failed", timeout_seconds=240)
    assert service.status == Status.READY
    assert service.deployment is not None
    assert service.deployment["env"] == {"A": "1"}


def test_a_failure_ends_a_wait_quietly_or_with_the_diagnosis_as_one_likes(
    do: Do, config: Config
) -> None:
    service = ModelService.create(hosted(**behaving("image-pull")), config)
    assert do(service, "wait_until_ready_or_failed", timeout_seconds=240) is None
    assert service.status == Status.CREATE_FAILED
    assert service.status_reason
    with pytest.raises(NotReadyError, match="is CREATE_FAILED") as caught:
        do(service, "wait_until_ready_or_failed", raise_on_failure=True)
    assert "image" in " ".join(caught.value.reasons)


def test_a_wait_that_takes_too_long_says_how_it_is_and_why(do: Do, config: Config) -> None:
    service = ModelService.create(hosted(node_selector={"no": "where"}), config)

    def until_no_node_takes_it(each: ModelService) -> None:
        if "node" in (each.status_reason or ""):
            raise EnoughError

    with pytest.raises(EnoughError):
        do(service, "wait_until_ready_or_failed", until_no_node_takes_it, 0.1, 240)
    with pytest.raises(TimeoutError, match=r"qwen is CREATING after 0\.5 s: .*node"):
        do(service, "wait_until_ready_or_failed", None, 0.1, 0.5)
    seen: list[Any] = []
    with pytest.raises(TimeoutError):
        do(service, "wait_until_ready_or_failed", seen.append, 0, 0)
    assert seen


class EnoughError(Exception):
    """Ends a wait from within its callback."""


def test_looks_cost_no_requests(do: Do, config: Config) -> None:
    service = ModelService.create(hosted(node_selector={"no": "where"}), config)
    service.refresh()
    before = run(_requests(config))
    seen: list[Any] = []

    def look(each: ModelService) -> None:
        seen.append(each)
        if len(seen) == 10:
            raise EnoughError

    with pytest.raises(EnoughError):
        do(service, "wait_until_ready_or_failed", look, 0.05, 240)
    # What other tests left behind may still cost the watches a request or two.
    assert run(_requests(config)) - before <= 5


async def _requests(config: Config) -> int:
    async with connections.connected(config) as connection:
        return sum(connection.fleet.client.requests.values())


def test_a_callback_may_use_the_sdk_and_what_it_raises_ends_the_wait(
    do: Do, config: Config
) -> None:
    service = ModelService.create(hosted(node_selector={"no": "where"}), config)

    def interrupt(each: ModelService) -> None:
        assert ModelService.get_by_name("qwen", config).status == Status.CREATING
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        do(service, "wait_until_ready_or_failed", interrupt, timeout_seconds=240)


async def test_a_callback_of_an_async_wait_may_be_a_coroutine_function(config: Config) -> None:
    service = await ModelService.create_async(external(), config)
    seen: list[Any] = []

    async def note(each: ModelService) -> None:
        await each.refresh_async()
        seen.append(each.status)

    await service.wait_until_ready_or_failed_async(note)
    assert seen == [Status.READY]


def test_a_wait_for_what_is_gone_says_so(do: Do, config: Config) -> None:
    service = ModelService.create(external(), config)
    ModelService.delete_by_name("qwen", config)
    with pytest.raises(ResourceNotExistError, match="qwen"):
        do(service, "wait_until_ready_or_failed")


def test_a_deletion_is_waited_for_until_nothing_is_left_and_again_in_silence(
    do: Do, config: Config
) -> None:
    service = ModelService.create(hosted(), config)
    seen: list[Any] = []
    do(service, "delete_and_wait_until_finished", lambda each: seen.append(each.status), 0.1, 240)
    assert set(seen) <= {Status.DELETING}
    assert do(service, "delete_and_wait_until_finished") is None


def test_a_deletion_that_takes_too_long_says_so(do: Do, config: Config, plane_api: Api) -> None:
    service = ModelService.create(hosted(), config)
    hold(plane_api, config.get_namespace())
    with pytest.raises(TimeoutError, match="qwen is DELETING after"):
        do(service, "delete_and_wait_until_finished", None, 0.1, 0.5)
    let_go(plane_api, config.get_namespace())
    do(service, "delete_and_wait_until_finished", None, 0.1, 240)


def test_a_namesake_made_meanwhile_is_not_what_was_deleted(do: Do, config: Config) -> None:
    first = ModelService.create(external(), config)
    ModelService.get_by_name("qwen", config).delete_and_wait_until_finished()
    second = ModelService.create(external(description="another"), config)
    seen: list[Any] = []
    do(first, "delete_and_wait_until_finished", seen.append)
    assert not seen
    with pytest.raises(ResourceNotExistError):
        do(first, "delete")
    assert do(second, "refresh").description == "another"


def test_a_deletion_that_did_not_happen_is_an_error(config: Config) -> None:
    service = ModelService.create(external(), config)
    wait = waits.until_gone(
        "qwen",
        "ModelService",
        lambda _: None,
        config=config,
        incarnation=service._incarnation,
        interval_seconds=1,
        timeout_seconds=1,
    )
    with pytest.raises(DeleteResourceError, match="Reason: Resource status is READY"):
        run(wait)


async def test_async_forms_leave_the_callers_loop_free(config: Config) -> None:
    service = await ModelService.create_async(hosted(node_selector={"no": "where"}), config)
    wait = asyncio.create_task(service.wait_until_ready_or_failed_async(timeout_seconds=240))
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert not wait.done(), "the loop went on beside it"
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait


async def test_sync_forms_work_inside_of_a_running_loop_as_in_a_notebook(config: Config) -> None:
    service = ModelService.create(external(), config)
    service.wait_until_ready_or_failed()
    service.delete_and_wait_until_finished()
    assert ModelService.list_all(config=config) == []


async def test_a_cancelled_wait_is_over_at_once(config: Config) -> None:
    service = await ModelService.create_async(hosted(node_selector={"no": "where"}), config)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await service.wait_until_ready_or_failed_async(timeout_seconds=2400)


def test_many_threads_wait_on_one_watch(config: Config) -> None:
    service = ModelService.create(hosted(), config)
    handles = [ModelService.get_by_name("qwen", config) for _ in range(16)]
    threads = [threading.Thread(target=each.wait_until_ready_or_failed) for each in handles]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=240)
    assert {each.status for each in handles} == {Status.READY}
    assert service.refresh().status == Status.READY
