"""The command line with ModelProxies on a real cluster, by a user with the least rights.

Dimensions: every command x a proxy beside services, one of which has its name.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from fleets import OWNER, names_in
from fleets import desired as desired_service
from proxies import desired as desired_proxy
from proxies import proxy, service

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import SECRET, Ref
from modelfleet.fleet import Desired, Fleet
from modelfleet.gateway.keys_file import KeyEntry, sha256_of
from modelfleet.local.api import Api
from modelfleet.render.proxy import redis_password_in

KEY = "sk-given-0123456789abcdef"
MADE = "sk-made-0123456789abcdef"
ACCEPTED = {"until": "accepted"}


def asked(kubeconfig: Path, *desired: Desired) -> None:
    """Apply in order, and have no more of it than that."""

    async def applied() -> None:
        fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
        try:
            for each in desired:
                await fleet.apply(each)
        finally:
            await fleet.aclose()

    asyncio.run(applied())


def split(namespace: str, **fields: Any) -> dict[str, Any]:
    """Return a proxy of two routes, with a key of every kind and a Redis of its own."""
    targets = [{"service": "large", "weight": 80}, {"service": "gate", "weight": 20}]
    declared: dict[str, Any] = {
        "routes": {
            "chat": {"targets": targets, "fallbacks": ["spare"]},
            "spare": {"targets": [{"service": "gate"}]},
        },
        "api_keys": {"given": {"key": KEY}, "made": {"generate": {}}},
        "redis": {"managed": True},
        "wait": ACCEPTED,
        **fields,
    }
    return proxy(namespace, **declared)


def gate(namespace: str) -> Desired:
    return desired_proxy(split(namespace), keys=(KeyEntry("made", sha256_of(MADE)),))


@pytest.fixture
def cli(fleet_kubeconfig: Path) -> CommandLine:
    return CommandLine(fleet_kubeconfig)


@pytest.fixture(scope="module")
def space(plane_api: Api, fleet_kubeconfig: Path) -> Iterator[str]:
    """A proxy called gate, beside two services that it calls, one of them called gate as well."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    services = (service(name, each, wait=ACCEPTED) for each in ("large", "gate"))
    asked(fleet_kubeconfig, *map(desired_service, services), gate(name))
    yield name
    plane_api.send("DELETE", f"/api/v1/namespaces/{name}")


def test_a_proxy_is_listed_beside_services_with_its_routes(cli: CommandLine, space: str) -> None:
    _, *rows = cli.printed("ls", "-n", space).splitlines()
    named = sorted((row.split()[0], row.split()[2]) for row in rows)
    assert named == [("ModelProxy", "gate"), ("ModelService", "gate"), ("ModelService", "large")]
    (row,) = [each for each in rows if each.startswith("ModelProxy")]
    assert "2 routes: chat, spare" in row
    listed = json.loads(cli.printed("ls", "-n", space, "--output", "json"))
    (told,) = [each for each in listed if each["kind"] == "ModelProxy"]
    assert (told["name"], told["model"], told["gpus"]) == ("gate", "2 routes: chat, spare", 0)


@pytest.mark.parametrize("verb", ["status", "logs", "delete", "import", "chat"])
def test_a_name_that_two_have_is_asked_for_with_its_kind(
    cli: CommandLine, space: str, verb: str
) -> None:
    said = ["hello"] if verb == "chat" else []
    assert cli.refused(verb, f"{space}/gate", *said) == (
        f"{space}/gate is there several times: proxy/{space}/gate, service/{space}/gate. Say which "
        "one is meant, as it is called here."
    )


def test_a_name_of_the_other_kind_is_not_found_but_told(cli: CommandLine, space: str) -> None:
    assert cli.refused("status", f"proxy/{space}/large") == (
        f"large: no ModelProxy is called so in namespace {space}. There is service/{space}/large."
    )
    assert cli.refused("status", f"{space}/gate-proxy") == (
        f"Deployment {space}/gate-proxy: is a part of ModelProxy gate. Say proxy/{space}/gate."
    )


def test_a_proxy_is_shown_with_its_routes_and_how_many_keys_it_has(
    cli: CommandLine, space: str
) -> None:
    ran = cli.run("status", "proxy/gate", "-n", space)
    told = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert told[0].startswith(f"ModelProxy {space}/gate: ")
    assert f"base_url http://gate-proxy.{space}.svc/v1" in told
    assert "keys 2" in told
    assert any(line.startswith("Redis gate-redis, ") for line in told)
    at = told.index("ROUTE WEIGHT UPSTREAM MODEL FALLBACKS")
    assert told[at + 1 : at + 4] == [
        f"chat 80 {space}/large large spare",
        f"20 {space}/gate gate",
        f"spare 1 {space}/gate gate -",
    ]
    assert "access name" not in ran.out


def test_a_proxy_is_told_to_programs_without_a_key_or_password(
    cli: CommandLine, space: str, fleet_kubeconfig: Path
) -> None:
    ran = cli.run("status", f"proxy/{space}/gate", "-o", "json")
    told = json.loads(ran.out)
    assert told["proxy"]["keys"] == 2
    assert [each["access_name"] for each in told["proxy"]["routes"]] == ["chat", "spare"]
    assert told["proxy"]["routes"][0]["upstreams"][0] == {
        "service": f"{space}/large",
        "base_url": f"http://large.{space}.svc/v1",
        "model": "large",
        "weight": 80,
    }
    assert "proxy" not in json.loads(cli.run("status", f"{space}/large", "-o", "json").out)

    async def password() -> str | None:
        client = Client.connect(kubeconfig=str(fleet_kubeconfig))
        try:
            return redis_password_in(await client.get(Ref(SECRET, space, "gate-redis")))
        finally:
            await client.aclose()

    kept = asyncio.run(password())
    assert kept
    for secret in (KEY, MADE, sha256_of(KEY), kept):
        assert secret not in ran.out


def test_the_gateways_of_a_proxy_are_heard_and_not_its_redis(cli: CommandLine, space: str) -> None:
    deadline = time.monotonic() + 240
    while (ran := cli.run("logs", f"proxy/{space}/gate", "-o", "json")).code or not ran.out:
        assert time.monotonic() < deadline, ran
    assert {json.loads(line)["pod"].rsplit("-", 2)[0] for line in ran.out.splitlines()} == {
        "gate-proxy"
    }


def test_the_program_of_a_proxy_asks_for_its_key_and_warns_of_those_that_were_made(
    cli: CommandLine, space: str
) -> None:
    ran = cli.run("import", f"proxy/{space}/gate")
    assert ran.code == 0
    assert 'ModelProxy(\n    "gate",\n' in ran.out
    assert '"key": config.require_secret("gate_given_key")' in ran.out
    assert "# Of the keys that modelfleet made (made) the cluster has only hashes" in ran.out
    assert "the next up makes new ones, and those in use are refused from then on." in ran.err
    compile(ran.out, "program", "exec")


def test_the_document_of_a_proxy_holds_what_an_up_would_have_left(
    cli: CommandLine, space: str
) -> None:
    (entry,) = json.loads(cli.printed("import", f"proxy/{space}/gate", "--output", "document"))[
        "resources"
    ]
    assert entry["type"] == "pulumi-python:dynamic/modelfleet:ModelProxy"
    assert (entry["name"], entry["id"]) == ("gate", f"{space}/gate")
    assert entry["inputs"]["access_names"] == ["chat", "spare"]
    assert entry["inputs"]["owner"] == OWNER
    assert entry["inputs"]["api_keys"] == {"given": {"key": ""}, "made": {"generate": {}}}
    assert len(entry["inputs"]["pod_template_hash"]) > 8
    assert entry["outputs"]["generated_keys"] == {}
    assert entry["outputs"]["incarnation"]


def test_a_service_that_a_proxy_uses_is_refused_before_its_name_is_asked_for(
    cli: CommandLine, space: str
) -> None:
    ran = cli.run("delete", f"{space}/large", typed="large\n")
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err == (
        f"error: ModelService {space}/large: is used by ModelProxy {space}/gate. Take it out of "
        "the routes of those first, or delete them.\n"
    )


def test_a_deleted_proxy_takes_its_redis_along_and_says_so(
    cli: CommandLine, fleet_kubeconfig: Path, namespace: str
) -> None:
    services = (service(namespace, each, wait=ACCEPTED) for each in ("large", "gate"))
    asked(fleet_kubeconfig, *map(desired_service, services), gate(namespace))
    ran = cli.run("delete", f"proxy/{namespace}/gate", typed="gate\n")
    assert ran.code == 0, ran
    lines = ran.out.splitlines()
    assert lines[0] == f"ModelProxy {namespace}/gate of {OWNER} is going to be deleted:"
    assert f"  StatefulSet {namespace}/gate-redis" in lines
    assert f"  Deployment {namespace}/gate-proxy" in lines
    assert "Its Redis goes with its disk: what was counted for limits, and cached answers." in lines
    assert "The key made, which modelfleet made, can never be used again." in lines
    assert lines[-1] == f"Deleted ModelProxy {namespace}/gate."

    async def left() -> list[str]:
        client = Client.connect(kubeconfig=str(fleet_kubeconfig))
        try:
            return await names_in(client, namespace, name="gate")
        finally:
            await client.aclose()

    assert asyncio.run(left()) == ["NetworkPolicy gate", "Service gate", "Deployment gate"]
    assert cli.run("delete", f"{namespace}/gate", "--yes").code == 0
