"""``modelfleet import`` on a real cluster, with the defaults that a real API server fills in.

Dimensions: who made what is meant x can it be found x can its record be read.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from fleets import OWNER, desired, external, hosted
from typer.testing import CliRunner, Result

from modelfleet import labels
from modelfleet.adapters.cli import main as command_line
from modelfleet.adapters.cli.main import app
from modelfleet.cluster.client import Client
from modelfleet.cluster.pod_defaults import template_differences
from modelfleet.fleet import Fleet
from modelfleet.importing import foreign_declaration
from modelfleet.local.api import Api
from modelfleet.plan import plan, spec_of
from modelfleet.render import pod_template_of

DEPLOYMENTS = "/apis/apps/v1/namespaces/{namespace}/deployments"
GOLDEN = sorted((Path(__file__).parent.parent / "golden" / "render").glob("*.output.yaml"))
EXAMPLE = Path(__file__).parents[2] / "examples" / "takeover" / "ready-to-adopt.yaml"


@pytest.fixture
def services(fleet_kubeconfig: Path, namespace: str) -> str:
    """A hosted service and an external one."""

    async def applied() -> None:
        fleet = Fleet(Client.connect(kubeconfig=str(fleet_kubeconfig)))
        try:
            await fleet.apply(desired(hosted(namespace, {"replicas": 0, "secret_env": {"T": "x"}})))
            await fleet.apply(desired({**external(namespace), "model_service_name": "api"}))
        finally:
            await fleet.aclose()

    asyncio.run(applied())
    return namespace


def imported(kubeconfig: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["import", "--kubeconfig", str(kubeconfig), *arguments])


@pytest.fixture
def refused(
    fleet_kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """``refused(name, …)`` runs the console script, which has to fail, and returns what it said."""

    def run(*arguments: str) -> str:
        command = ["modelfleet", "import", "--kubeconfig", str(fleet_kubeconfig), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as caught:
            command_line.main()
        assert caught.value.code == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err.strip()

    return run


def test_a_service_is_printed_as_it_was_declared_and_its_secrets_are_asked_for(
    services: str, fleet_kubeconfig: Path
) -> None:
    result = imported(fleet_kubeconfig, "qwen", "-n", services)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f'namespace="{services}",' in result.stdout
    assert '"secret_env": {"T": config.require_secret("qwen_t")},' in result.stdout
    assert "adopt" not in result.stdout
    assert imported(fleet_kubeconfig, f"{services}/qwen").stdout == result.stdout
    ours = imported(fleet_kubeconfig, f"{services}/qwen", "--owner", OWNER)
    assert ours.stdout == result.stdout
    theirs = imported(fleet_kubeconfig, f"{services}/qwen", "--owner", "acme/other/prod")
    assert "    adopt=True,\n" in theirs.stdout


def test_an_external_service_is_found_by_its_own_name(
    services: str, fleet_kubeconfig: Path
) -> None:
    result = imported(fleet_kubeconfig, "api", "-n", services)
    assert result.exit_code == 0
    assert 'provider_settings={"base_url": "https://api.example.com/v1"},' in result.stdout


def test_a_missing_name_says_where_was_looked(refused: Callable[..., str], namespace: str) -> None:
    assert refused("nothing-is-called-so") == (
        "error: nothing-is-called-so: no ModelService, ModelProxy or Deployment is called so in "
        "any namespace. modelfleet ls lists what modelfleet has made, kubectl get deployments -A "
        "the rest."
    )
    assert f"called so in namespace {namespace}. " in refused("absent", "-n", namespace)


def test_a_name_in_several_namespaces_says_in_which(
    services: str, refused: Callable[..., str], plane_api: Api
) -> None:
    other = f"{services}-2"
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": other}})
    secret = plane_api.send("GET", f"/api/v1/namespaces/{services}/secrets/api-external")
    kept = {key: secret["metadata"][key] for key in ("name", "labels", "annotations")}
    copy = {"metadata": kept, "data": secret["data"]}
    name = labels.external_secret_name(f"only-{services}")
    for space in (services, other):
        copy["metadata"]["name"] = name
        plane_api.send("POST", f"/api/v1/namespaces/{space}/secrets", json=copy)
    assert refused(f"only-{services}") == (
        f"error: only-{services} is there several times: service/{services}/only-{services}, "
        f"service/{other}/only-{services}. Say which one is meant, as it is called here."
    )
    plane_api.send("DELETE", f"/api/v1/namespaces/{other}")


def test_a_record_that_cannot_be_read_says_so(
    services: str, refused: Callable[..., str], plane_api: Api
) -> None:
    plane_api.send(
        "PATCH",
        f"{DEPLOYMENTS.format(namespace=services)}/qwen",
        headers={"Content-Type": "application/merge-patch+json"},
        json={"metadata": {"annotations": {labels.RECORD: "{"}}},
    )
    said = refused("qwen", "-n", services)
    assert f"Deployment {services}/qwen: its annotation {labels.RECORD} cannot be read" in said


def test_a_document_of_what_cannot_be_taken_over_is_refused(
    services: str, refused: Callable[..., str], fleet_kubeconfig: Path, plane_api: Api
) -> None:
    engine = {"name": "server", "image": "registry.example.com/engine:1"}
    pods = {"metadata": {"labels": {"app": "old"}}, "spec": {"containers": [engine]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "old"}}, "template": pods}
    theirs = {"metadata": {"name": "old"}, "spec": spec}
    plane_api.send("POST", DEPLOYMENTS.format(namespace=services), json=theirs)

    printed = imported(fleet_kubeconfig, "old", "-n", services)

    assert printed.exit_code == 3
    assert 'ModelService(\n    "old-next",' in printed.stdout
    assert "cannot be taken over: it selects pods by app=old, modelfleet's" in printed.stderr
    assert "cannot be taken over: its container is called server" in printed.stderr
    said = refused("old", "-n", services, "--output", "document")
    assert f"Deployment {services}/old cannot be taken over: it selects pods by app=old" in said


@pytest.mark.parametrize("case", [*GOLDEN, EXAMPLE], ids=lambda path: path.name.split(".")[0])
def test_what_the_server_makes_of_a_pod_template_is_declared_so_that_pods_stay(
    case: Path, plane_api: Api, namespace: str
) -> None:
    for obj in yaml.safe_load_all(case.read_text()):
        if obj.get("kind") != "Deployment":
            continue
        pods = obj["spec"]["template"]["metadata"]
        pods.pop("annotations", None)  # modelfleet's own, which its record explains
        metadata = {"name": obj["metadata"]["name"], "namespace": namespace}
        live = plane_api.send(
            "POST",
            DEPLOYMENTS.format(namespace=namespace),
            params={"dryRun": "All"},
            json={**obj, "metadata": metadata},
        )
        live |= {"apiVersion": "apps/v1", "kind": "Deployment"}

        declaration = foreign_declaration(live).declaration

        template = pod_template_of(spec_of(plan(declaration).inputs))
        assert list(template_differences(template, live["spec"]["template"])) == []
