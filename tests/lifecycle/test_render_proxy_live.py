"""What is rendered of a ModelProxy against what a real API server makes of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_render_live import rewritten

from modelfleet.cluster.apply import apply_objects
from modelfleet.cluster.client import Client
from modelfleet.cluster.ownership import Ownership
from modelfleet.render import Identity
from modelfleet.render.proxy import proxy_objects_of
from modelfleet.spec.proxy import ModelProxySpec

CASES = sorted((Path(__file__).parent.parent / "golden" / "render-proxy").glob("*.input.yaml"))
OWNER = "o/p/s"


def declared_in(path: Path) -> dict[str, Any]:
    declared: dict[str, Any] = yaml.safe_load(path.read_text())
    return declared


def rendered(declared: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    given: dict[str, Any] = {"keys": [], "hash_key": b"key", "redis_password": "pass", **changes}
    identity = Identity(owner=OWNER, urn=None, incarnation="1", cluster_uid="c")
    return proxy_objects_of(ModelProxySpec.model_validate(declared), identity=identity, **given)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name.split(".")[0])
async def test_the_api_server_keeps_what_is_rendered_of_a_proxy_and_needs_no_second_write(
    path: Path, kubeconfig: Path, namespace: str
) -> None:
    objects = rendered({**declared_in(path), "namespace": namespace})
    client = Client.connect(kubeconfig=str(kubeconfig))
    try:
        first = await apply_objects(client, copy.deepcopy(objects), ownership=Ownership(OWNER))
        for desired, change in zip(objects, first, strict=True):
            assert list(rewritten(desired, change.live)) == [], change.ref
        again = await apply_objects(client, objects, ownership=Ownership(OWNER))
        assert {str(change.ref): change.action for change in again} == dict.fromkeys(
            map(str, (change.ref for change in first)), "unchanged"
        )
    finally:
        await client.aclose()


async def test_pods_of_a_proxy_are_admitted_where_only_restricted_ones_are(
    admin_kubeconfig: Path, namespace: str
) -> None:
    client = Client.connect(kubeconfig=str(admin_kubeconfig))  # a Namespace and Pods are written
    declared = {
        "model_proxy_name": "gate",
        "namespace": namespace,
        "routes": {"chat": {"targets": [{"service": "qwen", "credential_name": "key"}]}},
        "redis": {"managed": True},
    }
    try:
        restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
        metadata = {"name": namespace, "labels": restricted}
        await client.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, field_manager="test"
        )
        templates = {
            each["kind"]: each["spec"]["template"]
            for each in rendered(declared)
            if "template" in each.get("spec", {})
        }
        assert sorted(templates) == ["Deployment", "StatefulSet"]
        for kind, template in templates.items():
            claim = {"name": "data", "emptyDir": {}}  # what a StatefulSet would put there
            volumes = [*template["spec"]["volumes"], *([claim] if kind == "StatefulSet" else [])]
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": kind.lower(), "namespace": namespace, **template["metadata"]},
                "spec": {**template["spec"], "volumes": volumes},
            }
            assert (await client.apply(pod, field_manager="test")).created
    finally:
        await client.aclose()
