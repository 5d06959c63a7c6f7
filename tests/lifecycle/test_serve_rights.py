"""The server does its work with the rights that ``--manifests`` prints, and needs all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleets import hosted
from proxies import SMALL, to_url
from rights import least_kubeconfig
from test_rbac import used
from typer.testing import CliRunner

from modelfleet.agentrun.registry import Registry
from modelfleet.agentrun.scope import Scope
from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet
from modelfleet.local import Plane
from modelfleet.local.api import Api
from modelfleet.main import app

SERVICE, PROXY = "ModelService", "ModelProxy"

PATHS = {
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "Service": "/api/v1/namespaces/{namespace}/services",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


def printed(*arguments: str) -> list[dict[str, Any]]:
    """Return the objects that ``modelfleet serve --manifests`` prints."""
    command = ["serve", "--manifests", "--image", "registry.example.com/modelfleet:1", *arguments]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.stdout))


def role_of(objects: Sequence[Mapping[str, Any]], *, name: str = "serve-all") -> Mapping[str, Any]:
    """Return the ClusterRole among ``objects``, by a name that no test has for other rules."""
    role = next(obj for obj in objects if obj["kind"] == "ClusterRole")
    return {**role, "metadata": {"name": name}}


def apply(api: Api, obj: Mapping[str, Any], *, namespace: str, manager: str = "a-person") -> Any:
    """Apply as kubectl does; what the API server does not know is an error."""
    return api.send(
        "PATCH",
        f"{PATHS[obj['kind']].format(namespace=namespace)}/{obj['metadata']['name']}",
        params={"fieldManager": manager, "fieldValidation": "Strict"},
        headers={"Content-Type": "application/apply-patch+yaml"},
        json=obj,
    )


Connected = Callable[[Mapping[str, Any]], Fleet]


@pytest.fixture
def connected(plane: Plane, plane_api: Api, tmp_path: Path) -> Connected:
    """Return a fleet in the hands of a user who may do what a role grants."""

    def connect(role: Mapping[str, Any]) -> Fleet:
        user = f"serve-{tmp_path.name}"
        path = least_kubeconfig(plane, plane_api, tmp_path, user=user, role=role)
        return Fleet(Client.connect(kubeconfig=str(path)))

    return connect


def granted(role: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {
        (verb, resource)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def live_and_die(registry: Registry, namespace: str) -> None:
    """Do what callers do with either kind, until nothing is left."""
    scope = Scope(namespace=namespace)
    service: dict[str, Any] = {"kind": SERVICE, "scope": scope}
    proxy: dict[str, Any] = {"kind": PROXY, "scope": scope}
    deployment = hosted(namespace)["deployment"]
    claim = {"kind": "pvc", "size_gib": 1, "access_mode": "ReadWriteMany"}
    first = {**deployment, "secret_env": {"A": "x"}, "storage": claim, "disruption": {}}
    await registry.create({"model_service_name": "qwen", "deployment": first}, **service)
    second = {**deployment, "replicas": 0}
    await registry.update(
        "qwen",
        {"deployment": second},
        clear=["deployment.storage", "deployment.disruption"],
        **service,
    )
    settings = {"base_url": "https://api.example.com/v1", "api_key": "not-a-real-key"}
    await registry.create({"model_service_name": "ext", "provider_settings": settings}, **service)
    await registry.update("ext", {"description": "elsewhere"}, **service)

    routes = {"chat": {"targets": [to_url(), {"service": "qwen"}]}}
    keys = {"ci": {"key": "sk-not-a-real-key-01"}}
    gate = {"model_proxy_name": "gate", "routes": routes, "api_keys": keys, **SMALL}
    await registry.create({**gate, "redis": {"managed": True}}, **proxy)
    await registry.update("gate", {"replicas": 1}, clear=["redis"], **proxy)
    await registry.wait("gate", is_over=lambda each: each.status == "READY", **proxy)
    await registry.update("gate", {"api_keys": {"ci": {"key": "sk-not-a-real-key-02"}}}, **proxy)
    assert await registry.list(**service) and await registry.list(**proxy)
    await registry.delete("gate", **proxy)
    for name in ("qwen", "ext"):
        await registry.delete(name, **service)


async def test_the_printed_role_grants_exactly_what_serving_both_kinds_takes(
    connected: Connected, namespace: str
) -> None:
    role = role_of(printed())
    fleet = connected(role)
    try:
        await live_and_die(Registry(fleet), namespace)
        sent = used(fleet.client.requests)
    finally:
        await fleet.aclose()
    assert (sent - granted(role), granted(role) - sent) == (set(), set())


async def test_the_printed_role_of_a_read_only_server_grants_exactly_what_reading_takes(
    connected: Connected, namespace: str
) -> None:
    role = role_of(printed("--read-only"), name="serve-read-only")
    fleet = connected(role)
    try:
        await Registry(fleet).list(kind=SERVICE, scope=Scope(namespace=namespace))
        sent = used(fleet.client.requests)
    finally:
        await fleet.aclose()
    assert sent == granted(role)


@pytest.mark.parametrize("arguments", [[], ["--read-only", "--insecure-http", "--port", "8080"]])
def test_the_manifests_apply_as_they_are_and_again_without_touching_what_was_filled_in(
    plane_api: Api, namespace: str, arguments: list[str]
) -> None:
    objects = printed("--namespace", namespace, *arguments)
    for obj in objects:
        apply(plane_api, obj, namespace=namespace)
    name = "modelfleet-serve-accounts"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    filled = {**secret, "stringData": {"accounts.yaml": "accounts: []"}}
    apply(plane_api, filled, namespace=namespace, manager="who-filled-it-in")
    before = [apply(plane_api, obj, namespace=namespace) for obj in objects]
    after = [apply(plane_api, obj, namespace=namespace) for obj in objects]
    for first, second in zip(before, after, strict=True):
        # Controllers report on what has a generation, and that alone does not grow meanwhile.
        version = "generation" if "generation" in first["metadata"] else "resourceVersion"
        assert first["metadata"][version] == second["metadata"][version]
    live = plane_api.send("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
    assert list(live["data"]) == ["accounts.yaml"]
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        plane_api.send("DELETE", f"{PATHS[kind]}/modelfleet-serve-{namespace}")
