"""vLLM: images by hardware, sources it reads, and what its options may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import engine_cases
import pytest
from engine_cases import option_names, words

from modelfleet.engines import vllm
from modelfleet.engines.launch import Launch

SMALLEST = {"model": {"uri": "hf://org/model"}}
GPU: dict[str, Any] = {"gpu": {}}
CPU: dict[str, Any] = {"gpu": None, "cpu_architecture": "amd64"}
OWN = "registry.example.com/vllm:v1"


def launched(deployment: Mapping[str, Any] | None = None, **fields: Any) -> Launch:
    declared = engine_cases.declaration(SMALLEST, {**GPU, **(deployment or {})}, **fields)
    return engine_cases.launched(declared)


def problems(deployment: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    declared = engine_cases.declaration(SMALLEST, {**GPU, **(deployment or {})}, **fields)
    return engine_cases.problems(declared)


# Images


@pytest.mark.parametrize(
    ("deployment", "image"),
    [
        ({"gpu": {"vendor": "intel"}}, "vllm/vllm-openai-xpu:v0.30.0"),
        (CPU, "vllm/vllm-openai-cpu:v0.30.0-x86_64"),
        ({**CPU, "cpu_architecture": "arm64"}, "vllm/vllm-openai-cpu:v0.30.0-arm64"),
        ({"gpu": {"vendor": "gaudi"}, "images": {"gaudi": OWN}}, OWN),
        ({"gpu": {"vendor": "ascend"}, "images": {"default": OWN}}, OWN),
        ({"gpu": None, "images": {"cpu": OWN}}, OWN),
    ],
)
def test_the_image_is_that_of_the_hardware(deployment: dict[str, Any], image: str) -> None:
    assert launched(deployment).image == image
    assert problems(deployment) == []


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        (
            {"gpu": {"vendor": "gaudi"}},
            "deployment.gpu.vendor: vllm has no image for gaudi; declare one",
        ),
        ({"gpu": {"vendor": "ascend"}}, "deployment.gpu.vendor: vllm has no image for ascend"),
        (
            {"gpu": {"vendor": "amd"}, "cpu_architecture": "arm64"},
            "deployment.cpu_architecture: vllm has no image for arm64 with amd; declare one",
        ),
        ({"gpu": None}, "deployment.gpu: is required, or deployment.cpu_architecture: vllm's"),
        (
            {"gpu": {"vendor": "intel"}, "runtime_version": "v0.25.1"},
            "deployment.runtime_version: v0.25.1 is too old: v0.26.0 is the first",
        ),
        (
            {**CPU, "runtime_version": "v0.23.0"},
            "deployment.runtime_version: v0.23.0 is too old: v0.24.0 is the first",
        ),
        (
            {"gpu": {"vendor": "amd"}, "runtime_version": "v0.10.0", "images": {"amd": OWN}},
            "deployment.runtime_version: v0.10.0 is too old: v0.11.0 is the first",
        ),
    ],
)
def test_hardware_without_an_image_is_told_to_declare_one(
    deployment: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(deployment)
    assert problem.startswith(expected)


def test_an_image_of_one_s_own_may_hold_a_release_older_than_vllm_s_first_for_the_gpu() -> None:
    own = {"gpu": {"vendor": "amd"}, "images": {"amd": OWN}}
    assert problems({**own, "runtime_version": "v0.13.0"}) == []


# Sources


def test_modelscope_is_read_where_vllm_is_told_to() -> None:
    launch = launched({"model": {"uri": "modelscope://org/model", "credential_name": "hub"}})
    assert launch.args[0] == "org/model"
    assert launch.env["VLLM_USE_MODELSCOPE"] == "true"
    assert "MODELSCOPE_API_TOKEN" in launch.env
    assert "VLLM_USE_MODELSCOPE" not in launched().env


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_is_streamed_into_nvidia_s_gpus_and_fetched_for_all_others(scheme: str) -> None:
    model = {"model": {"uri": f"{scheme}://bucket/model", "credential_name": "keys"}}
    streamed = launched(model)
    assert streamed.args[0] == f"{scheme}://bucket/model"
    assert (streamed.location.fetch, streamed.location.secret) == (None, "keys")
    for deployment in ({"gpu": {"vendor": "amd"}}, CPU, {"args": {"load_format": "safetensors"}}):
        fetched = launched({**model, **deployment})
        assert fetched.args[0].startswith("/cache/models/")
        assert fetched.location.fetch is not None
    assert launched({**model, "args": {"load-format": "runai_streamer"}}).location.fetch is None


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        ({"gpu": {"vendor": "amd"}}, ["as deployment.images.amd"]),
        (CPU, ["as deployment.images.cpu"]),
        ({"gpu": {"vendor": "amd"}, "images": {"amd": OWN}}, []),
        (
            {
                "gpu": {"vendor": "amd"},
                "images": {"amd/amd64": OWN},
                "cpu_architecture": "amd64",
            },
            [],
        ),
        (GPU, []),
    ],
)
def test_modelscope_needs_an_image_that_can_read_it(
    deployment: dict[str, Any], expected: list[str]
) -> None:
    found = problems({"model": {"uri": "modelscope://org/model"}, **deployment})
    assert [each.split(" modelscope ")[-1] for each in found] == expected


# Options


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"hf-overrides.is_original": True}, "--hf-overrides.is_original true"),
        ({"hf_overrides.is_original": False}, "--hf-overrides.is_original false"),
        ({"eplb-config.steps": [1, 2.0]}, "--eplb-config.steps [1, 2.0]"),
        ({"override-generation-config.temperature": 0.6}, "config.temperature 0.6"),
        ({"no-enable-prefix-caching": True}, "--no-enable-prefix-caching"),
    ],
)
def test_keys_of_an_option_are_one_json_value_each(args: dict[str, Any], expected: str) -> None:
    assert f"{expected} " in words(launched({"args": args}))
    assert problems({"args": args}) == []


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        (
            {"args": {"max-num-sequences": 1}},
            "max-num-sequences: is no option of vllm v0.30.0; did you mean `max-num-seqs`?",
        ),
        (
            {"args": {"guided-decoding-backend": "xgrammar"}},
            "guided-decoding-backend: was removed in vllm v0.12; "
            "use `structured-outputs-config.backend`",
        ),
        (
            {"args": {"swap-space": 4}},
            "swap-space: was removed in vllm v0.18; leave it out; `kv-offloading-size` keeps more "
            "KV cache in the pod's memory",
        ),
        (
            {"args": {"moe-backend": "auto"}, "runtime_version": "v0.12.0"},
            "moe-backend: is an option of vllm from v0.17 on, not of v0.12.0",
        ),
        ({"args": {"tp": 2}}, "tp: is derived; set deployment.parallelism.tensor"),
        (
            {"args": {"tensor-para": 2}},
            "tensor-para: is derived; set deployment.parallelism.tensor",
        ),
        ({"args": {"cc": "{}"}}, "cc: is a short form; write `compilation-config`"),
        ({"args": {"enforce-eager": "yes"}}, "enforce-eager: is a flag: must be true or false"),
        ({"args": {"max-num-seqs": "x"}}, "max-num-seqs: must be a whole number"),
        (
            {"args": {"kv-cache-memory-bytes": "8G"}, "gpu_memory_utilization": 0.9},
            "kv-cache-memory-bytes: overrides deployment.gpu_memory_utilization; "
            "remove one of them",
        ),
    ],
)
def test_an_option_that_would_end_the_pod_is_refused_when_it_is_declared(
    deployment: dict[str, Any], expected: str
) -> None:
    assert problems(deployment) == [f"deployment.args.{expected}"]


@pytest.mark.parametrize(
    ("deployment", "near"),
    [
        ({"quantization": "fp88"}, "fp8"),
        ({"quantization": "compressed_tensors"}, "compressed-tensors"),
        ({"kv_cache_dtype": "fp8-e5m2"}, "fp8_e5m2"),
    ],
)
def test_a_word_that_the_release_does_not_know_suggests_the_near_one(
    deployment: dict[str, Any], near: str
) -> None:
    (problem,) = problems(deployment)
    assert f"did you mean `{near}`?" in problem
    assert problem.endswith("(of vllm v0.30.0)")


def test_words_depend_on_the_release() -> None:
    assert problems({"quantization": "deepspeedfp", "runtime_version": "v0.11.0"}) == []
    (problem,) = problems({"quantization": "deepspeedfp"})
    assert problem.startswith("deployment.quantization: must be one of ")


def test_every_option_that_is_derived_or_replaced_is_one_that_vllm_had() -> None:
    names = {option.name for option in vllm.TABLE.options}
    assert set(vllm.DERIVED) <= names
    gone = {option.name for option in vllm.TABLE.options if option.until is not None}
    assert set(vllm.TABLE.instead) <= gone
    named = re.findall(r"`([-a-z0-9]+)", " ".join(vllm.TABLE.instead.values()))
    assert set(named) <= {o.name for o in vllm.TABLE.options if o.is_in(vllm.TABLE.last)}


def test_the_default_release_is_one_that_was_read() -> None:
    version = vllm.version_of(vllm.DEFAULT_VERSION)
    assert version is not None
    assert vllm.TABLE.first <= version <= vllm.TABLE.last


def test_every_option_of_the_table_is_accepted_by_name_unless_it_is_derived() -> None:
    options = [o for o in vllm.TABLE.options if o.is_in((0, 30)) and o.name not in vllm.DERIVED]
    assert len(options) > 200
    found = problems({"args": {option.name: None for option in options}})
    assert not [each for each in found if "is no option" in each or "removed" in each]


EVERYTHING: dict[str, Any] = {
    "model": {"revision": "r"},
    "gpu": {"count": 4},
    "parallelism": {"pipeline": 2},
    "max_model_len": 1,
    "dtype": "auto",
    "quantization": "fp8",
    "kv_cache_dtype": "fp8",
    "gpu_memory_utilization": 0.5,
}


@pytest.mark.parametrize("minor", range(vllm.TABLE.first[1], vllm.TABLE.last[1] + 1))
def test_what_follows_from_fields_are_options_of_every_release(minor: int) -> None:
    tag = f"v0.{minor}.0"
    deployment = {**EVERYTHING, "runtime_version": tag}
    names = option_names(launched(deployment, model_type="rerank"))
    assert [name for name in names if not vllm.TABLE.knows(tag, name)] == []
    assert problems(deployment, model_type="rerank") == []


def test_options_of_fields_stand_before_the_declared_ones() -> None:
    launch = launched({"max_model_len": 1, "args": {"aggregate-engine-logging": True}})
    assert option_names(launch)[-1] == "aggregate-engine-logging"


@pytest.mark.parametrize("name", ["VLLM_CACHE_ROOT", "VLLM_USE_MODELSCOPE"])
def test_variables_that_are_derived_are_refused(name: str) -> None:
    (problem,) = problems({"env": {name: "x"}})
    assert problem.startswith(f"deployment.env.{name}: is ")
