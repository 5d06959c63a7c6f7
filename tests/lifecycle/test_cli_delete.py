"""``modelfleet delete`` on a real cluster: what it shows, what it asks, what it takes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from fleets import OTHER_OWNER, OWNER, desired, external, hold, hosted, let_go, names_in

from modelfleet import labels
from modelfleet.adapters.cli import delete as delete_command
from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api

KINDS = ("NetworkPolicy", "Service", "Deployment")
OBJECTS = ["Secret qwen-env", "NetworkPolicy qwen", "Service qwen", "Deployment qwen"]

SECRET = {"TOKEN": "hush-hush"}

ANEW = (
    f"A Pulumi program of {OWNER} that still declares it makes it anew with its next refresh and "
    "up: take it out of the program, too."
)


@pytest.fixture
def cli(fleet_kubeconfig: Path) -> CommandLine:
    return CommandLine(fleet_kubeconfig)


@pytest.fixture
def asked(fleet_kubeconfig: Path) -> Callable[[Callable[[Fleet], Coroutine[Any, Any, Any]]], Any]:
    """Ask a fleet of the same user, from a test that has no event loop."""

    def ask(question: Callable[[Fleet], Coroutine[Any, Any, Any]]) -> Any:
        async def answered() -> Any:
            fleet = Fleet(Client.connect(kubeconfig=str(fleet_kubeconfig)))
            try:
                return await question(fleet)
            finally:
                await fleet.aclose()

        return asyncio.run(answered())

    return ask


Ask = Callable[[Callable[[Fleet], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def service(asked: Ask, namespace: str) -> str:
    """A hosted service with two pods and every kind of object; its address."""
    declared = hosted(namespace, {"replicas": 2, "drain_seconds": 5, "secret_env": SECRET})
    asked(lambda fleet: fleet.apply(desired(declared)))
    return f"{namespace}/qwen"


def left(asked: Ask, namespace: str) -> list[str]:
    names: list[str] = asked(lambda fleet: names_in(fleet.client, namespace))
    return names


def test_who_types_the_name_again_deletes_it_and_is_told_what_goes(
    cli: CommandLine, asked: Ask, service: str, namespace: str
) -> None:
    ran = cli.run("delete", service, typed="qwen\n")
    assert ran.code == 0, ran
    assert ran.out.splitlines() == [
        f"ModelService {service} of {OWNER} is going to be deleted:",
        f"  Secret {namespace}/qwen-env",
        f"  NetworkPolicy {namespace}/qwen",
        f"  Service {namespace}/qwen",
        f"  Deployment {namespace}/qwen",
        "2 pods end.",
        ANEW,
        f"Deleted ModelService {service}.",
    ]
    assert ran.err.splitlines() == [
        "Type its name to delete it: ",
        "Deleting. Its pods have 5 s to end.",
    ]
    assert "hush-hush" not in ran.out + ran.err
    assert left(asked, namespace) == []
    assert cli.printed("ls", "-n", namespace) == "No ModelServices and no ModelProxies.\n"
    assert "no ModelService or ModelProxy is called so" in cli.refused("delete", service, "--yes")


@pytest.mark.parametrize("typed", ["yes\n", "\n", "", "qwe\n"])
def test_without_its_name_nothing_is_deleted(
    cli: CommandLine, asked: Ask, service: str, namespace: str, typed: str
) -> None:
    assert cli.refused("delete", service, typed=typed) == (
        "Nothing was deleted: the name was not typed. Type qwen, or say --yes where nobody can be "
        "asked."
    )
    assert left(asked, namespace) == OBJECTS


def test_objects_of_others_stay_whatever_they_are_called(
    cli: CommandLine, asked: Ask, service: str, namespace: str, plane_api: Api
) -> None:
    theirs = labels.object_labels(kind="ModelService", name="qwen", owner=OTHER_OWNER)
    body = {"metadata": {"name": "qwen-theirs", "labels": theirs}}
    plane_api.send("POST", f"/api/v1/namespaces/{namespace}/secrets", json=body)
    shown = cli.printed("delete", service, "--yes")
    assert "qwen-theirs" not in shown
    assert left(asked, namespace) == ["Secret qwen-theirs"]


def test_a_protected_service_is_refused_with_the_way_to_lift_it(
    cli: CommandLine, asked: Ask, namespace: str
) -> None:
    protected = hosted(namespace, deletion_protection=True)
    asked(lambda fleet: fleet.apply(desired(protected)))
    assert cli.refused("delete", f"{namespace}/qwen", "--yes") == (
        f"ModelService {namespace}/qwen has deletion_protection and would be deleted. Set "
        "deletion_protection to False in an update of its own first."
    )
    assert "Deployment qwen" in left(asked, namespace)


def test_gpus_that_become_free_are_counted(cli: CommandLine, asked: Ask, namespace: str) -> None:
    waiting = {
        **hosted(namespace, {"replicas": 2, "gpu": {"product": "NVIDIA-A100", "count": 4}}),
        "wait": {"until": "accepted"},
    }
    asked(lambda fleet: fleet.apply(desired(waiting)))
    ran = cli.run("delete", f"{namespace}/qwen", "--yes", "--output", "json")
    assert ran.code == 0, ran
    assert json.loads(ran.out) == {
        "kind": "ModelService",
        "namespace": namespace,
        "name": "qwen",
        "owner": OWNER,
        "objects": [f"{kind} {namespace}/qwen" for kind in KINDS],
        "gpus": 8,
        "deleted": True,
    }
    assert "8 GPUs become free." in ran.err


def test_what_runs_elsewhere_is_deleted_as_well(
    cli: CommandLine, asked: Ask, namespace: str
) -> None:
    asked(lambda fleet: fleet.apply(desired(external(namespace))))
    assert "pod" not in cli.printed("delete", "qwen", "-n", namespace, "--yes")
    assert left(asked, namespace) == []


def test_an_object_that_does_not_go_is_named(
    cli: CommandLine,
    asked: Ask,
    service: str,
    namespace: str,
    plane_api: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delete_command, "SECONDS_FOR_THE_REST", 0.5)

    def set_finalizers(finalizers: list[str] | None) -> None:
        plane_api.send(
            "PATCH",
            f"/api/v1/namespaces/{namespace}/services/qwen",
            headers={"Content-Type": "application/merge-patch+json"},
            json={"metadata": {"finalizers": finalizers}},
        )

    set_finalizers(["example.com/stuck"])
    told = cli.refused("delete", service, "--yes")
    assert f"is deleted, but for Service {namespace}/qwen, which does not go." in told
    set_finalizers(None)


def test_a_service_whose_pods_are_held_is_said_to_be_going_still(
    asked: Ask, service: str, namespace: str, plane_api: Api
) -> None:
    hold(plane_api, namespace)
    deletion = asked(lambda fleet: fleet.deletion(namespace, "qwen"))
    asked(lambda fleet: fleet.client.delete(next(reversed(deletion.objects))))
    still = asked(lambda fleet: fleet.until_gone(deletion, timeout_seconds=0.5))
    assert f"Deployment {namespace}/qwen" in map(str, still)
    let_go(plane_api, namespace)
    asked(lambda fleet: fleet.delete(deletion.desired))
    assert asked(lambda fleet: fleet.until_gone(deletion, timeout_seconds=240)) == ()
    # However little time there is, nothing is said to be there that was not looked at.
    assert asked(lambda fleet: fleet.until_gone(deletion, timeout_seconds=0)) == ()
