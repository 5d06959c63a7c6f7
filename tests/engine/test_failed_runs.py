"""Creates and updates that do not become ready: what the state keeps, how the next up goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from declaring import hosted, program
from looking import Namespace, incarnations, wait_until

from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]

SHORT = {"timeout_seconds": 2}


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


def test_a_create_that_fails_is_kept_and_the_next_up_mends_or_removes_it(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def crashing(**fields: Any) -> str:
        return hosted("crashing", namespace=here.name, **fields)

    homeless = hosted(
        "homeless",
        namespace=here.name,
        deployment={"node_selector": {"no-such": "node"}},
        wait=SHORT,
    )
    stack = stack_factory(program(crashing(behaviour="crash-loop"), homeless), cluster=True)
    failed = stack.up(expect_failure=True)
    assert "Traceback" not in failed.output
    kept = stack.resources()
    for name in ("crashing", "homeless"):
        (error,) = kept[name]["initErrors"]
        assert error.startswith(f"ModelService {here.name}/{name}: ")
        assert kept[name]["outputs"]["status"] == "CREATE_FAILED"
        assert kept[name]["outputs"]["status_reason"] in error
    made = incarnations(here.own())

    # A refresh of what is still not ready does not make the next up call it unchanged.
    assert "is still not ready" in stack.refresh().output
    stack.program(program(crashing()))
    mended = stack.up()
    assert ("crashing updated" in mended.output, "homeless deleted" in mended.output) == (
        True,
        True,
    )
    assert here.names("deployments") == ["crashing"]
    assert "initErrors" not in stack.resources()["crashing"]
    assert stack.resources()["crashing"]["outputs"]["status"] == "READY"
    assert incarnations(here.own()) < made, "the service that was made first is the one there is"
    assert "2 unchanged" in stack.up().output


def test_a_create_that_is_refused_halfway_is_kept_and_can_be_finished_or_removed(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def quota(method: str, **options: Any) -> None:
        path = f"/api/v1/namespaces/{here.name}/resourcequotas"
        here.api.send(method, path if method == "POST" else f"{path}/none", **options)

    hard = {"hard": {"count/deployments.apps": "0"}}
    quota("POST", json={"metadata": {"name": "none"}, "spec": hard})
    both = program(hosted("kept", namespace=here.name), hosted("dropped", namespace=here.name))
    stack = stack_factory(both, cluster=True)
    wait_until(lambda: bool(here.objects("resourcequotas")[0].get("status", {}).get("hard")))
    failed = stack.up(expect_failure=True)
    for name in ("kept", "dropped"):
        said = " ".join(failed.diagnostics(name).split())
        assert f"Deployment {here.name}/{name}: " in said
        assert "exceeded quota: none" in said
    assert (here.names("deployments"), here.names("services")) == ([], ["dropped", "kept"])
    assert stack.resources()["kept"]["outputs"]["status"] == "CREATE_FAILED"

    quota("DELETE")
    stack.program(program(hosted("kept", namespace=here.name)))
    assert "kept updated" in stack.up().output
    assert (here.names("deployments"), here.names("services")) == (["kept"], ["kept"])
    assert len(incarnations(here.own())) == 1


def test_an_update_that_fails_and_is_then_put_back_converges_and_interrupts_nobody(
    stack_factory: StackFactory, here: Namespace
) -> None:
    good = program(hosted("chat", namespace=here.name))
    bad = program(hosted("chat", namespace=here.name, behaviour="crash-loop"))
    stack = stack_factory(good, cluster=True)
    stack.up()
    serving = here.uids("pods")
    template = here.deployment("chat")["spec"]["template"]
    stack.program(bad)
    stack.up(expect_failure=True)
    assert stack.resources()["chat"]["outputs"]["status"] == "UPDATE_FAILED"
    assert here.uids("pods") > serving, "the pod of the new version beside the one that serves"

    stack.program(good)
    assert "~ 1 updated" in stack.up().output
    assert here.deployment("chat")["spec"]["template"] == template
    assert here.uids("pods") == serving
    assert stack.resources()["chat"]["outputs"]["status"] == "READY"
    assert "2 unchanged" in stack.up().output


def test_what_fails_is_taken_back_where_rollback_is_declared(
    stack_factory: StackFactory, here: Namespace
) -> None:
    def declared(*, runs: str = "", made: str = "") -> str:
        rollback = {"on_failure": "rollback"}
        return program(
            hosted("running", namespace=here.name, behaviour=runs, wait=rollback),
            *([hosted("made", namespace=here.name, behaviour=made, wait=rollback)] if made else []),
        )

    stack = stack_factory(declared(), cluster=True)
    stack.up()
    serving = here.uids("pods")
    before = stack.resources()["running"]

    stack.program(declared(runs="crash-loop", made="crash-loop"))
    failed = stack.up(expect_failure=True)
    assert failed.diagnostics("running").endswith("It was put back.")
    assert failed.diagnostics("made").endswith("It was removed again.")
    assert stack.resources().keys() == {"project-dev", "running"}
    assert stack.resources()["running"]["outputs"] == before["outputs"]
    assert (here.names("deployments"), here.names("services")) == (["running"], ["running"])
    assert here.uids("pods", service="running") >= serving

    # A replacement under the same name takes over what was there: taking that back would end it.
    replaced = stack.up("--replace", before["urn"], expect_failure=True)
    assert "It is kept as it is: it was there before this run." in replaced.output
    assert here.uids("pods", service="running") >= serving

    stack.program(declared())
    stack.up()
    assert here.uids("pods") == serving
    assert len(incarnations(here.own())) == 1
    assert "2 unchanged" in stack.up().output
    stack.destroy()
    assert here.own() == []
