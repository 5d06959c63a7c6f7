"""The example whose namespace, quota and secret pulumi-kubernetes makes.

Always: the program as it is, against a monitor in place of the engine, with our provider's own
check, at preview and after it. On the engine: as far as it comes on this machine. The plugin of
pulumi-kubernetes is in no package registry; where it is installed, the whole example is run.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import runpy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime
import pytest
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

from documented import ROOT, blocks
from modelfleet.adapters.dynamic.provider import ModelServiceProvider
from modelfleet.cluster.reasons import FieldNames
from modelfleet.cluster.refused_pods import refused_pod
from modelfleet.local.api import Api
from pulumi_stack import Stack

EXAMPLE = ROOT / "examples" / "with-pulumi-kubernetes"
PLUGIN = "pulumi-resource-kubernetes"
SERVICE = "pulumi-python:dynamic/modelfleet:ModelService"
NAMESPACE = "kubernetes:core/v1:Namespace"
QUOTA = "kubernetes:core/v1:ResourceQuota"
SECRET = "kubernetes:core/v1:Secret"

KUBECONFIG = json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "lab"})
CLUSTERS = json.dumps({"lab": {"kubeconfig": KUBECONFIG}})


@dataclass(frozen=True)
class Registered:
    """One request to register a resource, and what the provider's check says of it."""

    type: str
    name: str
    urn: str
    provider: str
    inputs: Mapping[str, Any]
    dependencies: set[str]
    of_property: Mapping[str, set[str]]
    problems: tuple[str, ...] = ()
    checked: Mapping[str, Any] = field(default_factory=dict)


class Monitor(MockMonitor):
    """Answers as the two providers do: names are made up on creation, and unknown before it."""

    def __init__(self, *, preview: bool) -> None:
        super().__init__(_NoMocks())
        self.preview = preview
        self.registered: list[Registered] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's spelling
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        inputs = rpc.deserialize_properties(request.object, True)
        answer = MessageToDict(request.object)
        problems, checked = [], dict[str, Any]()
        if request.type == SERVICE:
            result = ModelServiceProvider().check({}, _plain(inputs))
            problems, checked = [each.reason for each in result.failures], result.inputs
            answer |= {"gpu_total": checked.get("gpu_total", rpc.UNKNOWN)}
        elif request.type.startswith("kubernetes:"):
            given = answer.get("metadata") or {}
            named = {"name": f"{request.name}-5e1c3", **given}
            answer["metadata"] = rpc.UNKNOWN if self.preview else named
        self.registered.append(
            Registered(
                type=request.type,
                name=request.name,
                urn=urn,
                provider=request.provider,
                inputs=inputs,
                dependencies=set(request.dependencies),
                of_property={k: set(v.urns) for k, v in request.propertyDependencies.items()},
                problems=tuple(problems),
                checked=checked,
            )
        )
        state = struct_pb2.Struct()
        state.update(answer)
        id_ = "" if self.preview else f"id-of-{request.name}"
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id_, object=state)


class _NoMocks(Mocks):
    def new_resource(self, args: MockResourceArgs) -> Any:
        raise AssertionError(f"unexpected resource {args}")

    def call(self, args: MockCallArgs) -> Any:
        raise AssertionError(f"unexpected call {args}")


def _plain(value: Any) -> Any:
    """Return inputs as the engine hands them to our plugin: secrets in plain text."""
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def registrations(*, preview: bool) -> list[Registered]:
    """Run the example's program and return what it registered, in order."""
    monitor = Monitor(preview=preview)
    config = {"modelfleet:clusters": CLUSTERS, "with-pulumi-kubernetes:hf_token": "planted-secret"}
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    async def run() -> None:
        SETTINGS.outputs.clear()
        pulumi.runtime.set_all_config(config, list(config))
        pulumi.runtime.set_mocks(
            monitor.mocks,
            project="with-pulumi-kubernetes",
            stack="dev",
            organization="acme",
            preview=preview,
            monitor=monitor,
        )
        await run_pulumi_func(lambda: runpy.run_path(str(EXAMPLE / "__main__.py")) and None)

    contextvars.copy_context().run(asyncio.run, run())
    return monitor.registered


def by_name(found: list[Registered]) -> dict[str, Registered]:
    return {each.name: each for each in found}


@pytest.mark.parametrize("preview", [True, False], ids=["preview", "up"])
def test_services_come_after_what_pulumi_kubernetes_makes_for_them(preview: bool) -> None:
    found = registrations(preview=preview)
    resources = by_name(found)
    search, gpus, token = (resources[name] for name in ("search", "gpus", "hugging-face"))
    assert [each.type for each in (search, gpus, token)] == [NAMESPACE, QUOTA, SECRET]
    for name in ("chat", "embeddings"):
        service = resources[name]
        assert service.type == SERVICE
        assert found.index(service) > max(map(found.index, (search, gpus)))
        assert service.of_property["namespace"] == {search.urn}
        assert {search.urn, gpus.urn} <= service.dependencies
    assert found.index(resources["chat"]) > found.index(token)
    assert token.urn in resources["chat"].of_property["deployment"]
    assert token.urn not in resources["embeddings"].dependencies


def test_names_that_pulumi_kubernetes_makes_up_reach_the_services() -> None:
    resources = by_name(registrations(preview=False))
    for name in ("chat", "embeddings"):
        assert resources[name].inputs["namespace"] == "search-5e1c3"
        assert resources[name].checked["model_service_id"] == f"search-5e1c3/{name}"
    model = resources["chat"].inputs["deployment"]["model"]
    assert model["credential_name"] == "hugging-face-5e1c3/token"


@pytest.mark.parametrize("preview", [True, False], ids=["preview", "up"])
def test_the_check_accepts_what_is_declared_and_what_is_not_known_yet(preview: bool) -> None:
    resources = by_name(registrations(preview=preview))
    for name, gpus in {"chat": 2, "embeddings": 1}.items():
        service = resources[name]
        assert service.problems == ()
        is_known = isinstance(service.checked["namespace"], str)
        assert is_known is not preview
        # What does not depend on a name is known at preview already.
        assert service.checked["gpu_total"] == gpus
        assert service.checked["access_name"] == name


def test_both_providers_are_given_one_kubeconfig_and_it_stays_secret() -> None:
    resources = by_name(registrations(preview=False))
    provider = resources["lab"]
    assert provider.type == "pulumi:providers:kubernetes"
    given = provider.inputs["kubeconfig"]
    assert rpc.is_rpc_secret(given)
    assert rpc.unwrap_rpc_secret(given) == KUBECONFIG
    for name in ("search", "gpus", "hugging-face"):
        assert resources[name].provider.startswith(f"{provider.urn}::")
    for name in ("chat", "embeddings"):
        service = resources[name]
        assert json.loads(CLUSTERS)[service.inputs["cluster"]] == {"kubeconfig": KUBECONFIG}
        assert KUBECONFIG not in json.dumps(service.inputs, default=str)


def test_the_message_that_the_readme_shows_is_the_one_that_is_told() -> None:
    (shown,) = (each.text for each in blocks(EXAMPLE / "README.md") if each.language == "text")
    gpu = "requests.nvidia.com/gpu"
    told = refused_pod(
        f'pods "chat-5e1c3" is forbidden: exceeded quota: gpus, requested: {gpu}=1, used: {gpu}=3, '
        f"limited: {gpu}=3",
        fields=FieldNames(),
        old_pods=0,
    )
    assert " ".join(shown.split()) == told.reason.sentence


def installed_plugin() -> Path | None:
    """Return the plugin of pulumi-kubernetes, where this machine has it."""
    if on_path := shutil.which(PLUGIN):
        return Path(on_path)
    cached = sorted((Path.home() / ".pulumi" / "plugins").glob(f"resource-kubernetes-*/{PLUGIN}"))
    return cached[-1] if cached else None


def test_on_the_engine_the_example_runs_whole_or_ends_where_the_plugin_is_missing(
    stack_factory: Callable[..., Stack],
    kubeconfig: Path,
    plane_api: Api,
    pulumi_path: str,
    record_property: Callable[[str, object], None],
) -> None:
    plugin = installed_plugin()
    path = os.pathsep.join([*([str(plugin.parent)] if plugin else []), pulumi_path])
    stack = stack_factory(EXAMPLE, project="with-pulumi-kubernetes", environment={"PATH": path})
    clusters = json.dumps({"lab": {"kubeconfig": str(kubeconfig)}})
    stack.set_config("modelfleet:clusters", clusters)
    stack.set_config("hf_token", "not-a-real-token", secret=True)
    done = "ran whole, with the plugin" if plugin else "ended where the plugin is missing"
    record_property("example with-pulumi-kubernetes", done)
    print(f"example with-pulumi-kubernetes: {done}")  # shown by pytest -rP

    if plugin is None:
        refused = stack.up(expect_failure=True)
        assert "no resource plugin 'pulumi-resource-kubernetes'" in refused.output
        # Nothing was made before what it is to live in.
        assert not any(each["type"] == SERVICE for each in stack.resources().values())
        return

    stack.up()
    namespace = stack.outputs()["namespace"]
    path_of_deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    deployments = plane_api.send("GET", path_of_deployments)["items"]
    assert sorted(each["metadata"]["name"] for each in deployments) == ["chat", "embeddings"]
    assert stack.outputs()["gpus"] == 3
    again = stack.up()
    assert "updated" not in again.output
    assert "not-a-real-token" not in json.dumps(stack.export())
    stack.destroy()
    assert stack.resources() == {}
