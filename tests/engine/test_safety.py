"""What must never happen to a running service, whatever is done to its stack.

Each rule with the real engine: what the provider knows of a resource is what the engine hands it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from declaring import external, hosted, program
from looking import Namespace, incarnations, owners

from modelfleet import labels
from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


def test_a_replacement_that_keeps_its_name_deletes_nothing_new(
    stack_factory: StackFactory, here: Namespace
) -> None:
    both = program(hosted("chat", namespace=here.name), external("far", namespace=here.name))
    stack = stack_factory(both, cluster=True)
    stack.up()
    pods, objects = here.uids("pods"), here.own()
    before = incarnations(objects)

    urns = [stack.resources()[name]["urn"] for name in ("chat", "far")]
    stack.up("--replace", urns[0], "--replace", urns[1])
    assert here.uids("pods") == pods
    after = incarnations(here.own())
    assert after.isdisjoint(before)
    assert after == {stack.resources()[name]["outputs"]["incarnation"] for name in ("chat", "far")}

    # From Kubernetes to elsewhere and back, under one name.
    stack.program(program(external("chat", namespace=here.name)))
    assert "chat replaced" in stack.up().output
    assert (here.names("deployments"), here.names("secrets")) == ([], ["chat-external"])
    stack.program(program(hosted("chat", namespace=here.name)))
    stack.up()
    assert (here.names("deployments"), here.names("secrets")) == (["chat"], [])

    stack.destroy()
    assert here.own() == []


def test_a_protected_service_is_neither_destroyed_nor_replaced(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def declared(**fields: Any) -> str:
        return program(hosted("chat", **{"namespace": here.name, **fields}))

    stack = stack_factory(declared(deletion_protection=True), cluster=True)
    stack.up()
    pods = here.uids("pods")
    destroyed = stack.destroy(expect_failure=True)
    assert destroyed.diagnostics("chat").endswith(
        f"ModelService {here.name}/chat has deletion_protection and would be deleted. "
        "Set deletion_protection to False in an update of its own first."
    )
    stack.program(declared(namespace="elsewhere", deletion_protection=True))
    moved = stack.preview(expect_failure=True)
    assert "has deletion_protection and would be replaced" in moved.diagnostics("chat")
    # Replacing it under its own name deletes nothing, so there is nothing to protect it from.
    stack.program(declared(deletion_protection=True))
    stack.up("--replace", stack.resources()["chat"]["urn"])
    assert here.uids("pods") == pods

    stack.program(declared())
    stack.up()
    assert here.uids("pods") == pods
    stack.destroy()
    assert here.own() == []


def test_two_resources_of_a_program_that_mean_the_same_service_are_refused(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def named(resource: str, name: str) -> str:
        return external(resource, namespace=here.name, model_service_name=name)

    stack = stack_factory(program(named("first", "far"), named("second", "far")), cluster=True)
    refused = stack.preview(expect_failure=True)
    problem = f"model_service_name: {here.name}/far is what resource '(first|second)' declares; "
    assert re.search(f"has a problem: {problem}", refused.output)

    # A resource that is called otherwise, or that takes over another's name, is still one of one.
    stack.program(program(named("first", "far"), named("second", "near")))
    stack.up()
    stack.program(program(named("third", "far"), named("first", "near")))
    stack.up()
    assert here.names("secrets") == ["far-external", "near-external"]
    assert stack.resources().keys() == {"project-dev", "third", "first"}
    assert "3 unchanged" in stack.refresh().output


def test_another_cluster_behind_the_same_name_is_an_error_and_never_gone(
    stack_factory: StackFactory, here: Namespace
) -> None:
    stack = stack_factory(program(hosted("chat", namespace=here.name)), cluster=True)
    stack.up()
    versions = here.versions()
    real = stack.export()

    def recorded_in(cluster_uid: str) -> dict[str, Any]:
        changed: dict[str, Any] = json.loads(json.dumps(real))
        for resource in changed["deployment"]["resources"]:
            if "cluster_uid" in resource.get("outputs", {}):
                resource["outputs"]["cluster_uid"] = cluster_uid
        return changed

    file = stack.project / "state.json"
    file.write_text(json.dumps(recorded_in("00000000-0000-0000-0000-000000000000")))
    stack.pulumi("stack", "import", "--file", str(file))
    stack.program(program(hosted("chat", namespace=here.name, description="changed")))
    for verb in (stack.up, stack.refresh, stack.destroy):
        said = verb(expect_failure=True).diagnostics("chat")
        assert "cluster default: is another cluster (UID " in said
        assert "(UID 00000000-0000-0000-0000-000000000000)" in said
        assert "pulumi state delete" in said
        assert "Traceback" not in said
    assert stack.resources()["chat"]["id"] == f"{here.name}/chat"
    assert here.versions() == versions


def test_a_renamed_stack_keeps_its_services(stack_factory: StackFactory, here: Namespace) -> None:
    both = program(hosted("chat", namespace=here.name), external("far", namespace=here.name))
    stack = stack_factory(both, cluster=True)
    stack.up()
    pods, uids = here.uids("pods"), here.versions().keys()
    assert owners(here.own()) == {"organization/project/dev"}

    stack.rename("prod")
    assert "3 unchanged" in stack.refresh().output
    renamed = stack.up()
    assert "~ 2 updated" in renamed.output
    assert (here.uids("pods"), here.versions().keys()) == (pods, uids)
    assert owners(here.own()) == {"organization/project/prod"}
    hashes = {obj["metadata"]["labels"][labels.OWNER_HASH] for obj in here.own()}
    assert hashes == {labels.owner_hash("organization/project/prod")}
    assert "3 unchanged" in stack.up().output

    # And what was renamed a moment ago can be destroyed, without an up in between.
    stack.rename("final")
    stack.destroy()
    assert here.own() == []


def test_a_second_stack_with_the_same_names_is_refused_until_it_adopts(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def declared(**fields: Any) -> str:
        return program(
            hosted("chat", namespace=here.name, **fields),
            external("far", namespace=here.name, **fields),
        )

    first = stack_factory(declared(), project="first", cluster=True)
    first.up()
    pods, versions = here.uids("pods"), here.versions()

    second = stack_factory(declared(), project="second", cluster=True)
    refused = second.up(expect_failure=True)
    # Of the three objects of one name it is said for the first that was looked at.
    assert "chat: exists and belongs to stack organization/first/dev." in refused.output
    assert refused.diagnostics("far") == (
        f"error: Secret {here.name}/far-external: exists and belongs to stack "
        "organization/first/dev. Choose another name, or set adopt=True to take it over as it is "
        "declared here."
    )
    assert "Traceback" not in refused.output
    assert second.resources().keys() == {"second-dev"}
    assert here.versions() == versions

    second.program(declared(adopt=True))
    second.up()
    assert here.uids("pods") == pods
    assert owners(here.own()) == {"organization/second/dev"}
    assert here.versions().keys() == versions.keys()

    # What the first stack still believes to have is no longer its to change or to delete.
    lost = first.refresh()
    assert "drift: owner now belongs to organization/second/dev" in lost.diagnostics("chat")
    first.program(declared(description="mine"))
    refused = first.up(expect_failure=True)
    assert "belongs to stack organization/second/dev" in refused.diagnostics("far")
    first.destroy()
    assert here.uids("pods") == pods
