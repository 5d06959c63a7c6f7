"""SGLang: what becomes of a declared service, and what its options may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import engine_cases
import pytest
from engine_cases import option_names, words

from modelfleet.engines import sglang
from modelfleet.engines.launch import Launch, SecretKey

SMALLEST = {"runtime": "sglang", "model": {"uri": "hf://org/model"}, "gpu": {}}
AMD: dict[str, Any] = {"gpu": {"vendor": "amd", "product": "AMD_Instinct_MI300X_OAM"}}
OWN = "registry.example.com/sglang:v1"


def launched(deployment: Mapping[str, Any] | None = None, **fields: Any) -> Launch:
    return engine_cases.launched(engine_cases.declaration(SMALLEST, deployment, **fields))


def problems(deployment: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    return engine_cases.problems(engine_cases.declaration(SMALLEST, deployment, **fields))


def test_the_server_listens_on_the_pod_s_addresses_and_shows_its_metrics() -> None:
    launch = launched(workspace_id="team")
    assert launch.command == ("python3", "-m", "sglang.launch_server")
    assert words(launch) == (
        " --model-path org/model --served-model-name team/qwen --host 0.0.0.0 --port 30000"
        " --enable-metrics "
    )
    assert (launch.port, launch.metrics_path) == (30000, "/metrics")
    assert problems() == []


def test_probes_ask_for_health_which_generates_nothing_unless_declared() -> None:
    launch = launched()
    paths = (launch.probes.startup, launch.probes.readiness, launch.probes.liveness)
    assert set(paths) == {"/health"}
    assert launch.env[sglang.QUIET_HEALTH] == "false"
    assert launched({"env": {sglang.QUIET_HEALTH: True}}).env[sglang.QUIET_HEALTH] == "true"
    secret = launched({"secret_env": {sglang.QUIET_HEALTH: "1"}}).env[sglang.QUIET_HEALTH]
    assert isinstance(secret, SecretKey)


@pytest.mark.parametrize(
    ("args", "drains"),
    [
        ({}, True),
        ({"tokenizer-worker-num": 1.0}, True),
        ({"tokenizer_worker_num": 4}, False),
    ],
)
def test_running_requests_are_finished_on_sigterm_unless_there_are_several_tokenizers(
    args: dict[str, Any], drains: bool
) -> None:
    assert launched({"args": args}).drains is drains


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        ({"model": {"revision": "abc"}}, "--revision abc"),
        ({"gpu": {"count": 4}}, "--tensor-parallel-size 4"),
        (
            {"gpu": {"count": 8}, "parallelism": {"pipeline": 2}},
            "--tensor-parallel-size 4 --pipeline-parallel-size 2",
        ),
        ({"max_model_len": 8192.0}, "--context-length 8192"),
        ({"dtype": "bfloat16"}, "--dtype bfloat16"),
        ({"quantization": "fp8"}, "--quantization fp8"),
        ({"kv_cache_dtype": "fp8_e5m2"}, "--kv-cache-dtype fp8_e5m2"),
        ({"gpu_memory_utilization": 0.8}, "--mem-fraction-static 0.8"),
        ({"args": {"schedule_policy": "lpm"}}, "--schedule-policy lpm"),
        ({"args": {"lora-paths": ["a=b", "c=d"]}}, "--lora-paths a=b c=d"),
        ({"args": {"trust-remote-code": True}}, "--trust-remote-code"),
    ],
)
def test_a_declared_field_becomes_an_option_of_sglang(
    deployment: dict[str, Any], expected: str
) -> None:
    assert f" {expected} " in words(launched(deployment))
    assert problems(deployment) == []


@pytest.mark.parametrize(
    ("model_type", "embeds"),
    [("llm", False), ("text-embedding", True), ("rerank", True), ("speech2text", False)],
)
def test_models_that_generate_nothing_are_served_as_embedding_models(
    model_type: str, embeds: bool
) -> None:
    assert ("is-embedding" in option_names(launched(model_type=model_type))) is embeds
    assert problems(model_type=model_type) == []


EVERYTHING: dict[str, Any] = {
    "model": {"revision": "r"},
    "gpu": {"count": 4},
    "parallelism": {"pipeline": 2},
    "max_model_len": 1,
    "dtype": "auto",
    "quantization": "fp8",
    "kv_cache_dtype": "auto",
    "gpu_memory_utilization": 0.5,
}


def test_every_option_that_is_derived_says_which_field_to_set_instead() -> None:
    names = option_names(launched(EVERYTHING, model_type="rerank"))
    assert set(names) <= set(sglang.DERIVED)


@pytest.mark.parametrize("patch", range(sglang.TABLE.first[2], sglang.TABLE.last[2] + 1))
def test_what_follows_from_fields_are_options_of_every_release(patch: int) -> None:
    tag = f"v0.5.{patch}"
    deployment = {**EVERYTHING, "runtime_version": tag}
    names = option_names(launched(deployment, model_type="rerank"))
    assert [name for name in names if not sglang.TABLE.knows(tag, name)] == []
    assert problems(deployment, model_type="rerank") == []


# Images, sources, environment


@pytest.mark.parametrize(
    ("deployment", "image"),
    [
        ({}, "lmsysorg/sglang:v0.5.21"),
        ({"runtime_version": "v0.5.19-cu129"}, "lmsysorg/sglang:v0.5.19-cu129"),
        (AMD, "lmsysorg/sglang:v0.5.21-rocm720-mi30x"),
        (
            {"gpu": {"vendor": "amd", "product": "AMD_Instinct_MI355X"}},
            "lmsysorg/sglang:v0.5.21-rocm720-mi35x",
        ),
        ({"gpu": {"vendor": "amd"}, "images": {"amd": OWN}}, OWN),
        ({"gpu": {"vendor": "ascend"}, "images": {"ascend": OWN}}, OWN),
        ({"gpu": None, "images": {"cpu": OWN}}, OWN),
    ],
)
def test_the_image_is_that_of_the_hardware(deployment: dict[str, Any], image: str) -> None:
    declared = {**SMALLEST, **deployment}
    assert engine_cases.launched(engine_cases.declaration(declared)).image == image
    assert engine_cases.problems(engine_cases.declaration(declared)) == []


def test_modelscope_is_read_where_sglang_is_told_to() -> None:
    launch = launched({"model": {"uri": "modelscope://org/model"}})
    assert launch.args[:2] == ("--model-path", "org/model")
    assert launch.env["SGLANG_USE_MODELSCOPE"] == "true"
    assert "SGLANG_USE_MODELSCOPE" not in launched().env


def test_a_bucket_is_fetched_because_the_image_reads_none() -> None:
    location = launched({"model": {"uri": "s3://bucket/model"}}).location
    assert location.fetch is not None
    assert location.path.startswith("/cache/models/")


def test_compiled_kernels_are_kept_on_the_volume_the_pod_may_write() -> None:
    env = launched().env
    assert all(str(env[name]).startswith("/cache/sglang") for name in sglang.OWN_ENV)


# Problems


@pytest.mark.parametrize("name", sorted(sglang.DERIVED))
def test_an_argument_that_contradicts_a_declared_field_names_it(name: str) -> None:
    for spelling in {name, name.replace("-", "_")}:
        expected = f"deployment.args.{spelling}: {sglang.DERIVED[name]}"
        assert problems({"args": {spelling: "1"}}) == [expected]


@pytest.mark.parametrize(
    ("deployment", "fields", "expected"),
    [
        (
            {"args": {"tp": 2}},
            {},
            "deployment.args.tp: is derived; set deployment.parallelism.tensor",
        ),
        (
            {"args": {"dp-size": 2}},
            {},
            "deployment.args.dp-size: is not available yet: a replica is one pod",
        ),
        (
            {"args": {"model": "x"}},
            {},
            "deployment.args.model: is derived; set deployment.model.uri",
        ),
        (
            {"args": {"cuda-graph-max-bs": 8}},
            {},
            "deployment.args.cuda-graph-max-bs: was removed in sglang v0.5.20; "
            "use `cuda-graph-max-bs-decode`",
        ),
        (
            {"args": {"schedule-polcy": "lpm"}},
            {},
            "deployment.args.schedule-polcy: is no option of sglang v0.5.21; "
            "did you mean `schedule-policy`?",
        ),
        (
            {"args": {"schedule-policy": "lmp"}},
            {},
            "deployment.args.schedule-policy: must be one of lpm, ",
        ),
        (
            {"args": {"trust-remote-code": False}},
            {},
            "deployment.args.trust-remote-code: is a flag: must be true, or be left out",
        ),
        (
            {"args": {"forward-hooks.a": 1}},
            {},
            'deployment.args["forward-hooks.a"]: forward-hooks has no keys; write `forward-hooks`',
        ),
        (
            {"quantization": "mxfp9"},
            {},
            "deployment.quantization: must be one of awq, ",
        ),
        ({"kv_cache_dtype": "fp8"}, {}, "deployment.kv_cache_dtype: must be one of auto, fp8_e5m2"),
        ({}, {"model_type": "tts"}, "model_type: sglang does not serve tts models"),
        (
            {},
            {"provider_settings": {"model_names": ["a", "b:c"]}},
            "provider_settings.model_names[1]: must not contain colons",
        ),
        (
            {"runtime_version": "v0.5.5"},
            {},
            "deployment.runtime_version: v0.5.5 is too old: v0.5.6 is the first",
        ),
        ({"runtime_version": "latest"}, {}, "deployment.runtime_version: latest is another"),
        ({"runtime_version": "0.5.21"}, {}, "deployment.runtime_version: must be a release"),
        (
            {"runtime_version": "v0.5.21-rocm720-mi30x"},
            {},
            "deployment.runtime_version: must be the release alone",
        ),
        (
            {"gpu": {"vendor": "amd"}},
            {},
            "deployment.gpu.product: must name the GPU, such as AMD_Instinct_MI300X_OAM",
        ),
        (
            {**AMD, "runtime_version": "v0.5.8"},
            {},
            "deployment.runtime_version: v0.5.8 has no image for AMD that is known here: v0.5.9",
        ),
        (
            {"gpu": {"vendor": "intel"}},
            {},
            "deployment.gpu.vendor: sglang has no image for intel; declare one",
        ),
        (
            {"gpu": None},
            {},
            "deployment.gpu: is required: sglang has no image for nodes without GPUs",
        ),
        ({"env": {"TRITON_CACHE_DIR": "/x"}}, {}, "deployment.env.TRITON_CACHE_DIR: is set by"),
        (
            {"env": {"SGLANG_USE_MODELSCOPE": True}},
            {},
            "deployment.env.SGLANG_USE_MODELSCOPE: is derived; set deployment.model.uri",
        ),
    ],
)
def test_what_sglang_cannot_do_is_one_problem_with_its_path(
    deployment: dict[str, Any], fields: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(deployment, **fields)
    assert problem.startswith(expected)


def test_names_without_colons_are_all_answered_to() -> None:
    names = {"model_names": ["deepseek-v3", "org/model"]}
    assert problems(provider_settings=names) == []
    assert words(launched(provider_settings=names)).count("--served-model-name qwen ") == 1


def test_every_option_that_is_derived_or_replaced_is_one_that_sglang_had() -> None:
    names = {option.name for option in sglang.TABLE.options}
    assert set(sglang.DERIVED) <= names
    gone = {option.name for option in sglang.TABLE.options if option.until is not None}
    assert set(sglang.TABLE.instead) <= gone
    named = re.findall(r"`([-a-z0-9]+)", " ".join(sglang.TABLE.instead.values()))
    assert set(named) <= {o.name for o in sglang.TABLE.options if o.is_in(sglang.TABLE.last)}


def test_the_default_release_is_one_that_was_read() -> None:
    version = sglang.version_of(sglang.DEFAULT_VERSION)
    assert version is not None
    assert sglang.TABLE.first <= version <= sglang.TABLE.last


def test_every_option_of_the_table_is_accepted_by_name_unless_it_is_derived() -> None:
    options = [o for o in sglang.TABLE.options if o.is_in((0, 5, 21))]
    assert len(options) > 400
    free = {option.name: None for option in options if option.name not in sglang.DERIVED}
    found = problems({"args": free})
    assert not [each for each in found if "is no option" in each or "removed" in each]
