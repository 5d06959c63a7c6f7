"""Rules on models, storage, disruption, architectures, overrides: what is refused, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from declarations import FULL_RUNTIME, hosted

from modelfleet.engines import ENGINE_RULES
from modelfleet.spec import problems_of
from modelfleet.spec.model_rules import FORMS
from modelfleet.spec.rules import SPEC_RULES

SHA256 = "0" * 64
UNKNOWN = object()


def problems(deployment: Mapping[str, Any]) -> list[str]:
    full = {"runtime": FULL_RUNTIME, "runtime_version": None, **deployment}
    found = problems_of(
        hosted(full), is_unknown=lambda value: value is UNKNOWN, rules=(*SPEC_RULES, *ENGINE_RULES)
    )
    return [str(problem) for problem in found]


def model(uri: str, **fields: Any) -> dict[str, Any]:
    return {"model": {"uri": uri, **fields}}


# Models


@pytest.mark.parametrize(
    "declared",
    [
        model("hf://org/model", credential_name="hub/token"),
        model("hf://org/model:Q4_K_M"),
        model("hf://model"),
        model("hf://org/model/a/b.gguf", revision="v1", sha256=SHA256),
        model("modelscope://org/model/b.gguf", credential_name="hub"),
        model("s3://bucket/some/folder", credential_name="keys"),
        model("s3://bucket"),
        model("gs://bucket/m.gguf", sha256=SHA256),
        model("https://host:8443/a/m.gguf?download=true", sha256=SHA256, credential_name="t/k"),
        model("oci://registry.example.com:5000/org/model:v1#/weights"),
        model(f"oci://registry.example.com/model@sha256:{SHA256}"),
        model("pvc://claim"),
        model("pvc://claim/a/m.gguf", sha256=SHA256),
        model("file:///models/x"),
    ],
)
def test_a_source_that_can_be_had_is_accepted(declared: dict[str, Any]) -> None:
    assert problems(declared) == []


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (model("ftp://a"), "uri: ftp:// is not a model source; there are hf://"),
        (model("http://a/b"), "uri: http:// is not a model source; there are hf://"),
        (model("hf:///a"), "uri: must be hf://organisation/model"),
        (model("hf://a//b/c"), "uri: must be hf://organisation/model"),
        (model("hf://a/b@main"), "uri: must be hf://organisation/model"),
        (model("s3:///a"), "uri: must be s3://bucket/path"),
        (model("https://host"), "uri: must be https://host/path/file"),
        (model("https://host/a/"), "uri: must be https://host/path/file"),
        (model("https://me:hush@host/a"), "uri: must be https://host/path/file, without cred"),
        (model("https://h/a?X-Amz-Signature=hush"), "uri: would show the key that its query"),
        (model("oci://UPPER/x y"), None),
        (model("oci://r.example.com/m:v1#a/"), "uri: must be oci://registry/image:tag"),
        (model("pvc:///a"), "uri: must be pvc://claim/path"),
        (model("pvc://claim/../other"), "uri: must not have . or .. as a step"),
        (model("file://a"), "uri: must be an absolute path: file:///models/x"),
        (model("pvc://a", revision="r"), "revision: has a meaning for hubs only"),
        (model("https://h/a", revision="r"), "revision: has a meaning for hubs only"),
        (model("pvc://a", credential_name="s"), "credential_name: has no meaning for pvc://"),
        (model("file:///a", credential_name="s"), "credential_name: has no meaning for file://"),
        (model("oci://r/a:1", credential_name="s"), "credential_name: has no meaning for oci://"),
        (
            model("s3://bucket/a", credential_name="s/k"),
            "credential_name: must be the name of a whole",
        ),
        (model("hf://org/model", sha256=SHA256), "sha256: is of one file, and a repository"),
        (model("oci://r/a:1", sha256=SHA256), "sha256: is of one file; pin the image"),
        (model("file:///a", sha256=SHA256), "sha256: cannot be compared inside"),
        (model("pvc://claim", sha256=SHA256), "sha256: is of one file, and pvc://claim is a"),
        (
            model("s3://bucket/a/", sha256=SHA256),
            "sha256: is of one file, and s3://bucket/a/ is a folder",
        ),
        (
            model("modelscope://org/model"),
            "uri: a runtime given in full reads no repository of modelscope:// by itself; name",
        ),
    ],
)
def test_a_source_that_cannot_be_had_is_refused_with_what_to_do(
    declared: dict[str, Any], expected: str | None
) -> None:
    found = problems(declared)
    if expected is None:
        assert found
    else:
        assert len(found) == 1
        assert found[0].startswith(f"deployment.model.{expected}")


def test_every_scheme_is_said_in_the_documentation_of_the_field() -> None:
    from modelfleet.spec.model_source import ModelSource

    said = ModelSource.model_fields["uri"].description or ""
    assert [scheme for scheme in FORMS if f"{scheme}://" not in said] == []


# Storage


def storage(kind: str, **fields: Any) -> dict[str, Any]:
    return {"storage": {"kind": kind, **fields}, "strategy": {"type": "recreate"}}


SHARED = {"access_mode": "ReadWriteMany"}


@pytest.mark.parametrize(
    "declared",
    [
        storage("empty_dir"),
        storage("empty_dir", size_gib=10),
        storage("host_path", path="/var/lib/models"),
        storage("pvc", size_gib=10),
        storage("pvc", size_gib=10, class_name="fast", access_mode="ReadWriteOncePod"),
        storage("pvc", claim="models"),
        {**storage("pvc", claim="models"), "replicas": 3, "strategy": {}},
        {**storage("pvc", size_gib=1, **SHARED), "replicas": 3, "strategy": {}},
        {
            **storage("pvc", size_gib=1),
            "strategy": {"max_surge": 0, "max_unavailable": 1},
        },
        {**storage("pvc", size_gib=1), "strategy": {"max_unavailable": 1, "max_surge": 0}},
    ],
)
def test_storage_that_can_be_mounted_is_accepted(declared: dict[str, Any]) -> None:
    assert problems(declared) == []


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (storage("empty_dir", claim="a"), "storage.claim: has no meaning with kind empty_dir"),
        (storage("empty_dir", class_name="a"), "storage.class_name: has no meaning with kind"),
        (storage("empty_dir", **SHARED), "storage.access_mode: has no meaning with kind"),
        (storage("host_path"), "storage.path: is required with kind host_path"),
        (storage("host_path", path="/a", size_gib=1), "storage.size_gib: has no meaning"),
        (storage("host_path", path="relative"), "storage.path: must be an absolute path"),
        (storage("pvc"), "storage.size_gib: is required for a claim of the service's own"),
        (storage("pvc", size_gib=1, path="/a"), "storage.path: has no meaning with kind pvc"),
        (storage("pvc", claim="a", size_gib=1), "storage.size_gib: is of the existing claim"),
        (storage("pvc", claim="a", **SHARED), "storage.access_mode: is of the existing claim"),
        (
            {**storage("pvc", size_gib=1), "replicas": 2},
            "storage.access_mode: ReadWriteOnce lets the pods of one node mount the claim, and",
        ),
        (
            {**storage("pvc", size_gib=1), "strategy": {}},
            "strategy: a new pod could not mount the ReadWriteOnce claim before the old one",
        ),
        (
            {**storage("pvc", size_gib=1), "strategy": {"max_surge": 1}},
            "strategy: a new pod could not mount",
        ),
    ],
)
def test_storage_that_could_not_be_mounted_is_refused_with_what_to_do(
    declared: dict[str, Any], expected: str
) -> None:
    (found,) = problems(declared)
    assert found.startswith(f"deployment.{expected}")


# Disruption and architectures


@pytest.mark.parametrize(
    "declared",
    [
        {"disruption": {}},
        {"disruption": {"max_unavailable": 1}},
        {"disruption": {"min_available": 2}, "replicas": 3},
        {"disruption": {"min_available": 2}, "replicas": 0},
        {"disruption": {"min_available": 0}, "replicas": 1},
        {"cpu_architecture": "arm64", "images": {"arm64": "a:1", "cpu/amd64": "b:1"}},
        {"cpu_architecture": "arm64", "node_selector": {"kubernetes.io/arch": "arm64"}},
    ],
)
def test_pods_that_can_be_placed_and_evicted_are_accepted(declared: dict[str, Any]) -> None:
    assert problems(declared) == []


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (
            {"disruption": {"min_available": 1, "max_unavailable": 1}, "replicas": 2},
            "disruption.max_unavailable: excludes min_available",
        ),
        (
            {"disruption": {"max_unavailable": 0}},
            "disruption.max_unavailable: 0 would keep every node with a pod from being drained",
        ),
        (
            {"disruption": {"min_available": 2}, "replicas": 2},
            "disruption.min_available: 2 of 2 replicas would keep every node",
        ),
        ({"images": {"arm64": "a:1"}}, "images.arm64: would never be used: set deployment.cpu"),
        (
            {"images": {"nvidia/arm64": "a:1"}},
            'images["nvidia/arm64"]: would never be used: set deployment.cpu_architecture to arm64'
            ", or use the key nvidia",
        ),
        (
            {"cpu_architecture": "arm64", "node_selector": {"kubernetes.io/arch": "amd64"}},
            'node_selector["kubernetes.io/arch"]: contradicts deployment.cpu_architecture',
        ),
    ],
)
def test_pods_that_no_node_could_take_or_lose_are_refused(
    declared: dict[str, Any], expected: str
) -> None:
    (found,) = problems(declared)
    assert found.startswith(f"deployment.{expected}")


# Overrides


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"metadata": {"labels": {"team": "a"}, "annotations": {"x/y": "1"}}},
        pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
        pod(securityContext={"runAsUser": 0, "runAsNonRoot": False}),
        pod(containers=[{"name": "engine", "resources": {"limits": {"rdma/hca": 1}}}]),
        pod(containers=[{"name": "proxy", "image": "a:1", "ports": [{"containerPort": 1}]}]),
        pod(containers=[{"name": "proxy", "$patch": "delete"}]),
        pod(volumes=[{"$patch": "replace"}, {"name": "a", "emptyDir": {}}]),
        pod(affinity={"$patch": "delete"}, priorityClassName={"$patch": "delete"}),
        pod(containers=[{"name": "engine", "lifecycle": {"$patch": "replace", "preStop": {}}}]),
    ],
)
def test_a_patch_on_a_pod_template_is_accepted(overrides: dict[str, Any]) -> None:
    assert problems({"pod_overrides": overrides}) == []


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"spce": {}}, ".spce: unknown field; did you mean `spec`?"),
        ({"template": {}}, ".template: unknown field of a pod; there are metadata and spec"),
        ({"spec": []}, ".spec: must be a map of fields"),
        (pod(hostNetwrok=True), ".spec.hostNetwrok: unknown field; did you mean `hostNetwork`?"),
        (pod(zzz=True), ".spec.zzz: unknown field of a pod"),
        (pod(restartPolicy="Never"), ".spec.restartPolicy: must be Always"),
        ({"metadata": {"name": "x"}}, ".metadata.name: unknown field"),
        ({"metadata": {"labels": ["x"]}}, ".metadata.labels: must be a map of text"),
        ({"metadata": {"labels": {"a": 1}}}, ".metadata.labels.a: must be text"),
        (
            {"metadata": {"labels": {"modelfleet.dev/name": "x"}}},
            '.metadata.labels["modelfleet.dev/name"]: keys under modelfleet.dev/ are modelfleet\'s',
        ),
        (
            {"metadata": {"annotations": {"modelfleet.dev/secret-hash": "x"}}},
            '.metadata.annotations["modelfleet.dev/secret-hash"]: keys under',
        ),
        (
            {"metadata": {"labels": {"$patch": "replace", "a": "b"}}},
            '.metadata.labels["$patch"]: would take away what modelfleet needs',
        ),
        ({"spec": {"$patch": "replace"}}, '.spec["$patch"]: would take away'),
        ({"$patch": "delete"}, '["$patch"]: would take away'),
        (pod(volumes=[{"emptyDir": {}}]), ".spec.volumes[0]: needs name, by which it is merged"),
        (
            pod(topologySpreadConstraints=[{"topologyKey": "zone"}]),
            ".spec.topologySpreadConstraints[0]: needs whenUnsatisfiable, by which",
        ),
        (pod(volumes="x"), ".spec.volumes: must be a list of maps"),
        (
            pod(containers=[{"name": "engine", "env": [{"value": "x"}]}]),
            ".spec.containers[0].env[0]: needs name",
        ),
        (
            pod(containers=[{"name": "engine", "imgae": "x"}]),
            ".spec.containers[0].imgae: unknown field; did you mean `image`?",
        ),
        (
            pod(containers=[{"name": "engine", "$patch": "delete"}]),
            ".spec.containers: would take away the container engine",
        ),
        (
            pod(containers=[{"$patch": "replace"}, {"name": "other", "image": "a:1"}]),
            ".spec.containers: would take away the container engine",
        ),
        (pod(containers={"$patch": "delete"}), ".spec.containers: would take away"),
        (
            pod(volumes=[{"name": "a", "$patch": "merge"}]),
            '.spec.volumes[0]["$patch"]: must be delete or replace',
        ),
        (
            pod(volumes=[{"name": "a", "$retainKeys": ["name"]}]),
            '.spec.volumes[0]["$retainKeys"]: unknown directive; there is $patch',
        ),
    ],
)
def test_a_patch_that_is_no_pod_s_or_takes_what_is_modelfleet_s_is_refused(
    overrides: dict[str, Any], expected: str
) -> None:
    (found,) = problems({"pod_overrides": overrides})
    assert found.startswith(f"deployment.pod_overrides{expected}")


def test_overrides_with_an_unknown_value_are_left_alone_until_it_is_known() -> None:
    labels = {"metadata": {"labels": {"a": UNKNOWN}}, "spce": {}}
    assert problems({"pod_overrides": labels}) == []
