"""Refresh: what it shows, what it asks for it, and what it must never conclude."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from counting_proxy import CountingProxy
from declaring import ACCEPTED, external, hosted, program
from looking import Namespace, wait_until

from modelfleet.cluster.retry import RetryPolicy
from modelfleet.local import Plane
from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]

FEW, MANY = 10, 200
UNREACHABLE = """\
apiVersion: v1
kind: Config
clusters: [{name: gone, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: gone, context: {cluster: gone, user: nobody}}]
current-context: gone
"""


@pytest.fixture
def here(plane_api: Api, namespace: str) -> Namespace:
    return Namespace(plane_api, namespace)


def fleet(here: Namespace, size: int) -> str:
    """Return a program of so many services, a few of them on Kubernetes."""
    stopped = hosted("x", namespace=here.name, deployment={"replicas": 0}, wait=ACCEPTED)
    far = external("x", namespace=here.name)
    loops = (("hosted-{n}", stopped, FEW // 2), ("far-{n}", far, size - FEW // 2))
    return program(
        *(
            f"for n in range({count}):\n    {declaration.replace(repr('x'), f'f{name!r}', 1)}"
            for name, declaration, count in loops
        )
    )


@contextmanager
def counted(proxy: CountingProxy) -> Iterator[Counter[str]]:
    """Give what is asked meanwhile, once it is over."""
    before, found = proxy.requests.copy(), Counter[str]()
    yield found
    found.update(proxy.requests - before)


def test_a_refresh_asks_as_much_for_two_hundred_services_as_for_ten(
    stack_factory: StackFactory, here: Namespace, kubeconfig: Path, tmp_path: Path
) -> None:
    proxy = CountingProxy(kubeconfig)
    with proxy.serving(tmp_path / "kubeconfig"):
        environment = {
            "KUBECONFIG": str(tmp_path / "kubeconfig"),
            "PULUMI_SKIP_CHECKPOINTS": "true",
        }
        stack = stack_factory(fleet(here, FEW), environment=environment)
        stack.up()
        with counted(proxy) as for_few:
            assert f"{FEW + 1} unchanged" in stack.refresh().output
        stack.program(fleet(here, MANY))
        stack.up()
        assert len(here.names("secrets")) == MANY - FEW // 2
        with counted(proxy) as for_many:
            assert f"{MANY + 1} unchanged" in stack.refresh().output
        with counted(proxy) as for_nothing:
            assert f"{MANY + 1} unchanged" in stack.up().output
            stack.preview()

    assert for_few == for_many
    assert {request.split()[0] for request in for_few} == {"GET", "WATCH"}
    assert set(for_few.values()) == {1}
    assert for_nothing == Counter()


def test_drift_is_shown_with_its_author_and_the_next_up_repairs_it(
    stack_factory: StackFactory, here: Namespace
) -> None:
    both = program(hosted("chat", namespace=here.name), external("far", namespace=here.name))
    stack = stack_factory(both, cluster=True)
    stack.up()
    assert "3 unchanged" in stack.up("--refresh", "--expect-no-changes").output

    here.edit("deployments", "chat", {"spec": {"replicas": 2}})
    here.send("DELETE", "services", "chat")
    drifted = stack.refresh()
    said = drifted.diagnostics("chat")
    assert "deployment.replicas set to 2 by kubectl-edit" in said
    assert f"Service {here.name}/chat is missing" in said
    assert "~ 1 updated" in drifted.output
    assert "~ 1 updated" in stack.up().output
    assert here.deployment("chat")["spec"]["replicas"] == 1
    assert here.names("services") == ["chat"]

    here.edit("deployments", "chat", {"spec": {"replicas": 0}})
    assert "~ 1 updated" in stack.up("--refresh").output
    assert here.deployment("chat")["spec"]["replicas"] == 1

    here.send("DELETE", "deployments", "chat")
    here.send("DELETE", "secrets", "far-external")
    wait_until(lambda: here.names("deployments") == [])
    lost = stack.refresh()
    assert "- 2 deleted" in lost.output
    assert stack.resources().keys() == {"project-dev"}
    assert "+ 2 created" in stack.up().output
    assert here.names("deployments") == ["chat"]
    assert "3 unchanged" in stack.refresh().output


def test_a_cluster_that_cannot_be_asked_has_lost_nothing(
    stack_factory: StackFactory, here: Namespace, plane: Plane, tmp_path: Path
) -> None:
    names = [f"far-{number}" for number in range(10)]
    stack = stack_factory(
        program(*(external(name, namespace=here.name) for name in names)), cluster=True
    )
    stack.up()
    before, versions = stack.resources(), here.versions()

    stack.environment["KUBECONFIG"] = str(plane.kubeconfig.parent / "kubeconfig-limited")
    started = time.monotonic()
    forbidden = stack.refresh(expect_failure=True)
    answered_seconds = time.monotonic() - started
    assert 'cannot get resource "namespaces"' in forbidden.output

    (tmp_path / "unreachable").write_text(UNREACHABLE)
    stack.environment["KUBECONFIG"] = str(tmp_path / "unreachable")
    started = time.monotonic()
    unreachable = stack.refresh(expect_failure=True)
    assert "no answer from the API server http://127.0.0.1:9" in unreachable.output
    waited_seconds = time.monotonic() - started - answered_seconds
    patience_seconds = RetryPolicy().budget_seconds
    assert waited_seconds < patience_seconds * len(names) / 2, (
        "a dead server is waited for once, not by each service"
    )
    for run in (forbidden, unreachable):
        assert "Traceback" not in run.output
        assert "deleted" not in run.output

    after = stack.resources()
    for name in names:
        for part in ("id", "inputs", "outputs"):
            assert after[name][part] == before[name][part]
    assert here.versions() == versions
