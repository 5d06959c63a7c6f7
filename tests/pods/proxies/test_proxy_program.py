"""A service, a proxy over it and a generated key, by `pulumi up`, from the first to the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import openai
from client_pods import wait_until
from proxies_in_pods import SMALL, Proxy, question
from proxy_world import World
from small_services import sentence, small_deployment

from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]

KINDS: Final[Mapping[str, str]] = {
    "pods": "/api/v1",
    "services": "/api/v1",
    "secrets": "/api/v1",
    "configmaps": "/api/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
}


def program(namespace: str, *, rotation: int, overlap_seconds: int) -> str:
    """Return a program with a service, and a proxy whose one key is generated."""
    generate = {"rotation": rotation, "overlap_seconds": overlap_seconds}
    keys = {"team": {"generate": generate}}
    fields = {**SMALL, "namespace": namespace, "api_keys": keys}
    return f"""
import pulumi
from modelfleet import ModelProxy, ModelService

hello = ModelService(
    "hello", namespace={namespace!r}, deployment={small_deployment("tiny-chat")!r}
)
front = ModelProxy("front", routes={{"chat": {{"targets": [{{"service": hello}}]}}}}, **{fields!r})
pulumi.export("keys", front.generated_keys)
pulumi.export("status", front.status)
"""


def test_a_program_gives_its_users_a_key_that_works_and_changes_it_without_a_gap(
    stack_factory: StackFactory, world: World, api: Api, namespace: str
) -> None:
    proxy = Proxy(
        "front",
        namespace=namespace,
        beside=world.beside,
        api=api,
        environment=world.environment,
    )

    def answer(key: str) -> str | None:
        with proxy.client(key) as client:
            return client.chat.completions.create(**question("chat")).choices[0].message.content

    def is_over(key: str) -> bool:
        try:
            answer(key)
        except openai.AuthenticationError:
            return True
        return False

    stack = stack_factory(program(namespace, rotation=1, overlap_seconds=0), cluster=True)
    up = stack.up()
    outputs = stack.outputs()
    key = outputs["keys"]["team"]
    assert outputs["status"] == "READY"
    assert key not in up.output
    assert answer(key) == sentence("tiny-chat")
    assert "3 unchanged" in stack.up().output
    assert stack.outputs() == outputs

    pods = proxy.pods
    stack.program(program(namespace, rotation=2, overlap_seconds=3600))
    stack.up()
    successor = stack.outputs()["keys"]["team"]
    assert successor != key
    assert answer(successor) == answer(key) == sentence("tiny-chat")

    stack.program(program(namespace, rotation=3, overlap_seconds=1))
    stack.up()
    last = stack.outputs()["keys"]["team"]
    wait_until(lambda: is_over(successor))
    assert answer(last) == sentence("tiny-chat")
    assert proxy.pods == pods
    assert "3 unchanged" in stack.up().output

    stack.destroy()
    wait_until(lambda: not any(_left(api, namespace, kind) for kind in KINDS))
    assert stack.outputs() == {}


def _left(api: Api, namespace: str, kind: str) -> list[Any]:
    selector = {"labelSelector": "app.kubernetes.io/managed-by=modelfleet"}
    path = f"{KINDS[kind]}/namespaces/{namespace}/{kind}"
    if kind in ("pods", "replicasets"):
        selector = {"labelSelector": "modelfleet.dev/kind"}
    items: list[Any] = api.send("GET", path, params=selector)["items"]
    return items
