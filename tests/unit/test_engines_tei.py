"""text-embeddings-inference: what becomes of a declared service, and what it has no use for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import engine_cases
import pytest
from engine_cases import option_names, words

from modelfleet.engines import tei
from modelfleet.engines.launch import Launch

SMALLEST = {"runtime": "tei", "model": {"uri": "hf://BAAI/bge-m3"}}


def declared(
    deployment: Mapping[str, Any] | None = None, model_type: str = "text-embedding", **fields: Any
) -> dict[str, Any]:
    return engine_cases.declaration(SMALLEST, deployment, model_type=model_type, **fields)


def launched(deployment: Mapping[str, Any] | None = None, **fields: Any) -> Launch:
    return engine_cases.launched(declared(deployment, **fields))


def problems(deployment: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    return engine_cases.problems(declared(deployment, **fields))


def test_the_router_runs_where_anybody_may_listen_whatever_the_pod_s_environment() -> None:
    launch = launched(workspace_id="team")
    assert words(launch) == (
        " --model-id BAAI/bge-m3 --served-model-name team/qwen --hostname 0.0.0.0 --port 8080"
        " --tokenization-workers 4 "
    )
    assert launch.command == ()
    assert (launch.port, launch.metrics_path) == (8080, "/metrics")
    assert launch.env["HUGGINGFACE_HUB_CACHE"] == "/cache/huggingface/hub"
    assert launch.drains


@pytest.mark.parametrize(
    ("deployment", "image", "least"),
    [
        ({}, "ghcr.io/huggingface/text-embeddings-inference:cpu-1.9.3", None),
        ({"gpu": {}}, "ghcr.io/huggingface/text-embeddings-inference:cuda-1.9.3", 7.5),
        (
            {"gpu": {}, "runtime_version": "1.9.4"},
            "ghcr.io/huggingface/text-embeddings-inference:cuda-1.9.4",
            7.5,
        ),
        ({"gpu": {"vendor": "amd"}, "images": {"amd": "a/tei:1"}}, "a/tei:1", None),
    ],
)
def test_one_image_fits_every_gpu_it_can_run_on(
    deployment: dict[str, Any], image: str, least: float | None
) -> None:
    assert launched(deployment).image == image
    assert launched(deployment).min_compute_capability == least
    assert problems(deployment) == []


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        ({"model": {"revision": "refs/pr/4"}}, "--revision refs/pr/4"),
        ({"model": {"uri": "pvc://weights/bge"}}, "--model-id /models/weights/bge"),
        ({"dtype": "float16"}, "--dtype float16"),
        ({"args": {"pooling": "mean"}}, "--pooling mean"),
        ({"args": {"tokenization_workers": 2}}, "--tokenization-workers 2"),
        ({"args": {"auto-truncate": "false"}}, "--auto-truncate false"),
        ({"args": {"auto_truncate": False}}, "--auto-truncate false"),
        ({"args": {"auto-truncate": True}}, "--auto-truncate true"),
        ({"args": {"cors-allow-origin": ["a", "b"]}}, "--cors-allow-origin a --cors-allow-origin"),
    ],
)
def test_a_declared_field_becomes_an_option(deployment: dict[str, Any], expected: str) -> None:
    assert f" {expected} " in words(launched(deployment))
    assert problems(deployment) == []


def test_the_model_s_own_type_is_left_to_the_engine() -> None:
    assert "dtype" not in option_names(launched({"dtype": "auto"}))
    assert problems({"dtype": "auto"}) == []


def test_every_option_of_ours_is_one_of_the_engine_s() -> None:
    every = launched({"model": {"revision": "r"}, "dtype": "float32"})
    known = {name for option in tei.OPTIONS for name in option.names}
    assert set(option_names(every)) <= known
    assert set(option_names(every)) - {"tokenization-workers"} <= set(tei.DERIVED)


@pytest.mark.parametrize("name", sorted(tei.DERIVED))
def test_an_argument_that_contradicts_a_declared_field_names_it(name: str) -> None:
    assert problems({"args": {name: "1"}}) == [f"deployment.args.{name}: {tei.DERIVED[name]}"]


@pytest.mark.parametrize(
    ("deployment", "fields", "expected"),
    [
        ({}, {"model_type": "llm"}, "model_type: tei does not serve llm models; set model_type"),
        ({"max_model_len": 512}, {}, "deployment.max_model_len: has no option in tei"),
        ({"quantization": "fp8"}, {}, "deployment.quantization: has no option in tei"),
        ({"kv_cache_dtype": "fp8"}, {}, "deployment.kv_cache_dtype: has no meaning for tei"),
        ({"gpu_memory_utilization": 0.5}, {}, "deployment.gpu_memory_utilization: has no option"),
        ({"gpu": {"count": 2}}, {}, "deployment.gpu.count: must be 1: tei uses one GPU"),
        ({"dtype": "bfloat16"}, {}, "deployment.dtype: must be one of auto, float16, float32"),
        ({"gpu": {"vendor": "amd"}}, {}, "deployment.gpu.vendor: tei has no image for amd"),
        ({"cpu_architecture": "arm64"}, {}, "deployment.cpu_architecture: tei has no image for"),
        ({"runtime_version": "1.9"}, {}, "deployment.runtime_version: 1.9 is another engine every"),
        ({"runtime_version": "cpu-1.9.3"}, {}, "must be a release such as 1.9.3"),
        ({"runtime_version": "1.6.0"}, {}, "1.6.0 is too old: 1.9 is the first"),
        ({"args": {"pooling": "meen"}}, {}, "must be one of cls, mean, splade, last-token; did"),
        ({"args": {"max-batch-token": 1}}, {}, "did you mean `max-batch-tokens`?"),
        ({"args": {"p": 1}}, {}, "deployment.args.p: is fixed: callers use port 80"),
        ({"env": {"PORT": 1}}, {}, "deployment.env.PORT: is fixed: callers use port 80"),
        ({"env": {"DTYPE": "float16"}}, {}, "deployment.env.DTYPE: is derived; set deployment.dt"),
        ({"env": {"HUGGINGFACE_HUB_CACHE": "/x"}}, {}, "HUGGINGFACE_HUB_CACHE: is set by modelfl"),
    ],
)
def test_what_the_engine_cannot_do_is_one_problem_with_its_path(
    deployment: dict[str, Any], fields: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(deployment, **fields)
    assert expected in problem


def test_gpus_are_not_spread_over() -> None:
    found = problems({"gpu": {"count": 2}, "parallelism": {"tensor": 2}})
    assert [each.partition(":")[0] for each in found] == [
        "deployment.gpu.count",
        "deployment.parallelism.tensor",
    ]


@pytest.mark.parametrize(
    "deployment",
    [
        {"secret_env": {"API_KEY": "hush", "HF_TOKEN": "hush"}},
        {"env": {"USE_FLASH_ATTENTION": True, "MAX_BATCH_TOKENS": 4096}},
        {"runtime_version": "1.10.0", "args": {"an-option-of-tomorrow": 1}},
    ],
)
def test_what_the_engine_can_do_is_no_problem(deployment: dict[str, Any]) -> None:
    assert problems(deployment) == []
