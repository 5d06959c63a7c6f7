"""From what runs back to what declares it: the same pods, by as few overrides as can be.

Dimensions: who made it (modelfleet, by record; anybody, by its pods) x what it runs.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from declarations import hosted_declarations as drawn
from hypothesis import given, settings

from modelfleet import labels
from modelfleet.cluster.objects import Object
from modelfleet.cluster.pod_defaults import template_differences, with_defaults, without_defaults
from modelfleet.cluster.records import Record
from modelfleet.dynamic_entry import model_proxy_provider
from modelfleet.errors import ConflictError
from modelfleet.importing import (
    Imported,
    foreign_declaration,
    program_of,
    recorded_declaration,
)
from modelfleet.importing.overrides import Target, overrides_between
from modelfleet.importing.recognition import recognised
from modelfleet.plan import plan, spec_of
from modelfleet.render import pod_template_of, record_spec_of
from modelfleet.render.deployment import strategy_of
from modelfleet.render.overrides import overridden
from modelfleet.resource_types import MODEL_PROXY
from modelfleet.service import Service
from modelfleet.spec.merge import merged
from modelfleet.spec.service import ModelServiceSpec

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests" / "golden" / "render").glob("*.input.yaml"))
EXAMPLE = ROOT / "examples" / "takeover"
MODEL = "mistralai/Mistral-7B-Instruct-v0.3"


hosted_declarations = drawn.filter(lambda declaration: not plan(declaration).problems)


def planned(declaration: Mapping[str, Any]) -> ModelServiceSpec:
    return spec_of(plan(declaration).inputs)


def running(spec: ModelServiceSpec) -> Object:
    """Return the Deployment of ``spec`` as if anybody had made it: without a record."""
    assert spec.deployment is not None
    name = spec.model_service_name
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": spec.namespace},
        "spec": {
            "replicas": spec.deployment.replicas,
            "strategy": strategy_of(spec.deployment),
            "selector": {"matchLabels": labels.selector(kind="ModelService", name=name)},
            "template": with_defaults(pod_template_of(spec)),
        },
    }


def made_of(container: Mapping[str, Any] | None = None, **pod: Any) -> Object:
    """Return a Deployment whose pods can stay, with one container."""
    engine = {"name": "engine", "image": "registry.example.com/engine:1", **(container or {})}
    pods = labels.selector(kind="ModelService", name="chat")
    template = {"metadata": {"labels": pods}, "spec": {"containers": [engine], **pod}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": "models"},
        "spec": {"selector": {"matchLabels": pods}, "template": template},
    }


def documented(name: str) -> Object:
    """Return the Deployment of a manifest beside the example."""
    objects = yaml.safe_load_all((EXAMPLE / name).read_text())
    found: Object = next(each for each in objects if each["kind"] == "Deployment")
    found["metadata"]["namespace"] = "models"
    return found


def assert_pods_stay(imported: Imported, live: Object) -> None:
    template = pod_template_of(planned(imported.declaration))
    assert list(template_differences(template, live["spec"]["template"])) == []
    assert not [note for note in imported.notes if "replaces its pods" in note]


# What anybody made


@given(hosted_declarations)
@settings(max_examples=10, deadline=None)
def test_what_modelfleet_renders_is_recognised_without_its_record(
    declaration: dict[str, Any],
) -> None:
    deployment = {**declaration["deployment"], "secret_env": {}}
    spec = planned({**declaration, "deployment": deployment})
    live = running(spec)

    imported = foreign_declaration(live)

    assert_pods_stay(imported, live)
    found = planned(imported.declaration).deployment
    assert found is not None
    assert spec.deployment is not None
    assert found.replicas == spec.deployment.replicas
    assert strategy_of(found) == strategy_of(spec.deployment)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if not case.name.startswith("external-")],  # those have no pods
    ids=lambda path: path.name.split(".")[0],
)
def test_every_rendered_case_is_recognised_without_its_record(case: Path) -> None:
    spec = rendered_case(case)
    assert_pods_stay(foreign_declaration(running(spec)), running(spec))


@pytest.mark.parametrize(
    "name",
    ["amd", "cached-on-a-claim", "embedding-from-a-claim", "everything-hosted", "model-in-an-image",
     "recreated", "runtime-in-full", "sglang", "sglang-amd", "smallest-hosted", "stopped",
     "tei-on-cpus", "vllm-that-does-not-drain"],
)  # fmt: skip
def test_what_fields_say_needs_no_override(name: str) -> None:
    spec = rendered_case(ROOT / "tests" / "golden" / "render" / f"{name}.input.yaml")
    imported = foreign_declaration(running(spec))
    assert "pod_overrides" not in imported.declaration["deployment"]


def rendered_case(case: Path) -> ModelServiceSpec:
    """Return a golden case without the hash of its secrets, which only its record explains."""
    declared = yaml.safe_load(case.read_text())
    (declared.get("deployment") or {}).pop("secret_env", None)
    return planned(declared)


def test_what_vllm_documents_can_be_taken_over_once_it_is_labelled_and_called_so() -> None:
    live = documented("ready-to-adopt.yaml")

    imported = foreign_declaration(live)

    assert imported.obstacles == ()
    assert_pods_stay(imported, live)
    declared = imported.declaration
    assert declared["adopt"] is True
    deployment = declared["deployment"]
    assert deployment["model"] == {"uri": f"hf://{MODEL}"}
    assert deployment["gpu"] == {"count": 1}
    assert deployment["env"] == {"HUGGING_FACE_HUB_TOKEN": {"secret": "hf-token-secret/token"}}
    assert deployment["runtime"]["name"] == "vllm"
    assert "from then on pods of its namespace and proxies reach it" in imported.notes[0]
    assert "it runs vllm by a command line of its own" in imported.notes[1]
    assert imported.notes[2].startswith(f"callers have to go on sending the model {MODEL}: ")


def test_what_vllm_documents_word_for_word_is_declared_as_a_new_service_beside_it() -> None:
    live = documented("vllm-documentation.yaml")

    imported = foreign_declaration(live)

    assert imported.obstacles == (
        "it selects pods by app=mistral-7b, modelfleet's Deployments by "
        "modelfleet.dev/kind=ModelService, modelfleet.dev/name=mistral-7b",
        "its container is called mistral-7b, modelfleet's engine",
    )
    assert imported.name == "mistral-7b-next"
    assert "adopt" not in imported.declaration
    template = pod_template_of(planned(imported.declaration))
    assert "app" not in template["metadata"]["labels"], "the old Deployment would select its pods"
    [engine] = template["spec"]["containers"]
    [theirs] = live["spec"]["template"]["spec"]["containers"]
    assert (
        with_defaults(template)["spec"]["volumes"]
        == (with_defaults(live["spec"]["template"])["spec"]["volumes"])
    )
    for field in ("image", "command", "args", "env"):
        assert engine[field] == theirs[field]


def test_a_built_in_engine_is_declared_by_its_fields_where_it_writes_what_runs() -> None:
    deployment = {
        "model": {"uri": f"hf://{MODEL}", "revision": "main"},
        "runtime_version": "v0.30.0",
        "gpu": {"product": "NVIDIA-L4", "count": 2},
        "max_model_len": 8192,
        "args": {"max-num-seqs": 64, "enforce-eager": True},
        "shm_gib": 8,
        "drain_seconds": 30,
        "startup_seconds": 600,
        "service_account": "models",
    }
    declared = {"model_service_name": "chat", "namespace": "models", "deployment": deployment}
    further = {"provider_settings": {"model_names": ["gpt"]}}

    imported = foreign_declaration(running(planned({**declared, **further})))

    assert imported.declaration == {"adopt": True, **declared, **further}


@pytest.mark.parametrize(
    ("container", "engine", "model"),
    [
        ({"command": ["vllm", "serve", MODEL]}, "vllm", MODEL),
        ({"image": "vllm/vllm-openai:v0.8.0", "args": ["--model", MODEL]}, "vllm", MODEL),
        ({"command": ["sh", "-c"], "args": [f"exec vllm serve {MODEL} --x 1"]}, "vllm", MODEL),
        (
            {"command": ["python3", "-m", "sglang.launch_server", f"--model-path={MODEL}"]},
            "sglang",
            MODEL,
        ),
        ({"command": ["/app/llama-server"], "args": ["-hf", MODEL]}, "llama.cpp", MODEL),
        (
            {"image": "ghcr.io/ggml-org/llama.cpp:server-cuda", "args": ["-m", "/m/a.gguf"]},
            "llama.cpp",
            "/m/a.gguf",
        ),
        (
            {
                "image": "ghcr.io/huggingface/text-generation-inference:3.3.5",
                "env": [{"name": "MODEL_ID", "value": MODEL}],
            },
            "tgi",
            MODEL,
        ),
        ({"image": "ollama/ollama:0.9.0"}, "ollama", ""),
        (
            {
                "image": "ghcr.io/huggingface/text-embeddings-inference:1.8",
                "args": ["--model-id", MODEL],
            },
            "tei",
            MODEL,
        ),
        ({"image": "registry.example.com/own:1", "args": ["--model", MODEL]}, "", ""),
    ],
)
def test_engines_are_recognised_by_command_or_image(
    container: dict[str, Any], engine: str, model: str
) -> None:
    found = recognised({"image": "registry.example.com/any:1", **container})
    assert (found.engine, found.model) == (engine, model)


def test_every_field_that_pods_have_is_found_again_without_an_override() -> None:
    live = made_of(
        {
            "ports": [{"containerPort": 8000, "name": "http"}],
            "env": [
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "A", "value": "1"},
            ],
            "resources": {"limits": {"memory": "48Gi", "amd.com/gpu": "2"}},
        },
        nodeSelector={"amd.com/gpu.product-name": "MI300X", "pool": "a", "kubernetes.io/arch": "x"},
        tolerations=[{"key": "spot", "operator": "Exists"}],
        priorityClassName="high",
        runtimeClassName="amd",
        serviceAccountName="models",
    )

    imported = foreign_declaration(live)

    assert_pods_stay(imported, live)
    deployment = imported.declaration["deployment"]
    assert deployment["gpu"] == {"vendor": "amd", "count": 2, "product": "MI300X"}
    assert deployment["memory_gib"] == 48
    assert deployment["node_selector"]["pool"] == "a"
    assert deployment["env"]["B"] == {"secret": "s/k"}
    [patch] = deployment["pod_overrides"]["spec"]["containers"]
    assert {"name": "A", "value": "1"} in patch["env"], "variables stay in their order"
    assert {"$patch": "replace"} not in patch["env"], "or what is declared would be hidden"
    for field, value in (("priority_class", "high"), ("runtime_class_name", "amd")):
        assert deployment[field] == value


def test_what_no_field_says_becomes_an_override_and_the_order_of_what_has_one_is_kept() -> None:
    live = made_of(
        {
            "env": [{"name": "Z", "value": "1"}, {"name": "A", "value": "$(Z)"}],
            "workingDir": "/srv",
            "livenessProbe": {"exec": {"command": ["true"]}},
        },
        hostNetwork=True,
        initContainers=[{"name": "before", "image": "busybox:1"}],
        volumes=[{"name": "cache", "configMap": {"name": "own"}}],
    )
    live["spec"]["template"]["spec"]["containers"].append({"name": "beside", "image": "proxy:1"})
    imported = foreign_declaration(live)
    assert_pods_stay(imported, live)


def test_what_cannot_be_declared_at_all_is_told_before_pods_are_lost() -> None:
    pods = made_of()
    pods["spec"]["template"]["metadata"]["annotations"] = {"modelfleet.dev/own": "1"}
    imported = foreign_declaration(pods)
    assert imported.notes[0] == (
        "taking it over replaces its pods, for metadata.annotations cannot be declared as it is"
    )


def test_helm_and_a_service_of_another_kind_are_told() -> None:
    live = made_of()
    live["metadata"]["annotations"] = {"meta.helm.sh/release-name": "chat"}
    beside = {"spec": {"type": "LoadBalancer", "ports": [{"port": 8080}, {"port": 80}]}}
    notes = foreign_declaration(live, service=beside).notes
    assert notes[0].startswith("it is part of the Helm release chat: ")
    assert notes[1:3] == (
        "its Service listens on port 8080, modelfleet's on port 80",
        "its Service is a LoadBalancer, modelfleet's a ClusterIP",
    )


# Overrides


@given(hosted_declarations, hosted_declarations)
@settings(max_examples=25, deadline=None)
def test_overrides_between_two_templates_make_the_one_the_other(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    rendered, live = (pod_template_of(planned(each)) for each in (one, other))
    patch = overrides_between(rendered, Target.of(live))
    assert list(template_differences(overridden(rendered, patch), live)) == []
    assert overrides_between(live, Target.of(live)) == {}


def test_what_the_server_adds_is_left_out_and_added_again() -> None:
    template = pod_template_of(planned(_CHAT))
    short = without_defaults(with_defaults(template))
    assert with_defaults(short) == with_defaults(template)
    assert "terminationMessagePath" not in str(short)


_CHAT: dict[str, Any] = {
    "model_service_name": "chat",
    "deployment": {
        "model": {"uri": "hf://org/model"},
        "runtime": {"name": "own", "image": "registry.example.com/own:1"},
    },
}


# What modelfleet made


def record(declaration: Mapping[str, Any], **spec: Any) -> Record:
    declared = record_spec_of(planned(declaration))
    return Record(
        kind="ModelService",
        name="chat",
        namespace="models",
        owner="acme/fleet/prod",
        urn="",
        incarnation="1",
        cluster_uid="",
        spec={**declared, **spec},
        schema_version=1,
        renderer_version=1,
    )


_PRIMARY = made_of()


@given(hosted_declarations)
@settings(max_examples=25, deadline=None)
def test_a_record_is_imported_as_the_declaration_that_made_it(declaration: dict[str, Any]) -> None:
    imported = recorded_declaration(_PRIMARY, record(declaration), owner=None)
    again = planned(imported.declaration)
    assert pod_template_of(again) == pod_template_of(planned(declaration))
    assert "adopt" not in imported.declaration


def test_another_owner_has_to_adopt_it() -> None:
    kept = recorded_declaration(_PRIMARY, record(_CHAT), owner="acme/fleet/prod")
    taken = recorded_declaration(_PRIMARY, record(_CHAT), owner="acme/other/prod")
    assert "adopt" not in kept.declaration
    assert taken.declaration == {**kept.declaration, "adopt": True}
    assert taken.source == "ModelService models/chat"


def test_defaults_need_not_be_said() -> None:
    said = {"replicas": 1, "shm_gib": 2.0, "strategy": {"type": "rolling"}, "gpu": {"count": 1}}
    declared = merged(_CHAT, {"deployment": said, "wait": {"until": "available"}})
    imported = recorded_declaration(_PRIMARY, record(declared), owner=None)
    deployment = {**_CHAT["deployment"], "gpu": {"count": 1}}
    assert imported.declaration == {**_CHAT, "namespace": "default", "deployment": deployment} or (
        imported.declaration == {**_CHAT, "deployment": deployment}
    )


def test_a_record_of_another_release_that_cannot_be_read_says_where() -> None:
    with pytest.raises(ConflictError, match="declares what this modelfleet does not know") as told:
        recorded_declaration(_PRIMARY, record(_CHAT, of_tomorrow=1), owner=None)
    assert "of_tomorrow" in str(told.value)


# Programs


def test_secrets_are_asked_for_and_never_printed() -> None:
    declared = merged(_CHAT, {"deployment": {"secret_env": {"API_TOKEN": "hush"}}})
    text = program_of(recorded_declaration(_PRIMARY, record(declared), owner=None))
    assert "hush" not in text
    assert "#   pulumi config set --secret chat_api_token\n" in text
    assert '"secret_env": {"API_TOKEN": config.require_secret("chat_api_token")},' in text


@pytest.mark.parametrize("name", ["ready-to-adopt.yaml", "vllm-documentation.yaml"])
def test_a_program_is_laid_out_as_ruff_does(name: str, tmp_path: Path) -> None:
    text = program_of(foreign_declaration(documented(name)))
    quotes = program_of(
        Imported(
            {
                "model_service_name": "chat",
                "description": 'it\'s "so"',
                "tags": {
                    "a": 'say "x"',
                    "b": "it's",
                    "c": "back\\slash\n",
                    "d": "x" * 90,
                    "e": "x " * 90,
                },
            },
            source="Deployment models/chat",
        )
    )
    for at, each in enumerate((text, quotes)):
        (tmp_path / f"program{at}.py").write_text(each)
        compile(each, "program", "exec")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_importing_changes_nothing_of_what_it_is_given() -> None:
    live = documented("ready-to-adopt.yaml")
    before = copy.deepcopy(live)
    foreign_declaration(live)
    assert live == before


# Proxies


PROXIES = sorted((ROOT / "tests" / "golden" / "render-proxy").glob("*.input.yaml"))


@pytest.mark.parametrize("case", PROXIES, ids=lambda path: path.name.split(".")[0])
def test_a_proxy_that_is_imported_has_the_same_pods_and_no_key(case: Path) -> None:
    declared = yaml.safe_load(case.read_text())
    keys = [each["key"] for each in (declared.get("api_keys") or {}).values() if "key" in each]
    spec = MODEL_PROXY.model.model_validate(plan(declared, of=MODEL_PROXY).inputs)
    record = Record(
        kind="ModelProxy",
        name=spec.name,
        namespace=spec.namespace,
        owner="acme",
        urn="",
        incarnation="i",
        cluster_uid="c",
        spec=MODEL_PROXY.record_spec_of(spec),
        schema_version=1,
        renderer_version=1,
    )
    metadata = {"name": f"{spec.name}-proxy", "namespace": spec.namespace}
    live = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}

    imported = recorded_declaration(live, record, owner="acme")

    found = MODEL_PROXY.model.model_validate(imported.declaration)
    hashes = [MODEL_PROXY.template_hash(each, renderer_version=1) for each in (spec, found)]
    assert hashes[0] == hashes[1]
    program = program_of(imported)
    assert program.count("require_secret") == len(keys)
    assert not any(key in program for key in keys)
    provider: Any = model_proxy_provider()
    service = Service(spec.namespace, spec.name, "READY", owner="acme")
    entry = provider.imported(imported.declaration, service=service, renderer_version=1)
    assert entry["inputs"]["pod_template_hash"] == hashes[0]
    assert entry["inputs"]["access_names"]
    assert not any(key in str(entry) for key in keys)
