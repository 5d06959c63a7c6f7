from __future__ import annotations
from collections.abc import Callable
import pytest
from declaring import external, hosted, program, Code
from looking import Namespace
from pulumi_stack import Stack
from modelfleet.local.api import Api
StackFactory = Callable[..., Stack]

@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)

TYPE = "pulumi-python:dynamic/modelfleet:ModelService"

def test_x(stack_factory, here):
    stack = stack_factory(program(hosted("chat", namespace=here.name)), cluster=True)
    stack.up()
    replicas = lambda n, d="": program(hosted("chat", namespace=here.name, description=d, deployment={"replicas": n, "env": {"X": str(n)}}, options="ignore_changes=['deployment.replicas', 'deployment.env[\"X\"]']"))
    stack.program(replicas(2))
    print("IGN1", stack.up("--diff").output)
    print(here.deployment("chat")["spec"]["replicas"])
    here.edit("deployments", "chat", {"spec": {"replicas": 2}})
    stack.program(replicas(3, "two"))
    print("IGN2", stack.up("--diff").output)
    print(here.deployment("chat")["spec"]["replicas"])
    here.edit("deployments", "chat", {"spec": {"replicas": 2}})
    print("IGN3", stack.refresh("--diff").output)
    print("IGN3", stack.refresh("--diff").output)
    print("IGN4", stack.up("--diff").output)
    print(here.deployment("chat")["spec"]["replicas"])
    stack.destroy()
    assert 0
