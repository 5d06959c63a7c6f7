"""The SDK in a process: connections, the end, forks, and what is said about clusters."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fleets import behaving
from sdk import config_of, external, hosted

from modelfleet.background import run
from modelfleet.client import (
    ClientError,
    Config,
    ModelClient,
    ModelService,
    ModelServiceListInput,
    ModelServiceUpdateInput,
    Status,
    connections,
)

SECONDS_TO_END = 300

PYTHON = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning"]
"""What is left open shows. That forking threads may go wrong, 3.12 warns; it is the subject."""


@pytest.fixture
def config(fleet_kubeconfig: Path, namespace: str) -> Config:
    return config_of(fleet_kubeconfig, namespace)


def connection_of(config: Config) -> connections.Connection:
    async def borrowed() -> connections.Connection:
        async with connections.connected(config) as connection:
            return connection

    return run(borrowed())


@pytest.fixture
def own(fleet_kubeconfig: Path, namespace: str, tmp_path: Path) -> Config:
    """A Config whose connection nobody else uses."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(fleet_kubeconfig.read_text())
    return config_of(kubeconfig, namespace)


def test_all_calls_of_a_process_share_one_connection_per_cluster(
    config: Config, own: Config
) -> None:
    ModelService.create(external(), config)
    elsewhere = Config.with_configs(config, Config(namespace="other", owner="other"))
    assert connection_of(config) is connection_of(elsewhere)
    with ModelClient(own) as client:
        assert client.list(ModelServiceListInput())
        assert connection_of(own) is not connection_of(config)


def test_a_connection_lives_as_long_as_an_open_client_uses_it(own: Config) -> None:
    first, second = ModelClient(own), ModelClient(own)
    for client in (first, second):
        client.list(ModelServiceListInput())
    connection = connection_of(own)
    first.close()
    first.close()
    assert connection_of(own) is connection
    with second:
        pass
    assert connection_of(own) is not connection
    assert second.list(ModelServiceListInput()) == [], "a closed client can be used again"
    second.close()


def test_threads_and_loops_use_the_sdk_at_the_same_time(config: Config) -> None:
    def in_sync(name: str) -> None:
        service = ModelService.create(external(name), config)
        service.update(ModelServiceUpdateInput(description=name))
        assert service.refresh().description == name
        service.delete_and_wait_until_finished()

    async def in_async(name: str) -> None:
        service = await ModelService.create_async(external(name), config)
        await service.update_async(ModelServiceUpdateInput(description=name))
        assert (await service.refresh_async()).description == name
        await service.delete_and_wait_until_finished_async()

    async def several(name: str) -> None:
        await asyncio.gather(*(in_async(f"{name}-{number}") for number in range(3)))

    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(in_sync, f"sync-{number}") for number in range(8)]
        loops = [pool.submit(asyncio.run, several(f"async-{number}")) for number in range(4)]
        for each in (*calls, *loops):
            each.result(timeout=240)
    assert ModelService.list_all(config=config) == []


def test_a_close_ends_no_call_of_others(own: Config) -> None:
    with ModelClient(own) as client:
        service = client.create(hosted(**behaving("slow")))
        looks = threading.Event()
        waiting = threading.Thread(
            target=service.wait_until_ready_or_failed,
            kwargs={"callback": lambda _: looks.set(), "timeout_seconds": 240},
        )
        waiting.start()
        assert looks.wait(timeout=240)
    waiting.join(timeout=240)
    assert service.status == Status.READY


PROGRAM = """
import asyncio, os, signal, sys, threading
from modelfleet.client import Config, ModelService, ModelServiceCreateInput, ProviderSettings

config = Config(namespace=os.environ["SPACE"])
settings = ProviderSettings(base_url="https://api.example.com/v1")
given = ModelServiceCreateInput(model_service_name="qwen", provider_settings=settings)
service = ModelService.create(given, config)
service.wait_until_ready_or_failed()
asyncio.run(service.refresh_async())
hosted = ModelServiceCreateInput(model_service_name="never", deployment={
    "model": {"uri": "file:///m"}, "node_selector": {"no": "where"},
    "runtime": {"name": "engine", "image": "registry.example.com/engine:1"}, "cpu": 0.1,
})
pending = ModelService.create(hosted, config)
seen = threading.Event()
def wait():
    try:
        pending.wait_until_ready_or_failed(lambda _: seen.set())
    except BaseException:
        pass
threading.Thread(target=wait, daemon=True).start()
assert seen.wait(240)
THEN
print(service.status)
"""

FORK = """
child = os.fork()
if child == 0:
    assert ModelService.list_all(config=config)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


INTERRUPT = """
interrupt = lambda _: os.kill(os.getpid(), signal.SIGINT)
try:
    pending.wait_until_ready_or_failed(interrupt, timeout_seconds=600)
except KeyboardInterrupt:
    pending.refresh()
"""


@pytest.mark.parametrize("then", ["", FORK, INTERRUPT], ids=["alone", "forked", "interrupted"])
def test_a_program_ends_by_itself_whatever_is_still_open(
    fleet_kubeconfig: Path, namespace: str, then: str
) -> None:
    environment = {**os.environ, "KUBECONFIG": str(fleet_kubeconfig), "SPACE": namespace}
    done = subprocess.run(
        [*PYTHON, "-c", PROGRAM.replace("THEN", then)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_TO_END,
        env=environment,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("READY\n", "", 0)


def test_the_environment_says_which_cluster_and_whose(
    fleet_kubeconfig: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters = {"prod": {"kubeconfig": str(fleet_kubeconfig)}}
    monkeypatch.setenv("MODELFLEET_CLUSTERS", json.dumps(clusters))
    monkeypatch.setenv("MODELFLEET_CLUSTER", "prod")
    monkeypatch.setenv("MODELFLEET_NAMESPACE", namespace)
    monkeypatch.setenv("MODELFLEET_OWNER", "team-a")
    made = ModelService.create(external())
    assert (made.namespace, made.cluster, made.owner) == (namespace, "prod", "team-a")
    with pytest.raises(ClientError, match=r"cluster 'test' is not configured .*default, prod"):
        ModelService.get_by_name("qwen", Config(cluster="test"))


def test_a_cluster_that_cannot_be_reached_is_no_missing_resource(tmp_path: Path) -> None:
    kubeconfig = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {}}],
    }
    config = Config(kubeconfig=json.dumps(kubeconfig), timeout=2)
    with ModelClient(config) as client, pytest.raises(ClientError) as caught:
        client.get("qwen")
    assert caught.value.status_code == 0
    with pytest.raises(ClientError, match="no kubeconfig at"):
        ModelClient(Config(kubeconfig=tmp_path / "missing")).get("qwen")


def test_a_namespace_that_is_missing_is_named(config: Config) -> None:
    nowhere = Config.with_configs(config, Config(namespace="nowhere-at-all"))
    with pytest.raises(ClientError, match="nowhere-at-all") as caught:
        ModelService.create(external(), nowhere)
    assert caught.value.status_code == 404
