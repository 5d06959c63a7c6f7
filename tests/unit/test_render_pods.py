"""What pods mount, fetch and run on: storage, sources, slices and architectures, and their budget.

Whole outputs are golden cases (``tests/golden``); here stand the rules behind them.
"""

from __future__ import annotations

from typing import Any

import pytest
from declarations import FULL_RUNTIME, hosted

from modelfleet.field_names import field_names_of
from modelfleet.render import Identity, objects_of, pod_template_hash, pod_template_of
from modelfleet.render.claim import claim_name_of
from modelfleet.spec import ModelServiceSpec

IDENTITY = Identity(owner="o/p/s", urn=None, incarnation="1", cluster_uid="c")


def spec_of(**deployment: Any) -> ModelServiceSpec:
    fields = {"runtime": FULL_RUNTIME, "runtime_version": None, **deployment}
    return ModelServiceSpec.model_validate(hosted(fields))


def pod_of(**deployment: Any) -> dict[str, Any]:
    pod: dict[str, Any] = pod_template_of(spec_of(**deployment))["spec"]
    return pod


def rendered(kind: str, **deployment: Any) -> list[dict[str, Any]]:
    objects = objects_of(spec_of(**deployment), identity=IDENTITY, hash_key=b"")
    return [each for each in objects if each["kind"] == kind]


def own_claim(**fields: Any) -> dict[str, Any]:
    return {"kind": "pvc", "size_gib": 10, **fields}


# The cache


@pytest.mark.parametrize(
    ("storage", "source"),
    [
        ({}, {"emptyDir": {}}),
        ({"size_gib": 1.5}, {"emptyDir": {"sizeLimit": "1536Mi"}}),
        ({"kind": "pvc", "claim": "models"}, {"persistentVolumeClaim": {"claimName": "models"}}),
        (
            {"kind": "host_path", "path": "/var/lib/models"},
            {"hostPath": {"path": "/var/lib/models", "type": "DirectoryOrCreate"}},
        ),
    ],
)
def test_the_cache_is_on_what_is_declared(storage: dict[str, Any], source: dict[str, Any]) -> None:
    assert pod_of(storage=storage)["volumes"][0] == {"name": "cache", **source}
    assert rendered("PersistentVolumeClaim", storage=storage) == []


def test_a_claim_of_the_service_s_own_is_made_and_mounted() -> None:
    storage = own_claim(class_name="nfs", access_mode="ReadWriteMany")
    (claim,) = rendered("PersistentVolumeClaim", storage=storage)
    name = claim["metadata"]["name"]
    assert pod_of(storage=storage)["volumes"][0]["persistentVolumeClaim"] == {"claimName": name}
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "10Gi"}},
        "storageClassName": "nfs",
    }
    (of_default_class,) = rendered("PersistentVolumeClaim", storage=own_claim())
    assert "storageClassName" not in of_default_class["spec"]


def test_what_cannot_change_about_a_claim_is_part_of_its_name_and_its_size_is_not() -> None:
    names = {
        claim_name_of(spec_of(storage=storage))
        for storage in (
            own_claim(),
            own_claim(class_name="nfs"),
            own_claim(access_mode="ReadWriteMany"),
            own_claim(class_name="nfs", access_mode="ReadWriteMany"),
        )
    }
    assert len(names) == 4
    small, large = spec_of(storage=own_claim()), spec_of(storage=own_claim(size_gib=99))
    assert claim_name_of(small) == claim_name_of(large)
    assert pod_template_hash(small) == pod_template_hash(large)


def test_the_longest_name_of_a_service_still_makes_a_name_of_a_claim() -> None:
    spec = spec_of(storage=own_claim()).model_copy(update={"model_service_name": "a" * 63})
    assert len(str(claim_name_of(spec))) <= 253


# Sources


@pytest.mark.parametrize(
    ("uri", "volumes"),
    [
        ("hf://org/model", ["cache", "shm"]),
        ("pvc://weights/m", ["cache", "shm", "model"]),
        ("oci://r.example.com/m:1", ["cache", "shm", "model"]),
        ("https://host/m.gguf", ["cache", "shm"]),
    ],
)
def test_every_mount_has_its_volume_whatever_the_source(uri: str, volumes: list[str]) -> None:
    pod = pod_of(model={"uri": uri})
    assert [each["name"] for each in pod["volumes"]] == volumes
    assert [each["name"] for each in pod["containers"][0]["volumeMounts"]] == volumes


def test_fetching_runs_before_the_engine_with_its_rights_and_no_more_than_its_resources() -> None:
    pod = pod_of(model={"uri": "https://host/m.gguf"}, cpu=0.5, memory_gib=0.5, shm_gib=0)
    (fetch,), (engine,) = pod["initContainers"], pod["containers"]
    assert fetch["securityContext"] == engine["securityContext"]
    assert fetch["resources"] == {
        "requests": {"cpu": "500m", "memory": "512Mi"},
        "limits": {"memory": "512Mi"},
    }
    assert [each["name"] for each in fetch["volumeMounts"]] == ["cache"]


def test_the_kubelet_replaces_nothing_in_what_the_shell_runs() -> None:
    (fetch,) = pod_of(model={"uri": "s3://bucket/m"})["initContainers"]
    (program,) = fetch["args"]
    assert "$(" in program
    assert "$(" not in program.replace("$$(", "")


def test_a_model_that_the_engine_reads_needs_nothing_before_it() -> None:
    assert "initContainers" not in pod_of(model={"uri": "hf://org/model"})


@pytest.mark.parametrize(
    ("deployment", "field"),
    [
        ({"storage": own_claim()}, "deployment.storage"),
        ({"model": {"uri": "pvc://weights/m"}}, "deployment.model.uri"),
        (
            {"model": {"uri": "pvc://weights/m"}, "storage": own_claim()},
            "deployment.storage",
        ),
    ],
)
def test_a_message_about_a_claim_names_the_field_it_comes_from(
    deployment: dict[str, Any], field: str
) -> None:
    assert field_names_of(spec_of(**deployment)).storage == field


# GPUs and nodes


@pytest.mark.parametrize(
    ("gpu", "resource"),
    [
        ({}, "nvidia.com/gpu"),
        ({"mig_profile": "3g.40gb"}, "nvidia.com/mig-3g.40gb"),
        ({"mig_profile": "1g.10gb.me"}, "nvidia.com/mig-1g.10gb.me"),
        ({"resource_name": "nvidia.com/gpu.shared"}, "nvidia.com/gpu.shared"),
        ({"vendor": "amd"}, "amd.com/gpu"),
        ({"vendor": "intel"}, "gpu.intel.com/i915"),
        ({"vendor": "gaudi"}, "habana.ai/gaudi"),
        ({"vendor": "ascend"}, "huawei.com/Ascend910"),
    ],
)
def test_a_pod_asks_for_what_its_vendor_s_device_plugin_offers(
    gpu: dict[str, Any], resource: str
) -> None:
    limits = pod_of(gpu=gpu)["containers"][0]["resources"]["limits"]
    assert limits == {"memory": "16Gi", resource: "1"}


def test_an_architecture_selects_nodes_and_images() -> None:
    images = {"default": "a:1", "arm64": "a:1-arm64", "cpu/arm64": "a:1-cpu-arm64"}
    pod = pod_of(cpu_architecture="arm64", images=images)
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert pod["containers"][0]["image"] == "a:1-cpu-arm64"
    assert pod_of(images=images)["containers"][0]["image"] == "a:1"


# Disruption


@pytest.mark.parametrize(
    ("disruption", "limit"),
    [
        ({}, {"maxUnavailable": 1}),
        ({"max_unavailable": 2}, {"maxUnavailable": 2}),
        ({"min_available": 1}, {"minAvailable": 1}),
        ({"min_available": 0}, {"minAvailable": 0}),
    ],
)
def test_a_budget_says_how_many_pods_evictions_leave(
    disruption: dict[str, Any], limit: dict[str, int]
) -> None:
    (budget,) = rendered("PodDisruptionBudget", disruption=disruption, replicas=3)
    selector = budget["spec"].pop("selector")
    assert budget["spec"] == {**limit, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    (deployment,) = rendered("Deployment", disruption=disruption, replicas=3)
    assert selector == deployment["spec"]["selector"]


def test_without_one_declared_there_is_no_budget() -> None:
    assert rendered("PodDisruptionBudget") == []
