"""One service of a tiny model, by `pulumi up`: it answers, stops, starts again, survives, and goes.

Asked by the OpenAI client, over a port-forward as from a laptop, and by pods of the cluster.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from client_pods import NODES, ClientPod, client_pod, wait_until
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from small_services import OUTPUTS, PATIENCE_SECONDS, program, sentence

from modelfleet import labels
from modelfleet.errors import NotReadyError
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api
from modelfleet.named import Address
from modelfleet.reach import reached
from modelfleet.report import Report
from modelfleet.targets import target_of
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]

GO = "/tmp/go"
ON_GO = ["/bin/sh", "-c", f'until [ -e {GO} ]; do sleep 0.1; done; exec /app/llama-server "$@"', ""]
"""An entry point that loads the model once a file is there; every new container waits again."""

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Who are you?"}]

REACHES_BOTH = """
import json, re, sys, urllib.request
times, first, second, *urls = sys.argv[1:]
question = {"messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 2}
headers = {"Content-Type": "application/json"}

def tokens(engine):
    metrics = urllib.request.urlopen(f"http://{engine}:8080/metrics", timeout=300).read().decode()
    return int(re.search(r"^llamacpp:tokens_predicted_total (\\d+)", metrics, re.M)[1])

for url in urls:
    before = tokens(first), tokens(second)
    for _ in range(int(times)):
        request = urllib.request.Request(url, json.dumps(question).encode(), headers)
        completion = json.load(urllib.request.urlopen(request, timeout=300))
        assert completion["usage"]["completion_tokens"] == 2
    print(tokens(first) - before[0], tokens(second) - before[1])
"""
"""A program that asks each URL so often, every time on a new connection, and prints how many tokens
the engines at two addresses have made for it."""


@asynccontextmanager
async def openai_client(fleet: Fleet, namespace: str, name: str) -> AsyncIterator[AsyncOpenAI]:
    """Give a client of a service that tries everything once."""
    target = await target_of(fleet.client, Address(name, namespace))
    async with (
        reached(fleet.client, target) as endpoint,
        AsyncOpenAI(base_url=endpoint.base_url, api_key="none", max_retries=0) as client,
    ):
        yield client


async def answer(fleet: Fleet, namespace: str, name: str) -> str:
    """Return what a service says to a first question."""
    async with openai_client(fleet, namespace, name) as client:
        completion = await client.chat.completions.create(
            model=name, messages=QUESTION, temperature=0
        )
    return completion.choices[0].message.content or ""


async def report(fleet: Fleet, namespace: str, name: str) -> Report:
    """Return what the fleet says of a service that is there."""
    found = await fleet.status(namespace, name)
    assert found is not None
    return found


def objects(api: Api, namespace: str, plural: str, *, service: str) -> list[dict[str, Any]]:
    """Return the objects of a kind that carry the labels of a service."""
    selector = {"labelSelector": f"{labels.NAME}={service}"}
    items: list[dict[str, Any]] = api.send(
        "GET", f"{GROUPS[plural]}/namespaces/{namespace}/{plural}", params=selector
    )["items"]
    return items


GROUPS = {
    "pods": "/api/v1",
    "services": "/api/v1",
    "secrets": "/api/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
}
"""Every kind of object that a service can have in a namespace, and where it is."""


async def test_a_model_answers_under_each_of_its_names_and_leaves_nothing_when_it_is_deleted(
    stack_factory: StackFactory, api: Api, fleet: Fleet, namespace: str
) -> None:
    names = ["tiny-chat", "greeter"]
    declared = program(
        "hello",
        namespace=namespace,
        provider_settings={"model_names": names},
        deployment={"disruption": {}, "secret_env": {"PLANTED": "planted"}},
    )
    stack = stack_factory(declared, cluster=True)
    stack.up()
    there = {kind for kind in GROUPS if objects(api, namespace, kind, service="hello")}
    assert there >= {"deployments", "services", "secrets", "poddisruptionbudgets", "pods"}

    async with openai_client(fleet, namespace, "hello") as client:
        listed = {
            name
            async for model in client.models.list()
            for name in (model.id, *(model.model_extra or {}).get("aliases", ()))
        }
        assert listed == {"hello", *names} == set(stack.outputs()["model_names"])

        for name in ("hello", *names):
            completion = await client.chat.completions.create(
                model=name, messages=QUESTION, temperature=0
            )
            assert completion.choices[0].message.content == sentence("tiny-chat")
            assert completion.choices[0].finish_reason == "stop"

        stream = await client.chat.completions.create(
            model="hello",
            messages=QUESTION,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(text or "" for text in texts) == sentence("tiny-chat")

    usage, streamed = completion.usage, chunks[-1].usage
    assert usage is not None
    assert streamed is not None
    assert 1 < len(list(filter(None, texts))) <= usage.completion_tokens
    assert len(sentence("tiny-chat").split()) <= usage.completion_tokens
    assert usage.prompt_tokens >= 3  # words
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert (streamed.prompt_tokens, streamed.completion_tokens) == (
        usage.prompt_tokens,
        usage.completion_tokens,
    )

    stack.destroy()
    assert await fleet.status(namespace, "hello") is None
    for kind in ("deployments", "services", "secrets", "poddisruptionbudgets", "networkpolicies"):
        assert objects(api, namespace, kind, service="hello") == []
    wait_until(lambda: not any(objects(api, namespace, kind, service="hello") for kind in GROUPS))


def test_pods_of_either_node_reach_engines_on_both_by_name_and_by_address(
    stack_factory: StackFactory, api: Api, namespace: str, environment: Mapping[str, str]
) -> None:
    apart = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {labels.NAME: "hello"}},
                }
            ]
        }
    }
    declared = program(
        "hello", namespace=namespace, deployment={"replicas": 2, "affinity": apart, "strategy": {}}
    )
    stack = stack_factory(declared, cluster=True)
    stack.up()
    pods = objects(api, namespace, "pods", service="hello")
    assert {pod["spec"]["nodeName"] for pod in pods} == set(NODES)
    addresses = [pod["status"]["podIP"] for pod in pods]
    [service] = objects(api, namespace, "services", service="hello")

    urls = [
        f"{address}/v1/chat/completions"
        for address in (
            stack.outputs()["endpoint"],
            f"http://hello.{namespace}.svc.cluster.local",
            f"http://{service['spec']['clusterIP']}",
        )
    ]

    for node in NODES:
        client = client_pod(api, namespace, node=node, environment=environment)
        printed = client.python(REACHES_BOTH, "30", *addresses, *urls).splitlines()
        for url, line in zip(urls, printed, strict=True):
            both = [int(made) for made in line.split()]
            assert sum(both) == 30 * 2
            # Each new connection goes to either engine: one is left out once in 500 million times.
            assert all(both), f"{node} reaches one engine only at {url}"


async def test_no_replicas_stop_a_service_and_one_starts_it_under_the_same_names(
    stack_factory: StackFactory, api: Api, fleet: Fleet, namespace: str
) -> None:
    stack = stack_factory(program("hello", namespace=namespace), cluster=True)
    stack.up()
    outputs, address = stack.outputs(), _address(api, namespace)

    stack.program(program("hello", namespace=namespace, deployment={"replicas": 0}))
    stack.up()
    wait_until(lambda: objects(api, namespace, "pods", service="hello") == [])
    assert (await report(fleet, namespace, "hello")).service.status == "STOPPED"
    with pytest.raises(NotReadyError, match="It is stopped"):
        await answer(fleet, namespace, "hello")
    stopped = stack.outputs()
    assert {each: stopped[each] for each in OUTPUTS} == {each: outputs[each] for each in OUTPUTS}
    assert stopped["gpu_total"] == 0

    stack.program(program("hello", namespace=namespace))
    stack.up()
    assert await answer(fleet, namespace, "hello") == sentence("tiny-chat")
    assert stack.outputs() == outputs
    assert _address(api, namespace) == address


def _address(api: Api, namespace: str) -> str:
    [service] = objects(api, namespace, "services", service="hello")
    return str(service["spec"]["clusterIP"])


async def test_an_up_ends_when_the_model_answers_and_a_killed_engine_is_told_and_is_no_drift(
    stack_factory: StackFactory,
    api: Api,
    fleet: Fleet,
    namespace: str,
    environment: Mapping[str, str],
) -> None:
    def pod() -> dict[str, Any]:
        [only] = objects(api, namespace, "pods", service="hello")
        return only

    def container_runs() -> ClientPod:
        wait_until(lambda: bool(objects(api, namespace, "pods", service="hello")))
        wait_until(lambda: _is_running(pod()))
        return ClientPod(api, namespace, pod()["metadata"]["name"], environment)

    declared = program("hello", namespace=namespace, deployment={"command": ON_GO})
    stack = stack_factory(declared, cluster=True)
    up = stack.start("up", "--yes", "--skip-preview")
    engine = container_runs()
    assert (await report(fleet, namespace, "hello")).service.status == "CREATING"
    with pytest.raises(NotReadyError, match="nobody answers, it is CREATING"):
        await answer(fleet, namespace, "hello")
    assert up.poll() is None

    engine.run("touch", GO)
    assert up.wait(timeout=PATIENCE_SECONDS) == 0, (stack.project.parent / "up.log").read_text()
    assert await answer(fleet, namespace, "hello") == sentence("tiny-chat")
    assert (await report(fleet, namespace, "hello")).service.status == "READY"
    before = pod()

    os.kill(_engine_pid(before["metadata"]["uid"]), signal.SIGKILL)
    wait_until(lambda: _restarts(pod()) == 1)
    degraded = await report(fleet, namespace, "hello")
    assert degraded.service.status == "DEGRADED"
    assert not degraded.serves_as_declared
    [told] = degraded.pods
    assert (told.is_ready, told.restarts) == (False, 1)

    container_runs().run("touch", GO)
    wait_until(lambda: all(each["ready"] for each in pod()["status"]["containerStatuses"]))
    assert pod()["metadata"]["uid"] == before["metadata"]["uid"]
    assert await answer(fleet, namespace, "hello") == sentence("tiny-chat")
    recovered = await report(fleet, namespace, "hello")
    assert (recovered.service.status, recovered.pods[0].restarts) == ("READY", 1)
    assert "2 unchanged" in stack.refresh().output
    assert "2 unchanged" in stack.up().output


def _is_running(pod: Mapping[str, Any]) -> bool:
    statuses = pod["status"].get("containerStatuses", ())
    return bool(statuses) and all("running" in each["state"] for each in statuses)


def _restarts(pod: Mapping[str, Any]) -> int:
    return sum(each["restartCount"] for each in pod["status"]["containerStatuses"])


def _engine_pid(pod_uid: str) -> int:
    """Return the process of a pod's engine, as the machine counts them: by its cgroup."""
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "llama-server":
            cgroups = Path(f"/proc/{process.pid}/cgroup").read_text()
            if pod_uid in cgroups or pod_uid.replace("-", "_") in cgroups:
                return process.pid
    raise AssertionError(f"no engine runs in pod {pod_uid}")


async def test_gpus_of_any_kind_are_taken_from_fake_nodes_and_none_from_a_real_one(
    stack_factory: StackFactory, api: Api, fleet: Fleet, namespace: str
) -> None:
    anywhere = program("anywhere", namespace=namespace, deployment={"gpu": {}})
    without = program("without", namespace=namespace, deployment={"gpu": None})
    stack_factory(f"{anywhere}\n{without}", cluster=True).up()

    def nodes(service: str) -> set[str]:
        return {pod["spec"]["nodeName"] for pod in objects(api, namespace, "pods", service=service)}

    assert nodes("anywhere") and not nodes("anywhere") & set(NODES)
    assert nodes("without") and nodes("without") <= set(NODES)
    assert await answer(fleet, namespace, "without") == sentence("tiny-chat")
