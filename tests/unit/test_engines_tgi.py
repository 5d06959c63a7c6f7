"""text-generation-inference: what becomes of a declared service, and what its images ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import engine_cases
import pytest
from engine_cases import option_names, words

from modelfleet.engines import tgi
from modelfleet.engines.launch import Launch

SMALLEST = {
    "runtime": "tgi",
    "model": {"uri": "hf://org/model"},
    "gpu": {},
    "images": {"default": "registry.example.com/tgi:3.3.7"},
}


def launched(deployment: Mapping[str, Any] | None = None, **fields: Any) -> Launch:
    return engine_cases.launched(engine_cases.declaration(SMALLEST, deployment, **fields))


def problems(deployment: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    return engine_cases.problems(engine_cases.declaration(SMALLEST, deployment, **fields))


def test_the_launcher_runs_where_anybody_may_listen_whatever_the_pod_s_environment() -> None:
    launch = launched()
    assert words(launch) == " --model-id org/model --hostname 0.0.0.0 --port 8080 --num-shard 1 "
    assert launch.command == ()
    assert (launch.port, launch.metrics_path) == (8080, "/metrics")
    assert launch.env["HUGGINGFACE_HUB_CACHE"] == "/cache/huggingface/hub"


def test_requests_are_ended_within_the_declared_time() -> None:
    launch = launched({"drain_seconds": 120})
    assert launch.drains
    assert launch.env["GRACEFUL_TERMINATION_TIMEOUT"] == "120"


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        ({"model": {"revision": "abc"}}, "--revision abc"),
        ({"model": {"uri": "pvc://weights/m"}}, "--model-id /models/weights/m"),
        ({"gpu": {"count": 4}}, "--num-shard 4"),
        ({"max_model_len": 8192}, "--max-total-tokens 8192"),
        ({"dtype": "bfloat16"}, "--dtype bfloat16"),
        ({"quantization": "awq"}, "--quantize awq"),
        ({"kv_cache_dtype": "fp8_e4m3fn"}, "--kv-cache-dtype fp8_e4m3fn"),
        ({"gpu_memory_utilization": 0.8}, "--cuda-memory-fraction 0.8"),
        ({"args": {"max_input_tokens": 4096}}, "--max-input-tokens 4096"),
        ({"args": {"trust-remote-code": True}}, "--trust-remote-code"),
        ({"args": {"waiting-served-ratio": 1.2}}, "--waiting-served-ratio 1.2"),
    ],
)
def test_a_declared_field_becomes_an_option(deployment: dict[str, Any], expected: str) -> None:
    assert f" {expected} " in words(launched(deployment))
    assert problems(deployment) == []


def test_every_option_of_ours_is_derived_and_known() -> None:
    every = launched(
        {
            "model": {"revision": "r"},
            "max_model_len": 1,
            "dtype": "float16",
            "quantization": "fp8",
            "kv_cache_dtype": "fp8_e5m2",
            "gpu_memory_utilization": 0.5,
        }
    )
    known = {name for option in tgi.OPTIONS for name in option.names}
    assert set(option_names(every)) <= known & set(tgi.DERIVED)
    assert "dtype" not in option_names(launched({"dtype": "auto"}))


@pytest.mark.parametrize(
    ("vendor", "image"),
    [
        ("nvidia", "ghcr.io/huggingface/text-generation-inference:3.3.7"),
        ("amd", "ghcr.io/huggingface/text-generation-inference:3.3.7-rocm"),
    ],
)
def test_its_own_images_ask_for_a_pod_that_may_be_root(vendor: str, image: str) -> None:
    own = {"gpu": {"vendor": vendor}, "images": None}
    assert launched(own).image == image
    (problem,) = problems(own)
    assert problem.startswith("deployment.images: the images of tgi run as root only")
    root = {"spec": {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}}
    assert problems({**own, "pod_overrides": root}) == []
    elsewhere = {"spec": {"hostNetwork": True}}
    assert problems({**own, "pod_overrides": elsewhere}) == [problem]


@pytest.mark.parametrize("name", sorted(tgi.DERIVED))
def test_an_argument_that_contradicts_a_declared_field_names_it(name: str) -> None:
    assert problems({"args": {name: "1"}}) == [f"deployment.args.{name}: {tgi.DERIVED[name]}"]


@pytest.mark.parametrize(
    ("deployment", "fields", "expected"),
    [
        ({}, {"model_type": "rerank"}, "model_type: tgi does not serve rerank models; use tei"),
        (
            {"gpu": {"count": 2}, "parallelism": {"pipeline": 2}},
            {},
            "deployment.parallelism.pipeline: has no option in tgi",
        ),
        ({"gpu": None, "images": None}, {}, "deployment.gpu: is required: tgi has no image"),
        (
            {"gpu": {"vendor": "gaudi"}, "images": None},
            {},
            "deployment.gpu.vendor: tgi has no image for gaudi",
        ),
        ({"dtype": "float32"}, {}, "deployment.dtype: must be one of auto, float16, bfloat16"),
        (
            {"dtype": "float16", "quantization": "awq"},
            {},
            "deployment.dtype: excludes deployment.quantization in tgi",
        ),
        ({"quantization": "gguf"}, {}, "deployment.quantization: must be one of awq, compressed-"),
        ({"kv_cache_dtype": "fp8"}, {}, "deployment.kv_cache_dtype: must be one of fp8_e4m3fn"),
        ({"runtime_version": "latest"}, {}, "deployment.runtime_version: latest is another engine"),
        ({"runtime_version": "2.4.0"}, {}, "2.4.0 is too old: 3.3 is the first"),
        ({"args": {"max-best": 1}}, {}, "did you mean `max-best-of`?"),
        ({"args": {"cuda-graphs": ["1", "2"]}}, {}, "deployment.args.cuda-graphs: takes one value"),
        ({"env": {"NUM_SHARD": 2}}, {}, "deployment.env.NUM_SHARD: is derived; set deployment.par"),
        ({"secret_env": {"NGROK": "1"}}, {}, "deployment.secret_env.NGROK: cannot be set"),
    ],
)
def test_what_the_engine_cannot_do_is_one_problem_with_its_path(
    deployment: dict[str, Any], fields: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(deployment, **fields)
    assert expected in problem
