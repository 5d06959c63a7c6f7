"""Drift in a declaration's own words: what fields that others took mean there.

Dimensions: which field of which object x what declares it, if anything does x can the live value be
declared. Whose fields are taken is found in ``cluster.managed_fields``.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from declarations import FULL_RUNTIME, external, hosted

from modelfleet.cluster.field_paths import Key, Path
from modelfleet.cluster.managed_fields import Manager, Taken
from modelfleet.cluster.objects import (
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
    Ref,
)
from modelfleet.drift import Drift, drift_of
from modelfleet.spec.tree import with_values

KUBECTL = Manager("kubectl", "Update")
HELM = Manager("helm", "Apply")
REF = Ref(DEPLOYMENT, "models", "qwen")
ENGINE: Path = ("spec", "template", "spec", "containers", Key((("name", "engine"),)))


def drift(
    path: Path,
    live: Any,
    *,
    declaration: dict[str, Any] | None = None,
    ref: Ref = REF,
    by: tuple[Manager, ...] = (KUBECTL,),
) -> Drift:
    found = Taken(path, "declared", live, by)
    return drift_of(declaration or hosted(), taken=[(ref, found)], missing=[])


GPU = {"gpu": {"count": 2}}


@pytest.mark.parametrize(
    ("path", "live", "declaration", "field", "value"),
    [
        pytest.param(
            ("spec", "replicas"),
            3,
            hosted(),
            ("deployment", "replicas"),
            3,
            id="replicas",
        ),
        pytest.param(
            (*ENGINE, "image"),
            "x/y:2",
            hosted(),
            ("deployment", "images", "default"),
            "x/y:2",
            id="the image of a built-in engine",
        ),
        pytest.param(
            (*ENGINE, "image"),
            "x/y:2",
            hosted({"gpu": {"vendor": "amd"}, "images": {"amd": "x/y:1", "default": "x/z:1"}}),
            ("deployment", "images", "amd"),
            "x/y:2",
            id="the image of a vendor",
        ),
        pytest.param(
            (*ENGINE, "image"),
            "x/y:2",
            hosted({"cpu_architecture": "arm64", "images": {"cpu/arm64": "x/y:1", "cpu": "x/z:1"}}),
            ("deployment", "images", "cpu/arm64"),
            "x/y:2",
            id="the image of an architecture without GPUs",
        ),
        pytest.param(
            (*ENGINE, "image"),
            "x/y:2",
            hosted({"runtime": FULL_RUNTIME, "runtime_version": None}),
            ("deployment", "runtime", "image"),
            "x/y:2",
            id="the image of a runtime in full",
        ),
        pytest.param(
            (*ENGINE, "resources", "requests", "cpu"),
            "1500m",
            hosted(),
            ("deployment", "cpu"),
            1.5,
            id="cpu",
        ),
        pytest.param(
            (*ENGINE, "resources", "limits", "memory"),
            "24Gi",
            hosted(),
            ("deployment", "memory_gib"),
            24,
            id="memory",
        ),
        pytest.param(
            (*ENGINE, "resources", "requests", "memory"),
            "512Mi",
            hosted(),
            ("deployment", "memory_gib"),
            0.5,
            id="requested memory",
        ),
        pytest.param(
            (*ENGINE, "resources", "limits", "nvidia.com/gpu"),
            "4",
            hosted(GPU),
            ("deployment", "gpu", "count"),
            4,
            id="GPUs",
        ),
        pytest.param(
            ("spec", "template", "spec", "nodeSelector", "example.com/pool"),
            "b",
            hosted({"node_selector": {"example.com/pool": "a"}}),
            ("deployment", "node_selector", "example.com/pool"),
            "b",
            id="a node selector",
        ),
        pytest.param(
            (*ENGINE, "env", Key((("name", "A"),)), "value"),
            "9",
            hosted({"env": {"A": "1"}}),
            ("deployment", "env", "A"),
            "9",
            id="a variable",
        ),
        pytest.param(
            (*ENGINE, "env", Key((("name", "A"),)), "value"),
            None,
            hosted({"env": {"A": "1"}}),
            ("deployment", "env", "A"),
            None,
            id="a variable taken away",
        ),
    ],
)
def test_a_field_that_is_declared_is_told_by_its_declaration_with_its_live_value(
    path: Path, live: Any, declaration: dict[str, Any], field: tuple[str, ...], value: Any
) -> None:
    before = copy.deepcopy(declaration)
    found = drift(path, live, declaration=declaration)
    assert found.live == {field: value}
    assert len(found.sentences) == 1
    assert declaration == before


def test_the_size_of_a_claim_is_told_by_its_declaration() -> None:
    path: Path = ("spec", "resources", "requests", "storage")
    claim = Ref(PERSISTENT_VOLUME_CLAIM, "models", "qwen-cache-0123ab")
    declaration = hosted({"storage": {"kind": "pvc", "size_gib": 10}})
    found = drift(path, "40Gi", declaration=declaration, ref=claim)
    assert found.live == {("deployment", "storage", "size_gib"): 40}


@pytest.mark.parametrize(
    ("path", "live", "declaration", "told"),
    [
        pytest.param(
            ("spec", "replicas"),
            10_001,
            hosted(),
            "Deployment spec.replicas",
            id="too many replicas",
        ),
        pytest.param(
            (*ENGINE, "resources", "limits", "nvidia.com/gpu"),
            "0",
            hosted(GPU),
            "Deployment spec.template.spec.containers[name=engine].resources.limits.nvidia.com/gpu",
            id="no GPU",
        ),
        pytest.param(
            (*ENGINE, "resources", "requests", "cpu"),
            "plenty",
            hosted(),
            "Deployment spec.template.spec.containers[name=engine].resources.requests.cpu",
            id="no number",
        ),
        pytest.param(
            (*ENGINE, "env", Key((("name", "HF_HOME"),)), "value"),
            "/tmp",
            hosted({"env": {"A": "1"}}),
            "Deployment spec.template.spec.containers[name=engine].env[name=HF_HOME].value",
            id="a variable of the engine's own",
        ),
        pytest.param(
            (*ENGINE, "env", Key((("name", "A"),)), "valueFrom", "secretKeyRef", "name"),
            "other",
            hosted({"env": {"A": {"secret": "s/k"}}}),
            "Deployment spec.template.spec.containers[name=engine].env[name=A].valueFrom."
            "secretKeyRef.name",
            id="where a variable comes from",
        ),
        pytest.param(
            ("spec", "template", "spec", "nodeSelector", "nvidia.com/gpu.product"),
            "NVIDIA-L4",
            hosted(GPU),
            "Deployment spec.template.spec.nodeSelector.nvidia.com/gpu.product",
            id="a node selector that a GPU asks for",
        ),
        pytest.param(
            (*ENGINE, "args"),
            ["--model", "x"],
            hosted(),
            "Deployment spec.template.spec.containers[name=engine].args",
            id="the command line",
        ),
    ],
)
def test_what_cannot_be_declared_is_told_by_its_place(
    path: Path, live: Any, declaration: dict[str, Any], told: str
) -> None:
    found = drift(path, live, declaration=declaration)
    assert list(found.sentences) == [told]
    assert found.live == {}


@pytest.mark.parametrize("kind", [SERVICE, SECRET])
def test_fields_of_other_objects_are_told_by_kind_and_place(kind: Any) -> None:
    declaration = external() if kind is SECRET else hosted()
    found = drift(("spec", "replicas"), 3, ref=Ref(kind, "models", "qwen"), declaration=declaration)
    assert found.sentences == {f"{kind.kind} spec.replicas": "set to 3 by kubectl"}
    assert found.live == {}


@pytest.mark.parametrize(
    ("live", "by", "sentence"),
    [
        (3, (KUBECTL,), "set to 3 by kubectl"),
        (3, (KUBECTL, HELM), "set to 3 by helm, kubectl"),
        (3, (KUBECTL, Manager("kubectl", "Update", "scale")), "set to 3 by kubectl"),
        (3, (), "is 3"),
        (None, (KUBECTL,), "removed by kubectl"),
        (None, (), "removed"),
        (True, (HELM,), "set to true by helm"),
        ({"a": [1]}, (HELM,), 'set to {"a": [1]} by helm'),
        ("x" * 61, (HELM,), f"set to {'x' * 59}… by helm"),
        ("(secret)", (HELM,), "set to (secret) by helm"),
    ],
)
def test_a_sentence_says_what_was_done_and_by_whom(
    live: Any, by: tuple[Manager, ...], sentence: str
) -> None:
    found = drift(("spec", "paused"), live, by=by)
    assert list(found.sentences.values()) == [sentence]


def test_objects_that_are_missing_come_with_fields_that_were_taken_in_one_order() -> None:
    taken = [(REF, Taken(("spec", "replicas"), 1, 3, (KUBECTL,)))]
    missing = [Ref(SERVICE, "models", "qwen"), Ref(SECRET, "models", "qwen-env")]
    found = drift_of(hosted(), taken=taken, missing=missing)
    assert list(found.sentences.items()) == [
        ("Secret models/qwen-env", "is missing"),
        ("Service models/qwen", "is missing"),
        ("deployment.replicas", "set to 3 by kubectl"),
    ]


def test_no_drift_is_nothing() -> None:
    assert not drift_of(hosted(), taken=[], missing=[])
    assert drift_of(hosted(), taken=[], missing=[REF])


@pytest.mark.parametrize(
    ("tree", "values", "expected"),
    [
        ({}, {("a",): 1}, {"a": 1}),
        ({"a": {"b": 1}}, {("a", "c"): 2}, {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": 1}}, {("a", "b"): None}, {"a": {}}),
        ({"a": {"b": 1}}, {("a",): None}, {}),
        ({}, {("a", "b"): None}, {}),
        ({"a": 1}, {("a", "b"): 2}, {"a": {"b": 2}}),
        ({"a": {"b": 1}}, {}, {"a": {"b": 1}}),
    ],
)
def test_values_are_put_into_a_tree_and_taken_out_of_it(
    tree: dict[str, Any], values: dict[Any, Any], expected: dict[str, Any]
) -> None:
    before = copy.deepcopy(tree)
    assert with_values(tree, values) == expected
    assert tree == before
