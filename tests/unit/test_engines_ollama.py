"""Ollama: the script that makes a server serve, and the variables that are its options."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import engine_cases
import pytest

from modelfleet.engines import ollama
from modelfleet.engines.launch import Launch

SMALLEST = {"runtime": "ollama", "model": {"uri": "ollama://qwen3:8b"}}


def launched(deployment: Mapping[str, Any] | None = None, **fields: Any) -> Launch:
    return engine_cases.launched(engine_cases.declaration(SMALLEST, deployment, **fields))


def problems(deployment: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    return engine_cases.problems(engine_cases.declaration(SMALLEST, deployment, **fields))


def test_a_pod_has_started_once_its_model_is_loaded_not_once_the_server_answers() -> None:
    launch = launched()
    assert launch.started == ("test", "-e", ollama.LOADED)
    assert (launch.command, launch.args) == (("/bin/sh", "-c"), (ollama.START,))
    assert (launch.port, launch.probes.readiness, launch.metrics_path) == (11434, "/", None)


def test_requests_are_cut_on_sigterm_so_that_the_pod_has_to_wait_before() -> None:
    assert launched().drains is False


@pytest.mark.parametrize(
    ("deployment", "variable", "value"),
    [
        ({}, "OLLAMA_HOST", "0.0.0.0:11434"),
        ({}, "OLLAMA_MODELS", "/cache/ollama"),
        ({}, "OLLAMA_KEEP_ALIVE", "-1"),
        ({"startup_seconds": 600}, "OLLAMA_LOAD_TIMEOUT", "600s"),
        ({"max_model_len": 8192}, "OLLAMA_CONTEXT_LENGTH", "8192"),
        ({"kv_cache_dtype": "q8_0"}, "OLLAMA_KV_CACHE_TYPE", "q8_0"),
        ({}, "NVIDIA_VISIBLE_DEVICES", "void"),
        ({"gpu": {}}, "NVIDIA_VISIBLE_DEVICES", None),
        ({}, "OLLAMA_CONTEXT_LENGTH", None),
        ({}, "MODEL_SOURCE", "qwen3:8b"),
        ({"model": {"uri": "hf://org/m-GGUF:Q8_0"}}, "MODEL_SOURCE", "hf.co/org/m-GGUF:Q8_0"),
        ({"model": {"uri": "pvc://weights/m.gguf"}}, "MODEL_SOURCE", "/models/weights/m.gguf"),
        ({"env": {"OLLAMA_NUM_PARALLEL": 4}}, "OLLAMA_NUM_PARALLEL", "4"),
    ],
)
def test_a_declared_field_becomes_a_variable(
    deployment: dict[str, Any], variable: str, value: str | None
) -> None:
    assert launched(deployment).env.get(variable) == value
    assert problems(deployment) == []


@pytest.mark.parametrize(
    ("deployment", "image"),
    [
        ({}, "ollama/ollama:0.34.3"),
        ({"gpu": {}}, "ollama/ollama:0.34.3"),
        ({"gpu": {"vendor": "amd"}}, "ollama/ollama:0.34.3-rocm"),
        ({"runtime_version": "0.35.1"}, "ollama/ollama:0.35.1"),
    ],
)
def test_each_vendor_has_its_image(deployment: dict[str, Any], image: str) -> None:
    assert launched(deployment).image == image
    assert problems(deployment) == []


STAND_IN = """\
#!/bin/sh
[ "$1" = list ] || echo "ollama $*" >>"$CALLS"
case $1 in
  list) grep -qs serve "$CALLS" ;;
  serve) trap 'echo served >>"$CALLS"; exit 0' TERM; while :; do sleep 0.02; done ;;
  show) [ -n "${THERE:-}" ] ;;
  pull) [ -z "${GONE:-}" ] ;;
  create) cat /tmp/Modelfile >>"$CALLS" ;;
esac
"""


class Script:
    """The start script with a stand-in for the program, which writes down how it is called."""

    def __init__(self, folder: Path, launch: Launch, **env: str) -> None:
        self.calls, self.loaded, modelfile = (
            folder / name for name in ("calls", "loaded", "Modelfile")
        )
        program = folder / "ollama"
        program.write_text(STAND_IN.replace("/tmp/Modelfile", str(modelfile)))
        program.chmod(0o755)
        text = launch.args[0].replace(ollama.LOADED, str(self.loaded))
        own = {name: str(value) for name, value in launch.env.items() if name.startswith("MODEL_")}
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        self.process = subprocess.Popen(
            ["sh", "-c", text.replace("/tmp/Modelfile", str(modelfile))],
            env={**own, **env, "CALLS": str(self.calls), "PATH": path},
            start_new_session=True,
        )

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        """End what is left of the container: the server outlives a script that fails."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def until_loaded(self) -> list[str]:
        while not self.loaded.exists():
            assert self.process.poll() is None, "the script ended before the model was loaded"
            time.sleep(0.01)
        return self.lines()

    def lines(self) -> list[str]:
        return self.calls.read_text().splitlines()


def test_a_model_of_the_library_is_pulled_named_and_loaded(tmp_path: Path) -> None:
    names = {"provider_settings": {"model_names": ["chat"]}, "workspace_id": "team"}
    with Script(tmp_path, launched({}, **names)) as script:
        assert script.until_loaded() == [
            "ollama serve",
            "ollama show qwen3:8b",
            "ollama pull qwen3:8b",
            "ollama cp qwen3:8b team/qwen",
            "ollama cp qwen3:8b chat",
            "ollama run team/qwen",
        ]
        script.process.send_signal(signal.SIGTERM)
        assert script.process.wait() == 143
        assert script.lines()[-1] == "served"


def test_a_file_is_made_a_model_and_an_embedding_model_is_loaded_by_a_question(
    tmp_path: Path,
) -> None:
    uri = {"model": {"uri": "pvc://weights/m.gguf"}}
    with Script(tmp_path, launched(uri, model_type="text-embedding")) as script:
        assert script.until_loaded() == [
            "ollama serve",
            f"ollama create qwen -f {tmp_path}/Modelfile",
            "FROM /models/weights/m.gguf",
            "ollama run qwen ready",
        ]


def test_what_is_there_is_not_pulled_again(tmp_path: Path) -> None:
    with Script(tmp_path, launched(), THERE="yes") as script:
        assert "ollama pull qwen3:8b" not in script.until_loaded()


def test_a_model_that_cannot_be_had_ends_the_container(tmp_path: Path) -> None:
    with Script(tmp_path, launched(), GONE="yes") as script:
        assert script.process.wait() == 1
        assert not script.loaded.exists()


@pytest.mark.parametrize("name", sorted(ollama.DERIVED_VARIABLES))
def test_a_variable_that_contradicts_a_declared_field_names_it(name: str) -> None:
    expected = f"deployment.env.{name}: {ollama.DERIVED_VARIABLES[name]}"
    assert problems({"env": {name: "1"}}) == [expected]


@pytest.mark.parametrize(
    ("deployment", "fields", "expected"),
    [
        (
            {"args": {"num-parallel": 4}},
            {},
            "deployment.args.num-parallel: ollama has no options; set its variables in "
            "deployment.env; did you mean `OLLAMA_NUM_PARALLEL`?",
        ),
        (
            {"env": {"OLLAMA_NUM_PARALEL": 4}},
            {},
            "deployment.env.OLLAMA_NUM_PARALEL: is no variable of ollama; did you mean "
            "`OLLAMA_NUM_PARALLEL`?",
        ),
        ({}, {"model_type": "rerank"}, "model_type: ollama does not serve rerank models"),
        ({"dtype": "float16"}, {}, "deployment.dtype: is decided by the model"),
        ({"quantization": "q4"}, {}, "deployment.quantization: is decided by the model"),
        ({"kv_cache_dtype": "fp8"}, {}, "deployment.kv_cache_dtype: must be one of f32, f16"),
        ({"gpu_memory_utilization": 0.9}, {}, "deployment.gpu_memory_utilization: has no option"),
        ({"command": ["sh"]}, {}, "deployment.command: is the script that loads the model"),
        (
            {"gpu": {"count": 2}, "parallelism": {"tensor": 2}},
            {},
            "deployment.parallelism.tensor: has no meaning for ollama",
        ),
        ({"gpu": {"vendor": "intel"}}, {}, "deployment.gpu.vendor: ollama has no image for intel"),
        ({"runtime_version": "latest"}, {}, "deployment.runtime_version: latest is another"),
        ({"runtime_version": "v0.34.3"}, {}, "must be a release such as 0.34.3"),
        ({"runtime_version": "0.11.4"}, {}, "0.11.4 is too old: 0.34 is the first"),
        (
            {"model": {"uri": "hf://org/m-GGUF", "revision": "abc"}},
            {},
            "deployment.model.revision: ollama pulls the main branch; name one file",
        ),
        (
            {"model": {"uri": "hf://org/m-GGUF", "credential_name": "hub"}},
            {},
            "deployment.model.credential_name: ollama has no use for a hub's token",
        ),
        (
            {"model": {"uri": "ollama://qwen3", "credential_name": "hub"}},
            {},
            "deployment.model.credential_name: has no meaning for ollama://",
        ),
        ({"model": {"uri": "pvc://weights"}}, {}, "must name one file that ends with .gguf"),
        ({"runtime": "vllm", "gpu": {}}, {}, "ollama:// is read by the runtime ollama only"),
        ({}, {"workspace_id": "a.b"}, "workspace_id: must not have dots"),
        ({}, {"provider_settings": {"model_names": ["a/b/c"]}}, "model_names[0]: ollama takes"),
    ],
)
def test_what_the_engine_cannot_do_is_one_problem_with_its_path(
    deployment: dict[str, Any], fields: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(deployment, **fields)
    assert expected in problem
