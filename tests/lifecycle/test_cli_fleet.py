"""``modelfleet ls`` on a real cluster; ``prune`` needs a stack, so the engine's tests try it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from command_line import CommandLine
from fleets import OTHER_OWNER, OWNER, desired, external, hosted

from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet


def ls(kubeconfig: Path, *arguments: str) -> str:
    return CommandLine(kubeconfig).printed("ls", *arguments)


@pytest.fixture
def services(fleet_kubeconfig: Path, namespace: str) -> str:
    """A hosted and an external service of one owner, and one of another."""

    async def applied() -> None:
        fleet = Fleet(Client.connect(kubeconfig=str(fleet_kubeconfig)))
        try:
            await fleet.apply(desired(hosted(namespace, {"replicas": 2})))
            await fleet.apply(desired({**external(namespace), "model_service_name": "api"}))
            theirs = {**external(namespace), "model_service_name": "theirs"}
            await fleet.apply(desired(theirs, owner=OTHER_OWNER))
        finally:
            await fleet.aclose()

    asyncio.run(applied())
    return namespace


def test_services_are_shown_as_a_table_one_line_each(fleet_kubeconfig: Path, services: str) -> None:
    lines = ls(fleet_kubeconfig, "--namespace", services).splitlines()
    header, *rows = [line.split() for line in lines]
    age = header.index("AGE")
    assert all(re.fullmatch(r"\d+[sm]", row.pop(age)) for row in rows)
    assert " ".join(header) == "KIND NAMESPACE NAME STATUS READY GPUS AGE MODEL OWNER"
    kind = "ModelService"
    assert rows == [
        [kind, services, "api", "READY", "-", "-", "https://api.example.com/v1", OWNER],
        [kind, services, "qwen", "READY", "2/2", "-", "file:///models/qwen", OWNER],
        [kind, services, "theirs", "READY", "-", "-", "https://api.example.com/v1", OTHER_OWNER],
    ]


def test_only_those_of_an_owner_are_shown_where_one_is_named(
    fleet_kubeconfig: Path, services: str
) -> None:
    _, *rows = ls(fleet_kubeconfig, "-n", services, "--owner", OTHER_OWNER).splitlines()
    assert [row.split()[2] for row in rows] == ["theirs"]


def test_services_are_shown_as_json_for_programs(fleet_kubeconfig: Path, services: str) -> None:
    listed = json.loads(ls(fleet_kubeconfig, "-n", services, "-o", "json"))
    assert [each["name"] for each in listed] == ["api", "qwen", "theirs"]
    assert listed[1]["status"] == "READY"
    assert listed[1]["replicas"] == 2


def test_a_cluster_without_services_says_so(fleet_kubeconfig: Path, namespace: str) -> None:
    assert ls(fleet_kubeconfig, "-n", namespace) == "No ModelServices and no ModelProxies.\n"
    assert json.loads(ls(fleet_kubeconfig, "-n", namespace, "-o", "json")) == []
