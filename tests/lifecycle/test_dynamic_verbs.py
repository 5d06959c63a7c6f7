"""The verbs of the Pulumi provider on a real API server, called without an engine.

Where no engine's call is found, as here, a failure cannot be put into the state: what was made is
taken back. What the engine makes of answers is shown by ``tests/engine``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fleets import OTHER_OWNER, OWNER, behaving, external, hosted, names_in
from pulumi.dynamic import Config, ConfigureRequest
from writing import Kubectl, in_thread

from modelfleet.adapters.dynamic.provider import ModelServiceProvider
from modelfleet.adapters.dynamic.state import SCHEMA_VERSION
from modelfleet.clusters import CONFIG_KEY
from modelfleet.errors import ConfigError, NotFoundError, NotReadyError, SpecError
from modelfleet.fleet import Fleet
from modelfleet.render import RENDERER_VERSION
from modelfleet.spec.merge import merged

Props = dict[str, Any]

BROKEN = behaving("crash-loop")
HOSTED = ["NetworkPolicy qwen", "Service qwen", "Deployment qwen"]


def provider_of(kubeconfig: Path, *, name: str = "default") -> ModelServiceProvider:
    clusters = {name: {"kubeconfig": str(kubeconfig)}}
    provider = ModelServiceProvider()
    provider.configure(
        ConfigureRequest(Config({f"modelfleet:{CONFIG_KEY}": json.dumps(clusters)}, "test"))
    )
    return provider


@pytest.fixture
def provider(fleet_kubeconfig: Path) -> ModelServiceProvider:
    return provider_of(fleet_kubeconfig)


@pytest.fixture
def kubectl(plane_environment: Mapping[str, str], namespace: str) -> Kubectl:
    return Kubectl(plane_environment, namespace)


def checked(
    provider: ModelServiceProvider, inputs: Props, *, state: Props | None = None, owner: str = OWNER
) -> Props:
    """Return the inputs that ``check`` answers, as the engine passes them on."""
    result = provider.check(state or {}, {**inputs, "owner": owner})
    assert [each.reason for each in result.failures] == []
    return result.inputs


async def created(provider: ModelServiceProvider, inputs: Props) -> Props:
    result = await asyncio.to_thread(provider.create, checked(provider, inputs))
    assert result.outs is not None
    return result.outs


async def update(
    provider: ModelServiceProvider, state: Props, inputs: Props, *, owner: str = OWNER
) -> Props:
    news = checked(provider, inputs, state=state, owner=owner)
    result = await asyncio.to_thread(provider.update, state["model_service_id"], state, news)
    assert result.outs is not None
    return result.outs


async def read(provider: ModelServiceProvider, state: Props) -> tuple[Props, Props]:
    """Return inputs and outputs that a refresh puts into the state."""
    result = await asyncio.to_thread(provider.read, state["model_service_id"], state)
    assert result.id == state["model_service_id"]
    assert result.outs is not None
    assert result.inputs is not None
    return result.inputs, result.outs


async def test_a_state_has_what_was_declared_what_was_planned_and_what_is_live(
    provider: ModelServiceProvider, namespace: str
) -> None:
    inputs = hosted(namespace)
    state = await created(provider, inputs)
    assert state["base_url"] == f"http://qwen.{namespace}.svc/v1"
    assert state["deployment"] == inputs["deployment"]
    assert state["status"] == "READY"
    assert state["owner"] == OWNER
    assert len(state["incarnation"]) == 16
    assert state["renderer_version"] == RENDERER_VERSION
    assert state["schema_version"] == SCHEMA_VERSION


async def test_an_update_keeps_the_incarnation_and_a_second_create_has_its_own(
    provider: ModelServiceProvider, namespace: str
) -> None:
    state = await created(provider, hosted(namespace))
    after = await update(provider, state, hosted(namespace, {"replicas": 2}))
    assert after["incarnation"] == state["incarnation"]
    assert (await created(provider, hosted(namespace)))["incarnation"] != state["incarnation"]


async def test_a_create_that_fails_leaves_nothing(
    provider: ModelServiceProvider, fleet: Fleet, namespace: str
) -> None:
    with pytest.raises(NotReadyError, match=r"failed\. Pod qwen-.* It was removed again\."):
        await created(provider, hosted(namespace, BROKEN))
    assert await names_in(fleet.client, namespace) == []


async def test_an_update_that_fails_puts_back_what_was_in_force(
    provider: ModelServiceProvider, fleet: Fleet, namespace: str
) -> None:
    inputs = hosted(namespace, {"env": {"A": "1"}})
    state = await created(provider, inputs)
    broken = hosted(namespace, {**BROKEN, "secret_env": {"TOKEN": "hush"}})
    with pytest.raises(NotReadyError, match=r"It was put back\.$"):
        await update(provider, state, broken)
    assert await names_in(fleet.client, namespace) == HOSTED
    live, outs = await read(provider, state)
    assert live["deployment"] == inputs["deployment"]
    assert "drift" not in outs


@pytest.mark.parametrize("name", ["hosted", "external"])
async def test_a_refresh_after_an_up_changes_nothing(
    provider: ModelServiceProvider, namespace: str, name: str
) -> None:
    inputs = hosted(namespace, {"secret_env": {"TOKEN": "hush"}, "env": {"WORKERS": 8.0}})
    if name == "external":
        inputs = external(namespace, api_key="hush")
    state = await created(provider, inputs)
    live, outs = await read(provider, state)
    assert live == {key: state[key] for key in live}
    assert outs == state


async def test_a_refresh_shows_drift_once_and_for_all_and_the_next_up_repairs_it(
    provider: ModelServiceProvider, namespace: str, kubectl: Kubectl
) -> None:
    inputs = hosted(namespace, {"env": {"WORKERS": 8.0}, "secret_env": {"TOKEN": "hush"}})
    state = await created(provider, inputs)
    await in_thread(lambda: kubectl("scale", "deployment/qwen", "--replicas=3"))
    await in_thread(lambda: kubectl("delete", "service", "qwen"))
    for _ in range(960):
        live, outs = await read(provider, state)
        if len(outs.get("drift", {})) == 2 and outs["status"] == "READY":
            break
        await asyncio.sleep(0.25)

    assert live["drift"] == {
        f"Service {namespace}/qwen": "is missing",
        "deployment.replicas": "set to 3 by kubectl",
    }
    assert live["deployment"] == {**inputs["deployment"], "replicas": 3}
    assert await read(provider, outs) == (live, outs)

    repaired = await update(provider, outs, inputs)
    assert "drift" not in repaired
    live, outs = await read(provider, repaired)
    assert outs == repaired
    assert live["deployment"] == inputs["deployment"]


async def test_a_refresh_shows_what_a_run_declared_whose_state_was_lost(
    provider: ModelServiceProvider, namespace: str
) -> None:
    inputs = hosted(namespace, {"env": {"A": "1", "B": "2"}, "secret_env": {"TOKEN": "hush"}})
    state = await created(provider, inputs)
    await update(provider, state, merged(inputs, {"deployment": {"env": {"A": "9", "B": None}}}))
    live, outs = await read(provider, state)
    assert live["deployment"]["env"] == {"A": "9"}
    assert live["deployment"]["secret_env"] == {"TOKEN": "hush"}
    assert "drift" not in outs


async def test_what_is_gone_has_no_id_any_more(
    provider: ModelServiceProvider, namespace: str
) -> None:
    state = await created(provider, external(namespace))
    await asyncio.to_thread(provider.delete, state["model_service_id"], state)
    result = await asyncio.to_thread(provider.read, state["model_service_id"], state)
    assert result.id == ""
    await asyncio.to_thread(provider.delete, state["model_service_id"], state)


async def test_a_renamed_stack_keeps_its_service(
    provider: ModelServiceProvider, fleet: Fleet, namespace: str
) -> None:
    state = await created(provider, hosted(namespace))
    renamed = await update(provider, state, hosted(namespace), owner=OTHER_OWNER)
    assert renamed["incarnation"] == state["incarnation"]
    (service,) = await fleet.list(namespace=namespace)
    assert service.owner == OTHER_OWNER
    await asyncio.to_thread(provider.delete, renamed["model_service_id"], renamed)
    assert await names_in(fleet.client, namespace) == []


async def test_a_state_that_todays_rules_would_refuse_can_be_read_updated_and_deleted(
    provider: ModelServiceProvider, fleet: Fleet, namespace: str
) -> None:
    inputs = hosted(namespace)
    state = await created(provider, inputs)
    # As a refresh leaves it after somebody has edited one of two fields that depend on another.
    refused = merged(state, {"deployment": {"memory_gib": 1, "shm_gib": 2}})
    with pytest.raises(SpecError):
        await asyncio.to_thread(provider.create, refused)
    await read(provider, refused)
    assert (await update(provider, refused, inputs))["status"] == "READY"
    await asyncio.to_thread(provider.delete, state["model_service_id"], refused)
    assert await names_in(fleet.client, namespace) == []


async def test_a_state_of_a_newer_release_is_refused_by_every_verb(
    provider: ModelServiceProvider, fleet: Fleet, namespace: str
) -> None:
    state = {**await created(provider, external(namespace)), "schema_version": 99}
    id_, news = state["model_service_id"], checked(provider, external(namespace))
    for verb, arguments in (
        (provider.diff, (id_, state, news)),
        (provider.read, (id_, state)),
        (provider.update, (id_, state, news)),
        (provider.delete, (id_, state)),
    ):
        with pytest.raises(ConfigError, match="Upgrade modelfleet"):
            await asyncio.to_thread(verb, *arguments)
    assert await names_in(fleet.client, namespace) == ["Secret qwen-external"]


async def test_a_protected_service_is_neither_replaced_nor_deleted(
    provider: ModelServiceProvider, fleet: Fleet, namespace: str
) -> None:
    inputs = external(namespace) | {"deletion_protection": True}
    state = await created(provider, inputs)
    elsewhere = checked(provider, {**inputs, "namespace": "another"})
    with pytest.raises(ConfigError, match="would be replaced"):
        provider.diff(state["model_service_id"], state, elsewhere)
    with pytest.raises(ConfigError, match="would be deleted"):
        await asyncio.to_thread(provider.delete, state["model_service_id"], state)
    assert await names_in(fleet.client, namespace) == ["Secret qwen-external"]


async def test_a_cluster_is_found_by_its_logical_name(
    fleet_kubeconfig: Path, fleet: Fleet, namespace: str
) -> None:
    provider = provider_of(fleet_kubeconfig, name="prod-eu")
    state = await created(provider, external(namespace) | {"cluster": "prod-eu"})
    assert state["cluster_uid"] == await fleet.client.cluster_uid()
    with pytest.raises(ConfigError, match="cluster 'prod-us' is not configured"):
        await created(provider, external(namespace) | {"cluster": "prod-us"})


@pytest.mark.parametrize("id_", ["models/nobody", "nobody"])
def test_what_is_looked_up_and_is_not_there_says_what_to_do_instead(
    provider: ModelServiceProvider, id_: str
) -> None:
    with pytest.raises(NotFoundError, match="declared with adopt=True"):
        provider.read(id_, {})


def test_check_and_diff_ask_no_cluster(tmp_path: Path) -> None:
    provider = provider_of(tmp_path / "there-is-no-kubeconfig")
    olds = checked(provider, external("models"))
    news = checked(provider, external("other"))
    result = provider.diff("models/qwen", olds, news)
    assert (result.replaces, result.delete_before_replace) == (["namespace"], False)
