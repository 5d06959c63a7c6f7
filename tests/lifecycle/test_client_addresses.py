"""From where a program calls what runs on the cluster: real API server, real servers behind pods.

The caller has the rights of docs/rbac-inference.yaml, unless a test says otherwise.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import openai
import psutil
import pytest
import pytest_asyncio
from fleets import behaving, desired, hosted
from forwarding import API_KEY, ECHO, ENGINE, GUARDED_ENGINE, PAUSE, Forwarding, Pause
from proxies import desired as desired_proxy
from proxies import proxy
from rights import least_kubeconfig, shipped_role
from test_rbac import used

from modelfleet import background, standing_port
from modelfleet.client import (
    Config,
    HTTPError,
    ModelClient,
    ModelProxy,
    ModelService,
    ResourceNotExistError,
)
from modelfleet.client import addresses as addresses_module
from modelfleet.client.addresses import Addresses
from modelfleet.client.called import Called
from modelfleet.client.connections import connected
from modelfleet.cluster.client import Client
from modelfleet.cluster.mirror import Key
from modelfleet.errors import NotReadyError
from modelfleet.fleet import Address, Fleet
from modelfleet.reach import serving_pods
from modelfleet.standing_port import StandingPort, StandingPorts
from modelfleet.targets import target_of
from tests.gateway.running import Stub

pytestmark = pytest.mark.xdist_group("forwarding")

NAMESPACE: Final = "calls"
HELLO: Final = [{"role": "user", "content": "hello"}]


def engine(port: int) -> dict[str, Any]:
    return {"name": "engine", "image": "registry.example.com/engine:1", "port": port}


@pytest.fixture(scope="module", autouse=True)
def resources(forwarding: Forwarding) -> None:
    """One of every kind that a program may call."""
    api = forwarding.api
    api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}})
    secret = {"metadata": {"name": "callers"}, "stringData": {"api_key": "sk-of-all-callers-01"}}
    api.send("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", json=secret)
    accepted = {"wait": {"until": "accepted"}}
    plain = {**hosted(NAMESPACE), "model_service_name": "calm"}
    declared: list[dict[str, Any]] = [
        plain,
        {**plain, "model_service_name": "measurer", "model_type": "text-embedding"},
        {**hosted(NAMESPACE, {"runtime": engine(ECHO)}), "model_service_name": "echoing"},
        {**plain, "model_service_name": "passing-by"},
        {
            **hosted(
                NAMESPACE,
                {"runtime": engine(GUARDED_ENGINE), "secret_env": {"VLLM_API_KEY": API_KEY}},
            ),
            "model_service_name": "with-key",
        },
        {**plain, "model_service_name": "in-public"},
        {**plain, "model_service_name": "closing"},
        {**hosted(NAMESPACE, {"replicas": 0}), "model_service_name": "asleep"},
        {
            **hosted(NAMESPACE, behaving("crash-loop")),
            "model_service_name": "crashed",
            **accepted,
        },
    ]
    chats = {"targets": [{"service": "calm"}]}
    embeds = {"targets": [{"service": "measurer"}], "model_type": "text-embedding"}
    endpoint = {"base_url": "https://up.example.com/v1", "model_names": ["gpt-x", "gpt-y"]}
    proxies = [
        proxy(NAMESPACE, model_proxy_name="hall", routes={"chat": chats, "vectors": embeds}),
        proxy(NAMESPACE, model_proxy_name="fork", routes={"first": chats, "second": chats}),
        proxy(NAMESPACE, model_proxy_name="locked", credential_name="callers"),
        {
            **proxy(NAMESPACE, model_proxy_name="lone"),
            "routes": {},
            "workspace_id": "team",
            "proxy_config": {"endpoints": [endpoint]},
        },
    ]

    async def applied() -> None:
        fleet = Fleet(Client.connect(kubeconfig=str(forwarding.plane.kubeconfig)))
        try:
            await asyncio.gather(*(fleet.apply(desired(each)) for each in declared))
            proxied = (desired_proxy({**each, **accepted}) for each in proxies)
            await asyncio.gather(*map(fleet.apply, proxied))
            for name in ("hall", "fork"):
                await until_served(fleet.client, name, kind="ModelProxy")
        finally:
            await fleet.aclose()

    asyncio.run(applied())


async def until_served(client: Client, name: str, *, kind: str = "ModelService") -> None:
    target = await target_of(client, Address(name, namespace=NAMESPACE, kind=kind))
    async with asyncio.timeout(240):
        while True:
            try:
                await serving_pods(client, target)
                return
            except NotReadyError:
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def kubeconfig(forwarding: Forwarding, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("caller")
    plane, api = forwarding.plane, forwarding.api
    return least_kubeconfig(plane, api, folder, user="caller", role="rbac-inference.yaml")


@pytest.fixture(scope="module")
def config(kubeconfig: Path) -> Config:
    return Config(kubeconfig=kubeconfig, namespace=NAMESPACE)


@pytest.fixture(scope="module")
def administrators(forwarding: Forwarding) -> Config:
    return Config(kubeconfig=forwarding.plane.kubeconfig, namespace=NAMESPACE)


@pytest_asyncio.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    client = Client.connect(kubeconfig=str(kubeconfig))
    yield client
    await client.aclose()


@pytest.fixture(scope="module")
def running_stub() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.close()


@pytest.fixture
def stub(running_stub: Stub) -> Stub:
    running_stub.reset()
    return running_stub


def service(config: Config, name: str = "calm") -> ModelService:
    return ModelService(model_service_name=name).set_config(config)


def gateway(config: Config, name: str) -> ModelProxy:
    return ModelProxy(model_proxy_name=name).set_config(config)


def said(called: ModelService | ModelProxy, *arguments: Any) -> str | None:
    return called.completion(HELLO, *arguments).choices[0].message.content


def said_on_a_new_connection(called: ModelService) -> str | None:
    """Ask from an event loop of its own, whose connections are its own, too."""

    async def answer() -> str | None:
        answered = await called.acompletion(HELLO, max_retries=0)
        return answered.choices[0].message.content

    return asyncio.run(answer())


def kill_pods(forwarding: Forwarding, name: str) -> None:
    forwarding.api.send(
        "DELETE",
        f"/api/v1/namespaces/{NAMESPACE}/pods",
        params={"labelSelector": f"modelfleet.dev/name={name}", "gracePeriodSeconds": "0"},
    )


# -- port-forwards -------------------------------------------------------------------------


def test_from_outside_a_port_forward_is_made_on_demand_and_shared(config: Config) -> None:
    calm = service(config)
    assert said(calm) == "user hello calm"
    info = calm.model_info()
    assert (info.base_url or "").startswith("http://127.0.0.1:")
    assert info.address == (
        "a port-forward, as no Ingress of namespace calls leads to Service calls/calm"
    )

    def asked_anew(_: int) -> tuple[str | None, str | None]:
        another = service(config)
        return said(another), another.model_info().base_url

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(asked_anew, range(32))) == {("user hello calm", info.base_url)}


def test_a_gateway_is_reached_the_same_way_by_its_own_kind(config: Config) -> None:
    assert said(gateway(config, "hall")) == "user hello chat"
    assert said(gateway(config, "fork"), "second") == "user hello second"


async def test_a_standing_port_leads_to_the_pods_there_are(
    client: Client, forwarding: Forwarding
) -> None:
    target = await target_of(client, Address("echoing", namespace=NAMESPACE))
    port = StandingPort(client, target)
    await port.open()
    try:
        for _ in range(2):
            assert await echoed(port) == b"hello"
            killed = {pod["metadata"]["uid"] for pod in await serving_pods(client, target)}
            kill_pods(forwarding, "echoing")
            async with asyncio.timeout(240):
                while await uids(client, port) & killed:  # noqa: ASYNC110 - a cluster, not a task
                    await asyncio.sleep(0.05)
        assert await echoed(port) == b"hello"
    finally:
        await port.aclose()


async def uids(client: Client, port: StandingPort) -> set[str]:
    """Return the UIDs of the pods that serve; while there are none, of one that does not exist."""
    try:
        return {pod["metadata"]["uid"] for pod in await serving_pods(client, port.target)}
    except NotReadyError:
        return {"none"}


async def echoed(port: StandingPort) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port.local_port)
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_connections_are_spread_over_the_pods_in_turn(
    client: Client, forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_port, "LOOK_SECONDS", 3600)  # a look may give another order
    scale(forwarding, "echoing", replicas=3)
    target = await target_of(client, Address("echoing", namespace=NAMESPACE))
    async with asyncio.timeout(240):
        while len(await serving_pods(client, target)) < 3:  # noqa: ASYNC110 - a cluster
            await asyncio.sleep(0.05)
    port = StandingPort(client, target)
    led = [(await port._next()).pod.name for _ in range(6)]
    assert len(set(led[:3])) == 3
    assert led[3:] == led[:3]


def scale(forwarding: Forwarding, name: str, *, replicas: int) -> None:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}"
    forwarding.api.send(
        "PATCH",
        path,
        headers={"Content-Type": "application/merge-patch+json"},
        json={"spec": {"replicas": replicas}},
    )


def test_calls_go_on_when_the_pod_behind_them_has_died(
    config: Config, forwarding: Forwarding, client: Client
) -> None:
    passing = service(config, "passing-by")
    assert said_on_a_new_connection(passing) == "user hello passing-by"
    before = passing.model_info().base_url
    kill_pods(forwarding, "passing-by")

    async def served() -> None:
        async with connected(config) as connection:
            await until_served(connection.fleet.client, "passing-by")

    background.run(served())
    assert said_on_a_new_connection(passing) == "user hello passing-by"
    assert passing.model_info().base_url == before


def test_without_the_right_to_forward_that_is_what_is_told(
    forwarding: Forwarding, tmp_path: Path
) -> None:
    role = shipped_role("rbac-inference.yaml")
    role["metadata"]["name"] = "no-way-in"
    role["rules"] = [each for each in role["rules"] if "pods/portforward" not in each["resources"]]
    kubeconfig = least_kubeconfig(
        forwarding.plane, forwarding.api, tmp_path, user="shut-out", role=role
    )
    asking = service(Config(kubeconfig=kubeconfig, namespace=NAMESPACE))
    with pytest.raises(HTTPError, match="pods/portforward") as caught:
        asking.completion(HELLO)
    assert caught.value.status_code == 403


def test_closing_the_client_closes_its_ports(administrators: Config) -> None:
    with ModelClient(administrators) as models:
        calm = models.get("calm")
        url = str(calm.model_info().base_url)
        assert said(calm) == "user hello calm"
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    assert said(calm) == "user hello calm"


PAUSING: Final = [{"role": "user", "content": "pause"}]


@pytest.fixture
def own(forwarding: Forwarding, tmp_path: Path) -> Config:
    """A Config whose connection nobody else uses."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(forwarding.plane.kubeconfig.read_text())
    return Config(kubeconfig=kubeconfig, namespace=NAMESPACE)


@pytest.fixture
def pause() -> Iterator[Pause]:
    PAUSE.reached.clear()
    PAUSE.over.clear()
    yield PAUSE
    PAUSE.over.set()


def answered(called: ModelService) -> str | None:
    return called.completion(PAUSING, max_retries=0).choices[0].message.content


def streamed(called: ModelService) -> str | None:
    stream = called.completion(PAUSING, stream=True, max_retries=0)
    return "".join(each.delta.content or "" for chunk in stream for each in chunk.choices)


def answered_in_a_loop(called: ModelService) -> str | None:
    async def answer() -> str | None:
        answer = await called.acompletion(PAUSING, max_retries=0)
        return answer.choices[0].message.content

    return asyncio.run(answer())


def streamed_in_a_loop(called: ModelService) -> str | None:
    async def answer() -> str | None:
        stream = await called.acompletion(PAUSING, stream=True, max_retries=0)
        return "".join(
            [each.delta.content or "" async for chunk in stream for each in chunk.choices]
        )

    return asyncio.run(answer())


@pytest.mark.parametrize("ask", [answered, streamed, answered_in_a_loop, streamed_in_a_loop])
def test_closing_the_client_ends_no_answer_that_another_thread_waits_for(
    own: Config, pause: Pause, ask: Callable[[ModelService], str | None]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with ModelClient(own) as models:
            url = str(models.get("calm").model_info().base_url)
            answer = pool.submit(ask, service(own))
            assert pause.reached.wait(timeout=240)
        pause.over.set()
        assert answer.result(timeout=240) == "user pause calm"
    wait_until_closed(url)


@pytest.mark.filterwarnings(  # of what is forgotten, not closed, Python tells
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_a_port_stays_until_a_stream_is_closed_or_forgotten(
    own: Config, pause: Pause, how: str
) -> None:
    with ModelClient(own) as models:
        url = str(models.get("calm").model_info().base_url)
        stream = service(own).completion(PAUSING, stream=True)
        next(stream)
    assert is_open(url)
    if how == "closed":
        stream.close()
    del stream
    gc.collect()
    wait_until_closed(url)


async def test_a_port_stays_until_a_call_in_a_loop_is_cancelled(own: Config, pause: Pause) -> None:
    async with ModelClient(own) as models:
        url = str((await (await models.get_async("calm")).model_info_async()).base_url)
        call = asyncio.create_task(service(own).acompletion(PAUSING, max_retries=0))
        assert await asyncio.to_thread(pause.reached.wait, 240)
    assert is_open(url)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.to_thread(wait_until_closed, url)


def is_open(url: str) -> bool:
    """Return whether this process listens there, without a connection that were to be led on."""
    port = httpx.URL(url).port
    listening = (
        each.laddr.port
        for each in psutil.Process().net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    )
    return port in listening


def wait_until_closed(url: str) -> None:
    until = time.monotonic() + 240
    while is_open(url):
        assert time.monotonic() < until, f"{url} is still open"
        time.sleep(0.05)


async def test_ports_at_rest_are_closed_when_they_are_many_or_lead_nowhere(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_port, "REST_SECONDS", 0)
    fleet = Fleet(Client.connect(kubeconfig=str(forwarding.plane.kubeconfig)))
    ports = StandingPorts(fleet.client, fleet.catalogue, at_most=2)
    target = await target_of(fleet.client, Address("calm", namespace=NAMESPACE))

    async def port_to(name: str) -> str:
        port = await ports.to(Key(NAMESPACE, "ModelService", name), target)
        await port.open()
        return port.url

    try:
        calm, measurer = await port_to("calm"), await port_to("measurer")
        used = await asyncio.open_connection("127.0.0.1", httpx.URL(calm).port)
        await until_in_use(ports, "calm")
        assert await port_to("calm") == calm
        missing = await port_to("missing")
        assert not is_open(measurer), "it has rested, while the other one is in use"
        await fleet.catalogue.fresh()
        monkeypatch.setattr(ports, "_at_most", 9)
        echoing = await port_to("echoing")
        assert [is_open(each) for each in (calm, missing, echoing)] == [True, False, True]
        used[1].close()
    finally:
        await ports.aclose()
        await fleet.aclose()
    assert not is_open(calm)
    assert not is_open(echoing)


async def until_in_use(ports: StandingPorts, name: str) -> None:
    port = ports._ports[Key(NAMESPACE, "ModelService", name)]
    async with asyncio.timeout(240):
        while not port.is_in_use:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_was_found_is_forgotten_once_it_is_not_relied_upon(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses_module, "KEPT_SECONDS", 0.2)
    monkeypatch.setattr(addresses_module, "INGRESS_SECONDS", 0.2)
    fleet = Fleet(Client.connect(kubeconfig=str(forwarding.plane.kubeconfig)))
    ways = Addresses(fleet)
    try:
        way = await ways.way_to(Called("ModelService", "with-key", NAMESPACE, Config()))
        assert way.api_key == API_KEY
        async with asyncio.timeout(240):
            while ways._known._found or ways._ingresses._found or ways._turns:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await ways.aclose()
        await fleet.aclose()


PROGRAM: Final = """
import asyncio, sys
from modelfleet.client import Config, ModelService
config = Config(kubeconfig=sys.argv[1], namespace=sys.argv[2])
calm = ModelService(model_service_name="calm").set_config(config)
hello = [{"role": "user", "content": "hello"}]
print(calm.completion(hello).choices[0].message.content)
stream = calm.completion(hello, stream=True)
next(stream)  # and no more of it
async def main():
    print((await calm.acompletion(hello)).choices[0].message.content)
asyncio.run(main())
"""


def test_a_program_that_closes_nothing_ends_without_a_word(kubeconfig: Path) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-W",
            "always::ResourceWarning",
            "-c",
            PROGRAM,
            str(kubeconfig),
            NAMESPACE,
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "user hello calm\n" * 2), ended.stderr
    assert ended.stderr == ""


# -- who does not serve --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("asleep", "calls/asleep: nobody answers, it is STOPPED. It is stopped: deployment.repl"),
        ("crashed", "calls/crashed: nobody answers, it is CREAT"),
    ],
)
def test_who_does_not_serve_is_told_with_the_reason_and_not_as_a_connection(
    config: Config, name: str, told: str
) -> None:
    with pytest.raises(NotReadyError, match=told):
        service(config, name).completion(HELLO)
    with pytest.raises(NotReadyError, match=told):
        asyncio.run(service(config, name).acompletion(HELLO))


def test_who_stopped_a_moment_ago_is_told_so_as_well(
    config: Config, forwarding: Forwarding
) -> None:
    closed = service(config, "closing")
    assert said_on_a_new_connection(closed) == "user hello closing"
    scale(forwarding, "closing", replicas=0)

    async def until_gone() -> None:
        async with connected(config) as connection, asyncio.timeout(240):
            client = connection.fleet.client
            target = await target_of(client, Address("closing", namespace=NAMESPACE))
            while True:
                try:
                    await serving_pods(client, target)
                except NotReadyError:
                    return
                await asyncio.sleep(0.05)

    background.run(until_gone())
    with pytest.raises(NotReadyError, match="it is STOPPED"):
        said_on_a_new_connection(closed)


# -- other addresses -----------------------------------------------------------------------


def test_an_address_that_the_config_says_goes_before_all_others(
    config: Config, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_stub = Config.with_configs(config, Config(endpoint=stub.base_url.removesuffix("/v1")))
    assert service(at_the_stub, "asleep").model_info().base_url == stub.base_url
    service(at_the_stub).completion(HELLO)
    service(config).completion(HELLO, config=Config(endpoint=stub.base_url))
    monkeypatch.setenv("MODELFLEET_ENDPOINT", stub.base_url)
    service(config).completion(HELLO)
    assert stub.models_called == ["calm"] * 3
    assert service(config).model_info().address == "the endpoint of the Config"
    monkeypatch.setenv("MODELFLEET_ENDPOINT", "models.example.com")
    with pytest.raises(HTTPError, match=r"endpoint is no address: 'models\.example\.com'"):
        service(config).model_info()


def test_below_a_data_endpoint_each_has_the_path_that_agentrun_gives_it(
    config: Config, forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = f"http://127.0.0.1:{forwarding.servers[ENGINE]}"
    at = Config.with_configs(config, Config(data_endpoint=f"{below}/"))
    assert gateway(at, "hall").model_info().base_url == f"{below}/models/hall/v1"
    assert said(gateway(at, "hall")) == "user hello chat"
    monkeypatch.setenv("AGENTRUN_DATA_ENDPOINT", below)
    info = service(config).model_info()
    assert info.base_url == f"{below}/models/calm/v1"
    assert info.address == "the data endpoint of the Config"


async def test_inside_of_its_cluster_a_service_is_called_by_its_name(kubeconfig: Path) -> None:
    outside = Client.connect(kubeconfig=str(kubeconfig))
    fleet = Fleet(Client(replace(outside.access, is_own_cluster=True)))
    addresses = Addresses(fleet)
    try:
        way = await addresses.way_to(Called("ModelService", "calm", NAMESPACE, Config()))
        assert (way.base_url, way.told) == (f"http://calm.{NAMESPACE}.svc/v1", IN_ITS_CLUSTER)
        proxied = await addresses.way_to(Called("ModelProxy", "hall", NAMESPACE, Config()))
        assert proxied.base_url == f"http://hall-proxy.{NAMESPACE}.svc/v1"
        with pytest.raises(NotReadyError, match="it is STOPPED"):
            await addresses.way_to(Called("ModelService", "asleep", NAMESPACE, Config()))
    finally:
        await addresses.aclose()
        await fleet.aclose()
        await outside.aclose()


IN_ITS_CLUSTER: Final = "inside of its cluster"


def test_an_ingress_that_leads_there_is_used_once_a_controller_has_taken_it_up(
    config: Config, forwarding: Forwarding
) -> None:
    backend = {"service": {"name": "in-public", "port": {"number": 80}}}
    rule = {"path": "/", "pathType": "Prefix", "backend": backend}
    path = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses"
    ingress = {
        "metadata": {"name": "in-public"},
        "spec": {
            "rules": [{"host": "models.example.com", "http": {"paths": [rule]}}],
            "tls": [{"hosts": ["models.example.com"], "secretName": "certificate"}],
        },
    }
    forwarding.api.send("POST", path, json=ingress)
    forwarding.api.send(
        "PATCH",
        f"{path}/in-public/status",
        headers={"Content-Type": "application/merge-patch+json"},
        json={"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}},
    )
    info = service(config, "in-public").model_info()
    assert info.base_url == "https://models.example.com/v1"
    assert info.address == "an Ingress of namespace calls"
    with pytest.raises(NotReadyError):  # an Ingress would answer for it, and say nothing
        service(config, "asleep").model_info()


# -- models and keys -----------------------------------------------------------------------


def test_a_proxys_model_is_the_one_that_goes_before_the_others(config: Config, stub: Stub) -> None:
    at_the_stub = Config.with_configs(config, Config(endpoint=stub.base_url))
    gateway(at_the_stub, "hall").completion(HELLO)
    gateway(at_the_stub, "hall").embedding("one")
    gateway(at_the_stub, "lone").completion(HELLO)
    gateway(at_the_stub, "lone").completion(HELLO, "team/gpt-y")
    assert stub.models_called == ["chat", "vectors", "team/gpt-x", "team/gpt-y"]
    with pytest.raises(ValueError, match=r"fork answers to several names: .* first, second"):
        gateway(at_the_stub, "fork").completion(HELLO)


def test_the_key_of_a_gateway_is_the_configs_or_that_of_its_credential(
    administrators: Config, config: Config, stub: Stub
) -> None:
    own = Config(endpoint=stub.base_url)
    gateway(Config.with_configs(administrators, own), "locked").completion(HELLO, "chat")
    given = Config.with_configs(administrators, own, Config(api_key="sk-of-one-caller-0001"))
    assert "sk-of-one" not in repr(given)
    gateway(given, "locked").completion(HELLO, "chat")
    # Who may not read the Secret has no key, and sends none.
    gateway(Config.with_configs(config, own), "locked").completion(HELLO, "chat")
    keys = [call["headers"].get("authorization") for call in stub.calls]
    assert keys == ["Bearer sk-of-all-callers-01", "Bearer sk-of-one-caller-0001", None]


def test_an_engine_that_asks_for_a_key_gets_the_one_it_was_told(
    administrators: Config, config: Config
) -> None:
    assert said(service(administrators, "with-key")) == "user hello with-key"
    with pytest.raises(openai.AuthenticationError):  # who may not read the Secret
        service(config, "with-key").completion(HELLO)
    assert service(config, "with-key").completion(HELLO, api_key=API_KEY).model == "with-key"


def test_what_a_gateway_refuses_is_openais_own_error(config: Config) -> None:
    refusals = {
        "no key": openai.AuthenticationError,
        "denied": openai.PermissionDeniedError,
        "unknown": openai.NotFoundError,
        "nobody": openai.InternalServerError,
    }
    for content, raised in refusals.items():
        with pytest.raises(raised):
            gateway(config, "hall").completion(
                [{"role": "user", "content": content}], max_retries=0
            )


# -- rights --------------------------------------------------------------------------------


def test_the_shipped_role_grants_exactly_what_inference_asks_for(
    forwarding: Forwarding, tmp_path: Path
) -> None:
    role = shipped_role("rbac-inference.yaml")
    kubeconfig = least_kubeconfig(
        forwarding.plane, forwarding.api, tmp_path, user="counted", role=role
    )
    config = Config(kubeconfig=kubeconfig, namespace=NAMESPACE)
    said(service(config))
    with pytest.raises(NotReadyError):
        service(config, "crashed").model_info()

    async def requests() -> dict[str, int]:
        async with connected(config) as connection:
            return dict(connection.fleet.client.requests)

    granted = {
        (verb, resource)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    # External services are looked for among Secrets; where that is forbidden, they are not found.
    assert used(background.run(requests())) - {("list", "secrets")} == granted


def test_usage_without_the_right_to_read_logs_says_so(
    forwarding: Forwarding, tmp_path: Path
) -> None:
    role = shipped_role()
    role["metadata"]["name"] = "no-logs"
    role["rules"] = [each for each in role["rules"] if "pods/log" not in each["resources"]]
    kubeconfig = least_kubeconfig(
        forwarding.plane, forwarding.api, tmp_path, user="log-less", role=role
    )
    config = Config(kubeconfig=kubeconfig, namespace=NAMESPACE)
    for called in (gateway(config, "hall"), service(config)):
        with pytest.raises(HTTPError, match="pods/log") as caught:
            called.usage()
        assert caught.value.status_code == 403
    with pytest.raises(ResourceNotExistError):
        service(config, "nobody").usage()
    with pytest.raises(ValueError, match="'yesterday' is no time"):
        service(config).usage(since="yesterday")
