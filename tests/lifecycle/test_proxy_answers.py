"""When a ModelProxy is called ready: its gateways are asked, over a real API server.

The pods are fake; behind their internal port stands a real server that says what a gateway would.
Dimensions: what is asked (upstreams, keys) x what is answered x whether anybody may ask.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fleets import desired as desired_service
from forwarding import Forwarding, GatewayScript
from proxies import (
    Told,
    desired,
    failed,
    findings,
    make_secret,
    planned,
    proxy,
    service,
    to_url,
    updated,
)
from rights import least_kubeconfig, shipped_role

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import POD, Object
from modelfleet.fleet import Desired, Fleet
from modelfleet.gateway.keys_file import keys_file_of
from modelfleet.spec.proxy import ModelProxySpec

pytestmark = [pytest.mark.xdist_group("forwarding"), pytest.mark.asyncio(loop_scope="module")]

KEY = {"ci": {"key": "sk-not-a-real-key-0123"}}
ANOTHER_KEY = {"ci": {"key": "sk-not-a-real-key-4567"}}
TIME_OUT = (None, "no answer within 3 s")


@pytest.fixture
def namespace(forwarding: Forwarding) -> Iterator[str]:
    """A namespace of the test's own, on the plane whose pods have ports that lead somewhere."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    forwarding.api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield name
    forwarding.api.send("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def gateway(forwarding: Forwarding) -> Iterator[GatewayScript]:
    """What gateways say, which is nothing before a test has them say something."""
    yield forwarding.gateway
    forwarding.gateway.answers.clear()
    forwarding.gateway.asked.clear()


def fleet_kubeconfig(forwarding: Forwarding, folder: Path, *, without: str = "") -> Path:
    """Return the kubeconfig of a user with the least rights, or less than that."""
    user = f"fleet-{without.replace('/', '-') or 'whole'}"
    role = shipped_role()
    role["metadata"]["name"] = user
    role["rules"] = [rule for rule in role["rules"] if without not in rule["resources"]]
    return least_kubeconfig(forwarding.plane, forwarding.api, folder, user=user, role=role)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(
    forwarding: Forwarding, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    """One fleet for all, for each would make connections for longer than it needs them."""
    kubeconfig = fleet_kubeconfig(forwarding, tmp_path_factory.mktemp("fleet"))
    fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
    yield fleet
    await fleet.aclose()


def answering(declared: dict[str, Any], **hosts: Any) -> Callable[[], Any]:
    return lambda: findings(planned(declared), **hosts)


async def qwen(fleet: Fleet, namespace: str) -> None:
    await fleet.apply(desired_service(service(namespace, "qwen")))


# Upstreams


async def test_a_proxy_is_ready_once_it_reaches_a_service_that_is(
    fleet: Fleet, namespace: str, gateway: GatewayScript
) -> None:
    await qwen(fleet, namespace)
    declared = proxy(namespace, "qwen")
    answers = [
        answering(declared, qwen=(None, "[Errno -2] Name or service not known")),
        answering(declared),
    ]
    gateway.answers["/upstreams"] = lambda: answers[min(gateway.asked["/upstreams"], 2) - 1]()
    told = Told()
    made = await fleet.apply(desired(declared), progress=told)
    assert made.status == "READY"
    assert gateway.asked["/upstreams"] == 2
    assert "routes.chat.targets[0]: the gateway does not reach" in told.waited[-1]
    assert told.notices == []


@pytest.mark.parametrize(
    ("seen", "hint"),
    [
        ((None, "[Errno 111] Connection refused"), "Nothing listens there, or a NetworkPolicy"),
        ((None, "[Errno -2] Name or service not known"), "No DNS server"),
        (TIME_OUT, "kubectl get networkpolicies -n "),
        ((500, "GET /models answers 500"), "look at its log"),
    ],
    ids=["refused", "no such name", "timeout", "fails"],
)
async def test_a_service_that_is_ready_and_not_reached_fails_the_apply(
    fleet: Fleet, namespace: str, gateway: GatewayScript, seen: Any, hint: str
) -> None:
    await qwen(fleet, namespace)
    declared = proxy(namespace, "qwen")
    gateway.answers["/upstreams"] = answering(declared, qwen=seen)
    said = str(await failed(fleet, desired(declared), "does not reach", seconds=4))
    where = f"{namespace}/qwen at http://qwen.{namespace}.svc/v1"
    assert f"routes.chat.targets[0]: the gateway does not reach {where}: {seen[1]}." in said
    assert hint in said


async def test_a_key_that_is_refused_fails_the_apply_long_before_its_time_is_up(
    fleet: Fleet, namespace: str, gateway: GatewayScript, forwarding: Forwarding
) -> None:
    await qwen(fleet, namespace)
    make_secret(forwarding.api, namespace, "upstream", api_key="wrong")
    target = {"service": "qwen", "credential_name": "upstream"}
    declared = proxy(namespace, target)
    seen = (401, "it refuses the credential (401)")
    gateway.answers["/upstreams"] = answering(declared, qwen=seen)
    async with asyncio.timeout(600):
        said = str(await failed(fleet, desired(declared), seconds=3_600))
    assert "Correct routes.chat.targets[0].credential_name" in said


async def test_what_is_not_ready_or_no_service_is_told_and_not_waited_for(
    fleet: Fleet, namespace: str, gateway: GatewayScript
) -> None:
    stopped = service(namespace, "idle")
    stopped["deployment"] = {**stopped["deployment"], "replicas": 0}
    await fleet.apply(desired_service(stopped))
    declared = proxy(namespace, "idle", to_url())
    gateway.answers["/upstreams"] = answering(declared, idle=TIME_OUT, example=TIME_OUT)
    told = Told()
    assert (await fleet.apply(desired(declared), progress=told)).status == "READY"
    idle, plain = told.notices
    assert "routes.chat.targets[0]" in idle
    assert "It is STOPPED" in idle
    assert "routes.chat.targets[1]: the gateway does not reach https://up.example.com/v1" in plain


async def test_a_server_without_a_list_of_models_is_reached_all_the_same(
    fleet: Fleet, namespace: str, gateway: GatewayScript
) -> None:
    await qwen(fleet, namespace)
    declared = proxy(namespace, "qwen")
    gateway.answers["/upstreams"] = answering(declared, qwen=(404, "GET /models answers 404"))
    told = Told()
    await fleet.apply(desired(declared), progress=told)
    assert told.notices == []


async def test_until_accepted_no_gateway_is_asked(
    fleet: Fleet, namespace: str, gateway: GatewayScript
) -> None:
    await fleet.apply(desired(proxy(namespace, wait={"until": "accepted"})))
    assert not gateway.asked


async def test_who_may_not_forward_ports_is_told_once_and_goes_on(
    forwarding: Forwarding, namespace: str, gateway: GatewayScript, tmp_path: Path
) -> None:
    kubeconfig = fleet_kubeconfig(forwarding, tmp_path, without="pods/portforward")
    fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
    told = Told()
    try:
        for name in ("one", "two"):
            declared = proxy(namespace, model_proxy_name=name)
            assert (await fleet.apply(desired(declared), progress=told)).status == "READY"
    finally:
        await fleet.aclose()
    (notice,) = told.notices
    assert "Whether its upstreams answer was not looked at" in notice
    assert "pods/portforward" in notice
    assert not gateway.asked


# Keys


def digest(known: Desired) -> str:
    assert isinstance(known.spec, ModelProxySpec)
    return hashlib.sha256(keys_file_of(known.spec, keys=known.keys).encode()).hexdigest()


async def marks(fleet: Fleet, namespace: str) -> dict[str, str | None]:
    """Return what each pod was told of keys."""
    pods: list[Object] = (await fleet.client.list(POD, namespace=namespace)).items
    return {
        pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get(labels.KEYS_HASH)
        for pod in pods
    }


async def test_new_keys_are_brought_without_a_restart_and_said_to_be_in_force(
    fleet: Fleet, namespace: str, gateway: GatewayScript
) -> None:
    declared = proxy(namespace, replicas=2, api_keys=KEY)
    first = desired(declared)
    gateway.answers["/upstreams"] = answering(declared)
    await fleet.apply(first)
    before = await marks(fleet, namespace)
    assert set(before.values()) == {None}

    second = updated(first, {**declared, "api_keys": ANOTHER_KEY, "tags": {"x": "y"}})
    known = [digest(first)] * 4 + [digest(second)]
    gateway.answers["/status"] = lambda: {
        "keys_sha256": known[min(gateway.asked["/status"], len(known)) - 1]
    }
    told = Told()
    await fleet.apply(second, progress=told)

    after = await marks(fleet, namespace)
    assert after.keys() == before.keys()
    assert set(after.values()) == {digest(second)[:16]}
    (notice,) = told.notices
    assert notice.startswith("Its keys are in force in 2 of 2 pods after ")


async def test_pods_are_left_alone_where_keys_have_not_changed(
    fleet: Fleet, namespace: str, gateway: GatewayScript
) -> None:
    declared = proxy(namespace, api_keys=KEY)
    gateway.answers["/upstreams"] = answering(declared)
    first = desired(declared)
    await fleet.apply(first)
    await fleet.apply(updated(first, {**declared, "tags": {"x": "y"}}))
    assert set((await marks(fleet, namespace)).values()) == {None}
    assert gateway.asked["/status"] == 0


async def test_until_accepted_pods_are_touched_and_not_asked(
    fleet: Fleet, namespace: str, gateway: GatewayScript
) -> None:
    declared = proxy(namespace, api_keys=KEY)
    gateway.answers["/upstreams"] = answering(declared)
    first = desired(declared)
    await fleet.apply(first)
    second = updated(first, {**declared, "api_keys": ANOTHER_KEY, "wait": {"until": "accepted"}})
    await fleet.apply(second)
    assert set((await marks(fleet, namespace)).values()) == {digest(second)[:16]}
    assert gateway.asked["/status"] == 0
