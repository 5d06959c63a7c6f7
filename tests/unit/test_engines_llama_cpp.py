"""llama.cpp: what becomes of a declared service, and what a GGUF file leaves to declare."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import engine_cases
import pytest
from engine_cases import option_names, words

from modelfleet.codegen.llama_cpp_options import FoundOption, options_in, table_text
from modelfleet.engines import llama_cpp
from modelfleet.engines.launch import Launch

FILE = "pvc://weights/qwen.gguf"
SMALLEST = {"runtime": "llama.cpp", "model": {"uri": FILE}}
GPU: dict[str, Any] = {"gpu": {}}


def launched(deployment: Mapping[str, Any] | None = None, **fields: Any) -> Launch:
    return engine_cases.launched(engine_cases.declaration(SMALLEST, deployment, **fields))


def problems(deployment: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    return engine_cases.problems(engine_cases.declaration(SMALLEST, deployment, **fields))


def test_the_server_runs_as_its_image_would_run_it() -> None:
    launch = launched()
    assert launch.image == "ghcr.io/ggml-org/llama.cpp:server-b11312"
    assert launch.command == ("/app/llama-server",)
    assert words(launch) == (
        " --model /models/weights/qwen.gguf --alias qwen --host 0.0.0.0 --port 8080"
        " --threads 4 --metrics "
    )
    assert (launch.port, launch.metrics_path, launch.probes.readiness) == (
        8080,
        "/metrics",
        "/health",
    )


def test_requests_are_cut_on_sigterm_so_that_the_pod_has_to_wait_before() -> None:
    assert launched().drains is False


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        ({"model": {"uri": "hf://org/m-GGUF"}}, "--hf-repo org/m-GGUF"),
        ({"model": {"uri": "hf://org/m-GGUF:Q4_K_M"}}, "--hf-repo org/m-GGUF:Q4_K_M"),
        ({"model": {"uri": "file:///opt/m.gguf"}}, "--model /opt/m.gguf"),
        ({"max_model_len": 8192}, "--ctx-size 8192"),
        ({"max_model_len": 8192, "args": {"parallel": 4.0}}, "--ctx-size 32768"),
        (
            {"max_model_len": 8192, "args": {"parallel": 4, "kv_unified": True}},
            "--ctx-size 8192",
        ),
        ({"max_model_len": 8192, "args": {"parallel": -1}}, "--ctx-size 8192"),
        ({"kv_cache_dtype": "q8_0"}, "--cache-type-k q8_0 --cache-type-v q8_0"),
        ({"cpu": 2.5}, "--threads 2"),
        ({"cpu": 0.5}, "--threads 1"),
        ({"args": {"threads": 8}}, "--threads 8"),
        (GPU, "--gpu-layers all"),
        ({**GPU, "args": {"n-gpu-layers": 20}}, "--n-gpu-layers 20"),
        ({"gpu": {"count": 2}, "parallelism": {"tensor": 2}}, "--split-mode row"),
        ({"gpu": {"count": 2}, "parallelism": {"pipeline": 2}}, "--split-mode layer"),
        ({"args": {"jinja": False}}, "--no-jinja"),
        ({"args": {"seed": -1}}, "--seed -1"),
        ({"args": {"top-nsigma": -1.0}}, "--top-nsigma -1"),
        ({"args": {"cache_reuse": 256}}, "--cache-reuse 256"),
        ({"args": {"control-vector-layer-range": [1, 8]}}, "--control-vector-layer-range 1 8"),
    ],
)
def test_a_declared_field_becomes_an_option(deployment: dict[str, Any], expected: str) -> None:
    assert f" {expected} " in words(launched(deployment))


@pytest.mark.parametrize(
    ("deployment", "name"),
    [
        ({**GPU, "args": {"n-gpu-layers": 20}}, "gpu-layers"),
        ({"gpu": {"count": 2}}, "split-mode"),
        ({}, "ctx-size"),
        ({}, "gpu-layers"),
    ],
)
def test_what_nobody_asked_for_is_left_to_the_engine(deployment: dict[str, Any], name: str) -> None:
    assert name not in option_names(launched(deployment))


def test_every_option_of_ours_is_one_of_the_engine_s() -> None:
    every = launched(
        {
            "gpu": {"count": 2},
            "parallelism": {"tensor": 2},
            "max_model_len": 1,
            "kv_cache_dtype": "f16",
        },
        model_type="text-embedding",
    )
    known = {name for option in llama_cpp.OPTIONS for name in option.names}
    assert set(option_names(every)) | {"rerank", "hf-repo"} <= known


def test_all_names_are_given_at_once() -> None:
    launch = launched(workspace_id="team", provider_settings={"model_names": ["b", "a"]})
    assert " --alias team/qwen,b,a " in words(launch)


@pytest.mark.parametrize(
    ("model_type", "expected"), [("text-embedding", "--embedding"), ("rerank", "--rerank")]
)
def test_a_pooling_model_takes_inputs_as_long_as_its_context(
    model_type: str, expected: str
) -> None:
    launch = launched({"max_model_len": 2048}, model_type=model_type)
    assert f" {expected} --ctx-size 2048 --batch-size 2048 --ubatch-size 2048 " in words(launch)
    assert not {"embedding", "rerank"} & set(option_names(launched()))


@pytest.mark.parametrize(
    ("deployment", "image"),
    [
        (GPU, "ghcr.io/ggml-org/llama.cpp:server-cuda-b11312"),
        ({"gpu": {"vendor": "amd"}}, "ghcr.io/ggml-org/llama.cpp:server-rocm-b11312"),
        ({"gpu": {"vendor": "intel"}}, "ghcr.io/ggml-org/llama.cpp:server-intel-b11312"),
        ({"runtime_version": "b12464"}, "ghcr.io/ggml-org/llama.cpp:server-b12464"),
        ({"gpu": {"vendor": "ascend"}, "images": {"ascend": "a/cann:1"}}, "a/cann:1"),
    ],
)
def test_each_vendor_has_its_image(deployment: dict[str, Any], image: str) -> None:
    assert launched(deployment).image == image
    assert problems(deployment) == []


def test_downloads_go_to_the_cache_volume() -> None:
    assert launched().env["LLAMA_CACHE"] == "/cache/llama.cpp"


@pytest.mark.parametrize("name", sorted(llama_cpp.DERIVED))
def test_an_argument_that_contradicts_a_declared_field_names_it(name: str) -> None:
    for spelling in {name, name.replace("-", "_")}:
        expected = f"deployment.args.{spelling}: {llama_cpp.DERIVED[name]}"
        assert problems({"args": {spelling: "1"}}) == [expected]


@pytest.mark.parametrize(
    ("deployment", "fields", "expected"),
    [
        ({"args": {"cxt-size": 1}}, {}, "deployment.args.cxt-size: is no option of llama.cpp b113"),
        ({"args": {"ngl": 1}}, {}, "deployment.args.ngl: is a short form; write `gpu-layers`"),
        ({"args": {"c": 1}}, {}, "deployment.args.c: is derived; set deployment.max_model_len"),
        ({"args": {"reranking": True}}, {}, "deployment.args.reranking: is derived; set model_ty"),
        ({"args": {"draft-max": 4}}, {}, "has been removed from llama.cpp; use --spec-draft-n-max"),
        ({"args": {"threads": "many"}}, {}, "deployment.args.threads: must be a whole number"),
        ({"args": {"flash-attn": "no"}}, {}, "deployment.args.flash-attn: must be one of on, off"),
        ({"args": {"lora": ["a", "b"]}}, {}, "deployment.args.lora: takes one value, not a list"),
        ({"args": {"webui": True, "ui": True}}, {}, "is the same option as ui"),
        ({"kv_cache_dtype": "fp8"}, {}, "deployment.kv_cache_dtype: must be one of f32, f16"),
        ({"dtype": "bfloat16"}, {}, "deployment.dtype: is decided by the GGUF file"),
        ({"quantization": "awq"}, {}, "deployment.quantization: is decided by the GGUF file"),
        ({"gpu_memory_utilization": 0.9}, {}, "deployment.gpu_memory_utilization: has no option"),
        (
            {"gpu": {"count": 4}, "parallelism": {"tensor": 2, "pipeline": 2}},
            {},
            "deployment.parallelism: llama.cpp splits a model by rows",
        ),
        ({}, {"model_type": "tts"}, "model_type: llama.cpp does not serve tts models"),
        ({}, {"provider_settings": {"model_names": ["a,b"]}}, "model_names[0]: must not contain"),
        ({"runtime_version": "latest"}, {}, "deployment.runtime_version: latest is another engine"),
        ({"runtime_version": "v0.30.0"}, {}, "must be the tag of a build such as b11312"),
        ({"runtime_version": "b9000"}, {}, "b9000 is too old: b11312 is the first"),
        ({"gpu": {"vendor": "gaudi"}}, {}, "deployment.gpu.vendor: llama.cpp has no image for"),
        (
            {"gpu": {"vendor": "amd"}, "cpu_architecture": "arm64"},
            {},
            "deployment.cpu_architecture: llama.cpp has no image for arm64",
        ),
        (
            {"model": {"uri": "hf://org/m-GGUF", "revision": "abc"}},
            {},
            "deployment.model.revision: llama.cpp reads the main branch",
        ),
        ({"model": {"uri": "pvc://weights"}}, {}, "deployment.model.uri: must name one file that"),
        ({"model": {"uri": "https://a.example/m.bin"}}, {}, "must name one file that ends with"),
        (
            {"model": {"uri": "hf://org/m-GGUF/m-00001-of-00003.gguf"}},
            {},
            "deployment.model.uri: is one of several parts",
        ),
        (
            {"env": {"LLAMA_ARG_CTX_SIZE": 1}},
            {},
            "deployment.env.LLAMA_ARG_CTX_SIZE: is derived; set deployment.max_model_len",
        ),
        (
            {"secret_env": {"LLAMA_ARG_PORT": "1"}},
            {},
            "deployment.secret_env.LLAMA_ARG_PORT: is fixed",
        ),
        (
            {"env": {"LLAMA_ARG_TREADS": 1}},
            {},
            "deployment.env.LLAMA_ARG_TREADS: is no variable of llama.cpp; did you mean "
            "`LLAMA_ARG_THREADS`?",
        ),
        ({"env": {"LLAMA_CACHE": "/x"}}, {}, "deployment.env.LLAMA_CACHE: is set by modelfleet"),
    ],
)
def test_what_the_engine_cannot_do_is_one_problem_with_its_path(
    deployment: dict[str, Any], fields: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(deployment, **fields)
    assert expected in problem


@pytest.mark.parametrize(
    "deployment",
    [
        {},
        {"runtime_version": "b12464", "args": {"an-option-of-tomorrow": 1}},
        {"env": {"LLAMA_ARG_NO_MMPROJ_AUTO": 1, "LLAMA_ARG_N_PARALLEL": 2, "LLAMA_ARG_NO_PERF": 1}},
        {"runtime_version": "b12464", "env": {"LLAMA_ARG_OF_TOMORROW": 1}},
        {"secret_env": {"LLAMA_API_KEY": "hush"}},
        {"model": {"uri": "hf://org/m-GGUF:Q4_K_M"}},
        {"dtype": "auto"},
        {"model": {"uri": "pvc://weights/m-00001-of-00003.gguf"}},
        {"model": {"uri": "https://a.example/m-00001-of-00001.gguf?download=true"}},
        {"model": {"uri": "hf://org/m-GGUF/m.gguf", "revision": "abc"}},
        {"args": {"gpu-layers": "auto", "fit": "off", "no-perf": True, "temp": "0.5"}, **GPU},
    ],
)
def test_what_the_engine_can_do_is_no_problem(deployment: dict[str, Any]) -> None:
    assert problems(deployment) == []


SOURCE = """
const std::vector<ggml_type> kv_cache_types = { GGML_TYPE_F32, GGML_TYPE_Q8_0 };
add_opt(common_arg(
    // a "comment" before
    {"-t", "--threads"}, "N",
    string_format("threads (default: %d)", params.n_threads),
    [](common_params & params, int value) { params.n_threads = value; }
).set_env("LLAMA_ARG_THREADS"));
add_opt(common_arg(
    {"-x", "--xx"}, {"-no-x", "--no-xx"}, "help", [](common_params & params, bool value) { }
).set_examples({LLAMA_EXAMPLE_SERVER, LLAMA_EXAMPLE_CLI}));
add_opt(common_arg({"--only-cli"}, "help", [](common_params &) { })
    .set_examples({LLAMA_EXAMPLE_CLI}));
add_opt(common_arg({"--not-here"}, "help", [](common_params &) { })
    .set_excludes({LLAMA_EXAMPLE_SERVER}));
add_opt(common_arg({"--mode", "--kind"}, "{a,b-c}", "help (of \\"one\\")",
    [](common_params & params, const std::string & value) { }));
add_opt(common_arg({"--temp"}, "T", "help",
    [](common_params & params, const std::string & value) { params.temp = std::stof(value); }));
add_opt(common_arg({"--cache"}, "TYPE", "help",
    [](common_params & params, const std::string & value) { kv_cache_type_from_str(value); }));
add_opt(common_arg({"--range"}, "A", "B", "help",
    [](common_params & params, const std::string & a, const std::string & b) { }));
add_opt(common_arg({"--old"}, "N", "the argument has been removed. use --new",
    [](common_params & /*params*/, int /*value*/) { arg_removed("use --new"); }));
"""


def test_the_table_of_options_is_read_from_the_engine_s_source() -> None:
    assert list(options_in(SOURCE)) == [
        FoundOption(("threads",), ("t",), "INTEGER", env="LLAMA_ARG_THREADS"),
        FoundOption(("xx",), ("x", "no-x"), "SWITCH"),
        FoundOption(("mode", "kind"), (), "TEXT", words=("a", "b-c")),
        FoundOption(("temp",), (), "NUMBER"),
        FoundOption(("cache",), (), "TEXT", words=("f32", "q8_0")),
        FoundOption(("range",), (), "TEXT", pair=True),
        FoundOption(("old",), (), "INTEGER", instead="use --new"),
    ]


def test_the_table_that_is_read_is_a_module_of_options(tmp_path: Path) -> None:
    path = tmp_path / "table.py"
    path.write_text(table_text(list(options_in(SOURCE)), build="b1", date="1 May 2026"))
    module = runpy.run_path(str(path))
    assert [option.name for option in module["OPTIONS"]] == [
        *("threads", "xx", "mode", "temp", "cache", "range"),
    ]
    assert module["VARIABLES"] == {"LLAMA_ARG_THREADS": "threads"}
    assert module["GONE"] == {"old": "use --new"}
