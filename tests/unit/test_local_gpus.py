"""What `--gpus` accepts, and what the fake nodes look like."""

from __future__ import annotations

import pytest

from modelfleet.errors import ConfigError
from modelfleet.local.gpus import CATALOGUE, gpu_labels, gpu_pools
from modelfleet.local.nodes import chaos_node_objects, cpu_node_objects, node_objects


@pytest.mark.parametrize(
    ("text", "pools"),
    [
        ("", []),
        ("h100-80gb:8x12", [("h100-80gb", 8, 12)]),
        (" h100-80gb:8x12, l4-24gb:4x6 ", [("h100-80gb", 8, 12), ("l4-24gb", 4, 6)]),
        ("l4-24gb:4x0", [("l4-24gb", 4, 0)]),
    ],
)
def test_gpus_are_read_as_model_gpus_per_node_and_nodes(
    text: str, pools: list[tuple[str, int, int]]
) -> None:
    found = [(pool.model_name, pool.gpus_per_node, pool.nodes) for pool in gpu_pools(text)]
    assert found == pools


def test_everything_wrong_with_gpus_is_said_at_once_and_known_models_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        gpu_pools("h100-80gb:8,v9000:1x1,l4-24gb:1x1,l4-24gb:2x2,l4-24gb:0x1")
    text = str(caught.value)
    assert "'h100-80gb:8' is not <model>:<GPUs per node>x<nodes>." in text
    assert "'v9000' is not a known GPU model." in text
    assert "'l4-24gb' is named twice." in text
    assert "'l4-24gb:0x1' is not" in text
    assert "mi300x-192gb" in text


def test_nvidia_nodes_carry_what_gpu_feature_discovery_sets() -> None:
    labels = gpu_labels(CATALOGUE["h100-80gb"], count=8)
    expected = {
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.memory": "81559",
        "nvidia.com/gpu.count": "8",
        "nvidia.com/gpu.family": "hopper",
        "nvidia.com/gpu.compute.major": "9",
        "nvidia.com/gpu.compute.minor": "0",
        "nvidia.com/mig.capable": "true",
    }
    assert expected.items() <= labels.items()


def test_amd_nodes_carry_what_amds_labeller_sets() -> None:
    labels = gpu_labels(CATALOGUE["mi300x-192gb"], count=8)
    assert labels["amd.com/gpu.vram"] == "192G"
    assert labels["amd.com/gpu.product-name"] == "AMD_Instinct_MI300X_OAM"
    assert labels["beta.amd.com/gpu.vram.192G"] == "8"
    assert not any(key.startswith("nvidia.com/") for key in labels)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_label_of_every_model_is_one_that_kubernetes_accepts(name: str) -> None:
    for key, value in gpu_labels(CATALOGUE[name], count=8).items():
        assert len(key.partition("/")[2]) <= 63
        assert len(value) <= 63
        assert " " not in value


def test_a_gpu_node_is_tainted_and_offers_its_gpus_in_capacity_and_allocatable() -> None:
    first, second = node_objects(gpu_pools("mi300x-192gb:8x2"))
    assert [node["metadata"]["name"] for node in (first, second)] == [
        "mi300x-192gb-0",
        "mi300x-192gb-1",
    ]
    assert first["spec"]["taints"] == [
        {"key": "amd.com/gpu", "value": "present", "effect": "NoSchedule"}
    ]
    assert first["status"]["capacity"]["amd.com/gpu"] == "8"
    assert first["status"]["allocatable"] == first["status"]["capacity"]


def test_a_cpu_node_takes_everybody_and_has_no_gpu() -> None:
    (node,) = cpu_node_objects(1)
    assert node["spec"]["taints"] == []
    assert not any("gpu" in resource for resource in node["status"]["capacity"])


def test_a_chaos_node_keeps_everybody_out_who_does_not_ask_for_it() -> None:
    (node,) = chaos_node_objects(["oom"])
    assert node["metadata"]["labels"]["modelfleet.test/behaviour"] == "oom"
    assert {"key": "modelfleet.test/behaviour", "effect": "NoSchedule"} in node["spec"]["taints"]
