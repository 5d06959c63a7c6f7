"""Overrides of the pod template: a strategic merge patch as Kubernetes does it, applied last."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelfleet import labels
from modelfleet.render import Identity, objects_of, pod_template_hash, pod_template_of
from modelfleet.render.overrides import overridden
from modelfleet.spec import ModelServiceSpec

DELETE = {"$patch": "delete"}

BASE: dict[str, Any] = {
    "metadata": {"labels": {"own": "1"}},
    "spec": {
        "containers": [
            {
                "name": "engine",
                "image": "a:1",
                "args": ["x", "y"],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
                "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
            }
        ],
        "volumes": [{"name": "cache", "emptyDir": {}}, {"name": "shm", "emptyDir": {}}],
        "tolerations": [{"key": "a"}],
        "priorityClassName": "high",
    },
}


def engine(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "engine", **fields}]}}


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """Return the base with ``value`` at ``path``; nothing there where it is None."""
    result: Any = copy.deepcopy(BASE)
    *above, last = path
    inner = result
    for step in above:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return dict(result)


CONTAINER = ("spec", "containers", 0)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        pytest.param({}, BASE, id="nothing"),
        pytest.param(
            {"metadata": {"labels": {"team": "a"}}},
            changed("metadata", "labels", value={"own": "1", "team": "a"}),
            id="maps are merged",
        ),
        pytest.param(
            {"spec": {"terminationGracePeriodSeconds": 8.0}},
            changed("spec", "terminationGracePeriodSeconds", value=8),
            id="whole numbers have no fraction",
        ),
        pytest.param(
            {"spec": {"priorityClassName": None}},
            changed("spec", "priorityClassName", value=None),
            id="null takes away",
        ),
        pytest.param(
            {"spec": {"priorityClassName": DELETE}},
            changed("spec", "priorityClassName", value=None),
            id="delete takes a value away",
        ),
        pytest.param(
            {"spec": {"tolerations": [{"key": "b"}]}},
            changed("spec", "tolerations", value=[{"key": "b"}]),
            id="a list without a key is replaced whole",
        ),
        pytest.param(engine(image="b:2"), changed(*CONTAINER, "image", value="b:2"), id="by name"),
        pytest.param(
            engine(args=["z"]), changed(*CONTAINER, "args", value=["z"]), id="args are one value"
        ),
        pytest.param(
            engine(env=[{"name": "C", "value": "3"}, {"name": "A", "value": "0"}]),
            changed(
                *CONTAINER,
                "env",
                value=[
                    {"name": "A", "value": "0"},
                    {"name": "B", "value": "2"},
                    {"name": "C", "value": "3"},
                ],
            ),
            id="what is there keeps its place",
        ),
        pytest.param(
            engine(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]),
            changed(
                *CONTAINER,
                "env",
                0,
                value={"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
            ),
            id="a variable has one source",
        ),
        pytest.param(
            engine(env=[{"name": "A", "$patch": "delete"}]),
            changed(*CONTAINER, "env", value=[{"name": "B", "value": "2"}]),
            id="delete takes an element away",
        ),
        pytest.param(
            engine(env=[{"$patch": "replace"}, {"name": "C", "value": "3"}]),
            changed(*CONTAINER, "env", value=[{"name": "C", "value": "3"}]),
            id="replace begins anew",
        ),
        pytest.param(
            engine(ports=[{"containerPort": 8000.0, "name": "web"}, {"containerPort": 9000}]),
            changed(
                *CONTAINER,
                "ports",
                value=[
                    {"name": "web", "containerPort": 8000, "protocol": "TCP"},
                    {"protocol": "TCP", "containerPort": 9000},
                ],
            ),
            id="ports by number and protocol",
        ),
        pytest.param(
            engine(ports=[{"containerPort": 8000, "protocol": "UDP"}]),
            changed(
                *CONTAINER,
                "ports",
                value=[
                    {"name": "http", "containerPort": 8000, "protocol": "TCP"},
                    {"containerPort": 8000, "protocol": "UDP"},
                ],
            ),
            id="the same port of another protocol is another",
        ),
        pytest.param(
            engine(volumeMounts=[{"mountPath": "/cache", "name": "other"}]),
            changed(*CONTAINER, "volumeMounts", 0, value={"name": "other", "mountPath": "/cache"}),
            id="mounts by path",
        ),
        pytest.param(
            {"spec": {"volumes": [{"name": "cache", "hostPath": {"path": "/a"}}]}},
            changed("spec", "volumes", 0, value={"name": "cache", "hostPath": {"path": "/a"}}),
            id="a volume has one source",
        ),
        pytest.param(
            {"spec": {"volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}]}},
            changed("spec", "volumes", 1, value={"name": "shm", "emptyDir": {"medium": "Memory"}}),
            id="the same source is merged",
        ),
        pytest.param(
            {"spec": {"initContainers": [{"name": "first", "image": "i:1", "command": None}]}},
            changed("spec", "initContainers", value=[{"name": "first", "image": "i:1"}]),
            id="what was not there is added",
        ),
        pytest.param(
            engine(resources={"$patch": "replace", "limits": {"a": 1.0}}),
            changed(*CONTAINER, "resources", value={"limits": {"a": 1}}),
            id="replace of a map",
        ),
    ],
)
def test_a_patch_is_merged_as_kubernetes_merges_it(
    patch: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = copy.deepcopy(BASE), copy.deepcopy(patch)
    assert overridden(BASE, patch) == expected
    assert (BASE, patch) == before


def spec_with(overrides: dict[str, Any], **deployment: Any) -> ModelServiceSpec:
    return ModelServiceSpec.model_validate(
        {
            "model_service_name": "qwen",
            "deployment": {
                "model": {"uri": "hf://org/model"},
                "gpu": {},
                "pod_overrides": overrides,
                **deployment,
            },
        }
    )


def test_overrides_are_part_of_the_pod_template_and_of_its_hash() -> None:
    plain, patched = spec_with({}), spec_with({"spec": {"hostNetwork": True}})
    assert pod_template_of(patched)["spec"]["hostNetwork"] is True
    assert pod_template_hash(plain) != pod_template_hash(patched)


def test_selector_and_secret_hash_survive_overrides_of_the_metadata() -> None:
    metadata = {"labels": {"team": "a"}, "annotations": {"note": "b"}}
    spec = spec_with({"metadata": metadata}, secret_env={"TOKEN": "hush"})
    identity = Identity(owner="o/p/s", urn=None, incarnation="1", cluster_uid="c")
    *_, deployment = objects_of(spec, identity=identity, hash_key=b"key")
    found = deployment["spec"]["template"]["metadata"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= found["labels"].items()
    assert found["labels"]["team"] == "a"
    assert found["annotations"].keys() == {"note", labels.SECRET_HASH}
