"""Engines: what a declared service becomes on a command line, and what may not be declared."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelfleet.engines import ENGINE_RULES, ENGINES, SecretKey, launch_of, pinned, sglang, vllm
from modelfleet.engines.launch import Launch, option
from modelfleet.errors import ProviderBugError
from modelfleet.spec import ModelServiceSpec, problems_of
from modelfleet.spec.merge import merged
from modelfleet.spec.rules import SPEC_RULES

UNKNOWN = object()


def is_unknown(value: object) -> bool:
    return value is UNKNOWN


def declaration(deployment: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    smallest = {"model": {"uri": "hf://org/model"}, "gpu": {}}
    return {
        "model_service_name": "qwen",
        "deployment": merged(smallest, deployment or {}),
        **fields,
    }


def launched(deployment: Mapping[str, Any] | None = None, **fields: Any) -> Launch:
    return launch_of(ModelServiceSpec.model_validate(declaration(deployment, **fields)))


def problems(deployment: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    found = problems_of(
        declaration(deployment, **fields),
        is_unknown=is_unknown,
        rules=(*SPEC_RULES, *ENGINE_RULES),
    )
    return [str(problem) for problem in found]


def flags(launch: Launch) -> list[str]:
    return [arg.removeprefix("--") for arg in launch.args if arg.startswith("--")]


FULL = {"name": "engine", "image": "registry.example.com/engine:v1"}


# vLLM: the command line


def test_vllm_serves_the_model_under_its_access_name_first() -> None:
    launch = launched(workspace_id="team", provider_settings={"model_names": ["a", "team/qwen"]})
    assert launch.command == ("vllm", "serve")
    assert launch.args[:4] == ("org/model", "--served-model-name", "team/qwen", "a")


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        ({"model": {"revision": "abc"}}, "--revision abc"),
        ({"gpu": {"count": 4}}, "--tensor-parallel-size 4"),
        (
            {"gpu": {"count": 8}, "parallelism": {"pipeline": 2}},
            "--tensor-parallel-size 4 --pipeline-parallel-size 2",
        ),
        ({"max_model_len": 8192.0}, "--max-model-len 8192"),
        ({"dtype": "bfloat16"}, "--dtype bfloat16"),
        ({"quantization": "fp8"}, "--quantization fp8"),
        ({"kv_cache_dtype": "fp8_e5m2"}, "--kv-cache-dtype fp8_e5m2"),
        ({"gpu_memory_utilization": 0.9}, "--gpu-memory-utilization 0.9"),
        ({"gpu_memory_utilization": 1}, "--gpu-memory-utilization 1"),
        ({"drain_seconds": 30}, "--shutdown-timeout 30"),
        ({"args": {"max-num-seqs": 64.0}}, "--max-num-seqs 64"),
        ({"args": {"max_num_seqs": 64}}, "--max-num-seqs 64"),
        ({"args": {"swap-space": 0.5}}, "--swap-space 0.5"),
        ({"args": {"enable-lora": True}}, "--enable-lora"),
        ({"args": {"enable-lora": False}}, "--no-enable-lora"),
        ({"args": {"lora-modules": ["a=b", "c=d"]}}, "--lora-modules a=b c=d"),
        ({"args": {"middleware": ["a", "b"]}}, "--middleware a --middleware b"),
        ({"args": {"seed": -1}}, "--seed=-1"),
        ({"args": {"hf-overrides.is_original": True}}, "--hf-overrides.is_original"),
    ],
)
def test_a_declared_field_becomes_an_option_of_vllm(
    deployment: dict[str, Any], expected: str
) -> None:
    assert f" {expected} " in f" {' '.join(launched(deployment).args)} "


def test_options_stand_in_the_order_of_their_names_whatever_the_order_of_declaration() -> None:
    one = launched({"args": {"b": 1, "a": 2, "c": 3}})
    other = launched({"args": {"c": 3, "a": 2, "b": 1}})
    assert one.args == other.args
    assert flags(one)[-3:] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("tag", "missing"),
    [
        ("v0.30.0", set()),
        ("v0.30.0-cu129", set()),
        ("v0.18.0", set()),
        ("v0.17.2", {"shutdown-timeout"}),
        ("v0.15.0", {"shutdown-timeout", "disable-access-log-for-endpoints"}),
    ],
)
def test_an_older_vllm_is_not_given_options_it_does_not_know(tag: str, missing: set[str]) -> None:
    launch = launched({"runtime_version": tag})
    both = {"shutdown-timeout", "disable-access-log-for-endpoints"}
    assert both - set(flags(launch)) == missing
    assert launch.drains is ("shutdown-timeout" not in missing)
    assert launch.image == f"vllm/vllm-openai:{tag}"


def test_the_access_log_option_can_be_declared_otherwise() -> None:
    args = launched({"args": {"disable-access-log-for-endpoints": "/ping"}}).args
    assert args.count("--disable-access-log-for-endpoints") == 1
    assert args[-1] == "/ping"


@pytest.mark.parametrize(
    ("model_type", "runner"),
    [("llm", None), ("text-embedding", "pooling"), ("rerank", "pooling"), ("speech2text", None)],
)
def test_models_that_generate_nothing_run_in_the_pooling_runner(
    model_type: str, runner: str | None
) -> None:
    args = launched(model_type=model_type).args
    assert (args[args.index("--runner") + 1] if "--runner" in args else None) == runner


def test_every_option_that_is_derived_says_which_field_to_set_instead() -> None:
    everything = launched(
        {
            "model": {"revision": "r"},
            "gpu": {"count": 4},
            "parallelism": {"pipeline": 2},
            "max_model_len": 1,
            "dtype": "auto",
            "quantization": "fp8",
            "kv_cache_dtype": "fp8",
            "gpu_memory_utilization": 0.5,
        },
        model_type="rerank",
    )
    free = {"disable-access-log-for-endpoints"}
    assert set(flags(everything)) - free <= set(vllm.DERIVED)


# Images, models, environment


@pytest.mark.parametrize(
    ("deployment", "image"),
    [
        ({}, f"vllm/vllm-openai:{vllm.DEFAULT_VERSION}"),
        ({"gpu": {"vendor": "amd"}}, f"vllm/vllm-openai-rocm:{vllm.DEFAULT_VERSION}"),
        ({"images": {"default": "a/b:c"}}, "a/b:c"),
        ({"images": {"default": "a/b:c", "nvidia": "d/e:f"}}, "d/e:f"),
        ({"images": {"amd": "a/b:c"}}, f"vllm/vllm-openai:{vllm.DEFAULT_VERSION}"),
        ({"runtime": FULL}, FULL["image"]),
        ({"runtime": FULL, "images": {"default": "a/b:c"}}, "a/b:c"),
    ],
)
def test_the_image_is_the_declared_one_for_the_vendor_or_the_engine_s_own(
    deployment: dict[str, Any], image: str
) -> None:
    assert launched(deployment).image == image


def test_home_and_caches_are_on_the_volume_the_pod_may_write() -> None:
    env = launched().env
    assert all(str(env[name]).startswith("/cache") for name in ("HOME", "HF_HOME"))
    assert env["VLLM_CACHE_ROOT"] == "/cache/vllm"


@pytest.mark.parametrize(
    ("credential", "expected"),
    [("hub", SecretKey("hub", "api_key")), ("hub/token", SecretKey("hub", "token"))],
)
def test_the_hub_token_comes_from_the_model_s_credential(
    credential: str, expected: SecretKey
) -> None:
    assert launched({"model": {"credential_name": credential}}).env["HF_TOKEN"] == expected
    assert "HF_TOKEN" not in launched().env


def test_declared_variables_come_last_and_secret_ones_are_references() -> None:
    env = launched({"env": {"B": "text", "A": {"secret": "s/k"}}, "secret_env": {"C": "hush"}}).env
    assert list(env)[-3:] == ["A", "B", "C"]
    assert (env["A"], env["B"], env["C"]) == (
        SecretKey("s", "k"),
        "text",
        SecretKey("qwen-env", "C"),
    )


# A runtime given in full


def test_a_runtime_in_full_reads_what_it_needs_from_its_environment() -> None:
    launch = launched(
        {
            "runtime": {**FULL, "command": ["run"], "args": ["--model", "$(MODEL_PATH)"]},
            "gpu": {"count": 4},
            "parallelism": {"pipeline": 2},
            "args": {"b": [1, 2], "a": True},
        }
    )
    assert launch.command == ("run",)
    assert launch.args == ("--model", "$(MODEL_PATH)", "--a", "--b", "1", "--b", "2")
    own = {
        "MODEL_PATH": "org/model",
        "MODEL_NAME": "qwen",
        "PORT": "8000",
        "TP_SIZE": "2",
        "PP_SIZE": "2",
    }
    assert own.items() <= dict(launch.env).items()


def test_a_declared_command_replaces_the_engine_s() -> None:
    assert launched({"command": ["sh"], "runtime": FULL}).command == ("sh",)
    assert launched({"command": ["sh"]}).command == ("sh",)


def test_an_external_service_runs_no_engine() -> None:
    spec = {"model_service_name": "x1", "provider_settings": {"base_url": "https://a.example/v1"}}
    with pytest.raises(ProviderBugError, match="external"):
        launch_of(ModelServiceSpec.model_validate(spec))


@pytest.mark.parametrize(
    ("value", "repeated", "words"),
    [
        (True, False, ["--x"]),
        (False, False, ["--no-x"]),
        ("", False, ["--x", ""]),
        (1.0, False, ["--x", "1"]),
        (1.5, False, ["--x", "1.5"]),
        ("-a", False, ["--x=-a"]),
        ((1.0, "b"), False, ["--x", "1", "b"]),
        ((1.0, "b"), True, ["--x", "1", "--x", "b"]),
        ((True, False), False, ["--x", "true", "false"]),
    ],
)
def test_an_option_is_spelled_by_its_type(value: Any, repeated: bool, words: list[str]) -> None:
    assert option("x", value, repeated=repeated) == words


# Problems


@pytest.mark.parametrize("name", sorted(vllm.DERIVED))
def test_an_argument_that_contradicts_a_declared_field_names_it(name: str) -> None:
    for spelling in {name, name.replace("-", "_")}:
        expected = f"deployment.args.{spelling}: {vllm.DERIVED[name]}"
        assert problems({"args": {spelling: "1"}}) == [expected]
    assert problems({"args": {name: "1"}, "runtime": FULL}) == []


@pytest.mark.parametrize(
    ("deployment", "fields", "expected"),
    [
        ({"gpu": None}, {}, "deployment.gpu: is required, or deployment.cpu_architecture"),
        ({}, {"model_type": "tts"}, "model_type: vllm does not serve tts"),
        ({"runtime_version": "nightly"}, {}, "deployment.runtime_version: nightly is another"),
        ({"runtime_version": "latest"}, {}, "deployment.runtime_version: latest is another"),
        ({"runtime_version": "mine"}, {}, "deployment.runtime_version: must be a release"),
        ({"runtime_version": "0.30.0"}, {}, "deployment.runtime_version: must be a release"),
        ({"runtime_version": "v0.9.2"}, {}, "v0.9.2 is too old: v0.11.0 is the first"),
        (
            {"runtime_version": "v0.13.0", "gpu": {"vendor": "amd"}},
            {},
            "v0.13.0 is too old: v0.14.0 is the first",
        ),
        (
            {"args": {"max-num-seqs": 1, "max_num_seqs": 2}},
            {},
            "deployment.args.max_num_seqs: is the same option as max-num-seqs",
        ),
        ({"env": {"HOME": "/"}}, {}, "deployment.env.HOME: is set by modelfleet"),
        ({"secret_env": {"HF_HOME": "/"}}, {}, "deployment.secret_env.HF_HOME: is set by"),
        ({"env": {"VLLM_CACHE_ROOT": "/"}}, {}, "deployment.env.VLLM_CACHE_ROOT: is set by"),
        (
            {"runtime": FULL, "env": {"TP_SIZE": "2"}},
            {},
            "deployment.env.TP_SIZE: is derived; set deployment.parallelism.tensor",
        ),
        (
            {"model": {"credential_name": "hub"}, "env": {"HF_TOKEN": {"secret": "x"}}},
            {},
            "deployment.env.HF_TOKEN: is set from deployment.model.credential_name",
        ),
        (
            {"gpu": {"vendor": "amd", "min_memory_gib": 80}},
            {},
            "deployment.gpu.min_memory_gib: amd nodes carry no label",
        ),
        (
            {"gpu": {"vendor": "amd", "compute_capability": 9}},
            {},
            "deployment.gpu.compute_capability: is a measure of NVIDIA's",
        ),
        ({"gpu": {"resource_name": "gpu"}}, {}, "deployment.gpu.resource_name: must have its"),
        (
            {"gpu": {"mig_profile": "1g.10gb", "resource_name": "nvidia.com/mig-1g.10gb"}},
            {},
            "deployment.gpu.mig_profile: excludes deployment.gpu.resource_name",
        ),
        (
            {"gpu": {"mig_profile": "1g.10gb", "count": 2}},
            {},
            "deployment.gpu.count: must be 1 with mig_profile",
        ),
        (
            {"gpu": {"mig_profile": "1g.10gb", "min_memory_gib": 10}},
            {},
            "deployment.gpu.min_memory_gib: would be compared with the whole GPU",
        ),
        (
            {"runtime": FULL, "gpu": {"vendor": "intel", "mig_profile": "1g.10gb"}},
            {},
            "deployment.gpu.mig_profile: is a slice of an NVIDIA GPU, and deployment.gpu.vendor",
        ),
        (
            {"runtime": FULL, "gpu": {"vendor": "gaudi", "product": "HL-325"}},
            {},
            "deployment.gpu.product: gaudi nodes carry no label to compare it with",
        ),
        (
            {"runtime": FULL, "gpu": {"vendor": "ascend", "min_memory_gib": 64}},
            {},
            "deployment.gpu.min_memory_gib: ascend nodes carry no label",
        ),
        (
            {"gpu": {"product": "A"}, "node_selector": {"nvidia.com/gpu.product": "B"}},
            {},
            'deployment.node_selector["nvidia.com/gpu.product"]: contradicts',
        ),
    ],
)
def test_what_an_engine_cannot_do_is_one_problem_with_its_path(
    deployment: dict[str, Any], fields: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(deployment, **fields)
    assert expected in problem


@pytest.mark.parametrize(
    "deployment",
    [
        {},
        {"runtime_version": "v0.11.0"},
        {"runtime_version": "v1.0.0.post1"},
        {"runtime": FULL, "gpu": None},
        {"runtime": FULL, "env": {"VLLM_CACHE_ROOT": "/x"}},
        {"env": {"HF_TOKEN": {"secret": "hub/token"}, "TP_SIZE": "1"}},
        {"gpu": {"product": "A"}, "node_selector": {"nvidia.com/gpu.product": "A"}},
        {"gpu": {"resource_name": "nvidia.com/mig-1g.10gb"}},
        {"gpu": {"mig_profile": "2g.20gb", "product": "NVIDIA-H100-80GB-HBM3"}},
        {"runtime": FULL, "gpu": {"vendor": "ascend", "product": "910B3"}},
        {"runtime": FULL, "gpu": {"vendor": "intel", "resource_name": "gpu.intel.com/xe"}},
    ],
)
def test_what_an_engine_can_do_is_no_problem(deployment: dict[str, Any]) -> None:
    assert problems(deployment) == []


@pytest.mark.parametrize(
    "deployment",
    [
        {"runtime": UNKNOWN, "gpu": None},
        {"gpu": UNKNOWN},
        {"gpu": {"vendor": UNKNOWN, "min_memory_gib": 80}},
        {"runtime_version": UNKNOWN},
        {"args": UNKNOWN},
        {"args": {"seed": UNKNOWN}},
        {"env": UNKNOWN},
        {"env": {"A": UNKNOWN}},
    ],
)
def test_nothing_is_said_about_unknowns(deployment: dict[str, Any]) -> None:
    assert problems(deployment) == []


@pytest.mark.parametrize("value", [UNKNOWN, "1"])
def test_a_name_that_is_taken_is_told_whatever_the_values_beside_and_below(value: object) -> None:
    found = problems(
        {
            "args": {"seed": UNKNOWN, "--wrong": 1, "port": value},
            "env": {"A": UNKNOWN, "WRONG-": "x", "HOME": value},
        }
    )
    assert [each.partition(":")[0] for each in found] == [
        "deployment.args.port",
        'deployment.args["--wrong"]',
        "deployment.env.HOME",
        "deployment.env.WRONG-",
    ]


# Versions that are fixed


@pytest.mark.parametrize(
    ("inputs", "prior", "version"),
    [
        ({}, None, vllm.DEFAULT_VERSION),
        ({}, {"runtime_version": "v0.20.0"}, "v0.20.0"),
        ({"runtime": "vllm"}, {"runtime_version": "v0.20.0"}, "v0.20.0"),
        ({"runtime_version": "v0.25.0"}, {"runtime_version": "v0.20.0"}, "v0.25.0"),
        ({}, {"runtime_version": UNKNOWN}, vllm.DEFAULT_VERSION),
        ({}, {"runtime": FULL}, vllm.DEFAULT_VERSION),
        ({}, {"runtime": UNKNOWN, "runtime_version": "v0.20.0"}, vllm.DEFAULT_VERSION),
        ({"runtime_version": UNKNOWN}, {"runtime_version": "v0.20.0"}, UNKNOWN),
        ({"runtime": UNKNOWN}, {"runtime_version": "v0.20.0"}, None),
        ({"runtime": FULL}, {"runtime_version": "v0.20.0"}, None),
    ],
)
def test_the_engine_s_version_is_fixed_until_somebody_changes_it(
    inputs: dict[str, Any], prior: dict[str, Any] | None, version: object
) -> None:
    before = None if prior is None else {"deployment": prior}
    result = pinned({"deployment": inputs}, before, is_unknown=is_unknown)
    assert result["deployment"].get("runtime_version") is version


@pytest.mark.parametrize("deployment", [None, UNKNOWN, "nonsense"])
def test_without_a_deployment_nothing_is_fixed(deployment: object) -> None:
    inputs = {"deployment": deployment}
    assert pinned(inputs, {"deployment": deployment}, is_unknown=is_unknown) == inputs


def test_fixing_the_version_leaves_the_arguments_as_they_were() -> None:
    inputs, prior = declaration(), declaration({"runtime_version": "v0.20.0"})
    copies = copy.deepcopy((inputs, prior))
    assert pinned(inputs, prior)["deployment"]["runtime_version"] == "v0.20.0"
    assert (inputs, prior) == copies


def test_every_built_in_engine_has_a_default_version_that_its_rules_accept() -> None:
    for name, engine in ENGINES.items():
        found = problems({"runtime": name, "runtime_version": engine.default_version})
        assert not [each for each in found if "runtime_version" in each]


def test_the_page_on_engines_says_what_the_code_does() -> None:
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text("utf-8")
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    table = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    engines = table[""]
    assert set(engines) == set(ENGINES)
    for name, version, port, metrics in zip(
        engines,
        table["version"],
        table["port (the Service's is 80)"],
        table["metrics"],
        strict=True,
    ):
        launch = launched({"runtime": name})
        assert version.startswith(f"`{ENGINES[name].default_version}`")
        assert port == str(launch.port)
        assert metrics == (f"`{launch.metrics_path}`" if launch.metrics_path else "none")
    for engine in (vllm, sglang):
        table_of = engine.TABLE
        assert f"{engine.NAME} {table_of.text(table_of.first)} to" in page.replace("\n", " ")
        assert f"to {table_of.text(table_of.last)}" in page.replace("\n", " ")
