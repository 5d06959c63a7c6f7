"""What of an owner's objects is left over, compared with what its state has.

Dimensions: does the state have the service x whose incarnation each of its objects is of.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from modelfleet import labels
from modelfleet.cluster.mirror import Key
from modelfleet.prune import orphans_of

KINDS = {
    "Secret": ("v1", "-env"),
    "NetworkPolicy": ("networking.k8s.io/v1", ""),
    "Service": ("v1", ""),
    "Deployment": ("apps/v1", ""),
    "External": ("v1", "-external"),
    "PersistentVolumeClaim": ("v1", "-cache-0123ab"),
    "PodDisruptionBudget": ("policy/v1", ""),
}


def obj(
    kind: str,
    incarnation: str | None,
    *,
    name: str = "qwen",
    secret_env: bool = False,
    disruption: bool = False,
) -> dict[str, Any]:
    """Return an object of a service; a primary one carries a record."""
    api_version, suffix = KINDS[kind]
    annotations = {} if incarnation is None else {labels.INCARNATION: incarnation}
    annotations[labels.OWNER] = "o"
    if kind in ("Deployment", "External"):
        content: dict[str, Any] = {"v": 1, "cluster_uid": "c", "incarnation": incarnation or ""}
        declared: dict[str, Any] = {"secret_env": {"A": ""}} if secret_env else {}
        spec = {"deployment": {**declared, **({"disruption": {}} if disruption else {})}}
        content |= {"schema_version": 1, "renderer_version": 1, "spec": spec}
        annotations[labels.RECORD] = json.dumps(content)
    return {
        "apiVersion": api_version,
        "kind": "Secret" if kind == "External" else kind,
        "metadata": {
            "name": f"{name}{suffix}",
            "namespace": "models",
            "labels": labels.object_labels(kind="ModelService", name=name, owner="o"),
            "annotations": annotations,
        },
    }


def mounting(incarnation: str, claim: str) -> dict[str, Any]:
    """Return a Deployment whose pods mount ``claim``."""
    volume = {"name": "cache", "persistentVolumeClaim": {"claimName": claim}}
    volumes = [{"name": "shm", "emptyDir": {}}, volume]
    return {
        **obj("Deployment", incarnation),
        "spec": {"template": {"spec": {"volumes": volumes}}},
    }


def whole(incarnation: str, *, name: str = "qwen") -> list[dict[str, Any]]:
    kinds = ("Deployment", "Service", "NetworkPolicy")
    return [obj(kind, incarnation, name=name) for kind in kinds]


def found(objects: list[dict[str, Any]], *known: str) -> list[str]:
    """Return the orphans, where the state has ``known`` incarnations of models/qwen, if any."""
    state = {Key("models", "ModelService", "qwen"): set(known)} if known else {}
    return [f"{each.incarnation}: {each}" for each in orphans_of(objects, known=state)]


def gateway(incarnation: str, *parts: str, **declared: Any) -> list[dict[str, Any]]:
    """Return the Deployment of the proxy gate, and ``parts`` as ``kind suffix@incarnation``."""
    content = {
        "v": 1,
        "cluster_uid": "c",
        "incarnation": incarnation,
        "schema_version": 1,
        "renderer_version": 1,
        "spec": declared,
    }
    volumes = [{"name": "files", "configMap": {"name": "gate-proxy-now"}}]
    primary = part("Deployment", "-proxy", incarnation)
    primary["metadata"]["annotations"][labels.RECORD] = json.dumps(content)
    primary["spec"] = {"template": {"spec": {"volumes": volumes}}}
    read = (re.fullmatch(r"(\w+) (\S+)@(\w+)", each) for each in parts)
    return [*(part(*each.groups()) for each in read if each), primary]


def part(kind: str, suffix: str, incarnation: str) -> dict[str, Any]:
    return {
        "apiVersion": {
            "Deployment": "apps/v1",
            "StatefulSet": "apps/v1",
            "NetworkPolicy": "networking.k8s.io/v1",
            "PodDisruptionBudget": "policy/v1",
        }.get(kind, "v1"),
        "kind": kind,
        "metadata": {
            "name": f"gate{suffix}",
            "namespace": "models",
            "labels": labels.object_labels(kind="ModelProxy", name="gate", owner="o"),
            "annotations": {labels.INCARNATION: incarnation, labels.OWNER: "o"},
        },
    }


def left_of(objects: list[dict[str, Any]]) -> list[str]:
    """Return the names of what is left over where the state has creation 1 of the proxy."""
    known = {Key("models", "ModelProxy", "gate"): {"1"}}
    return [ref.name for each in orphans_of(objects, known=known) for ref in each.refs]


def test_what_gateways_need_stays_though_an_interrupted_replacement_has_taken_it_over() -> None:
    taken = ("Secret -proxy@2", "ConfigMap -proxy-now@2", "Service -proxy@2")
    assert left_of(gateway("1", *taken)) == []
    redis = ("Secret -redis@2", "NetworkPolicy -redis@2", "StatefulSet -redis@2")
    assert left_of(gateway("1", *redis, redis={"managed": True})) == []
    assert left_of(gateway("1", "PodDisruptionBudget -proxy@2", replicas=2)) == []


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("ConfigMap -proxy-former@0", "gate-proxy-former"),
        ("PodDisruptionBudget -proxy@0", "gate-proxy"),
        ("Secret -redis@0", "gate-redis"),
        ("StatefulSet -redis@0", "gate-redis"),
    ],
)
def test_what_no_gateway_needs_is_left_over(part: str, name: str) -> None:
    assert left_of(gateway("1", part)) == [name]


def test_a_proxy_and_a_service_of_one_name_are_two_things() -> None:
    objects = [*gateway("1", "Secret -proxy@1"), *whole("2", name="gate")]
    known = {Key("models", "ModelService", "gate"): {"2"}}
    (orphan,) = orphans_of(objects, known=known)
    assert str(orphan) == (
        "ModelProxy models/gate (Secret models/gate-proxy, Deployment models/gate-proxy)"
    )


def test_a_service_that_the_state_does_not_have_is_left_over_whole_in_the_order_of_an_apply() -> (
    None
):
    assert found(whole("1")) == [
        "1: ModelService models/qwen (NetworkPolicy models/qwen, Service models/qwen, "
        "Deployment models/qwen)"
    ]


def test_a_record_that_somebody_has_spoilt_counts_as_one_with_secrets() -> None:
    primary = obj("Deployment", "1")
    primary["metadata"]["annotations"][labels.RECORD] = "{"
    assert found([obj("Secret", "0"), primary], "1") == []


def test_what_was_made_at_different_times_is_told_apart() -> None:
    objects = [obj("Secret", "1"), *whole("2"), *whole("3", name="other")]
    assert [(each.name, each.incarnation) for each in orphans_of(objects, known={})] == [
        ("other", "3"),
        ("qwen", "1"),
        ("qwen", "2"),
    ]


@pytest.mark.parametrize(
    ("objects", "known"),
    [
        pytest.param(whole("1"), ["1"], id="as the state says"),
        pytest.param(whole("1"), ["1", "2"], id="the state has two, one to be deleted"),
        pytest.param(whole("2"), ["1"], id="a create whose state was lost goes on next time"),
        pytest.param(whole("1")[1:], ["1"], id="the Deployment is gone"),
        pytest.param(
            [obj("Service", "2"), obj("NetworkPolicy", "2"), obj("Deployment", "1")],
            ["1"],
            id="a replacement was interrupted, and pods still need what it has taken over",
        ),
        pytest.param(
            [obj("Secret", "2"), obj("Deployment", "1", secret_env=True)],
            ["1"],
            id="the secrets that pods read too",
        ),
        pytest.param(
            [obj("PersistentVolumeClaim", "2"), mounting("1", "qwen-cache-0123ab")],
            ["1"],
            id="the claim that pods mount",
        ),
        pytest.param(
            [obj("PodDisruptionBudget", "2"), obj("Deployment", "1", disruption=True)],
            ["1"],
            id="the budget that is declared",
        ),
        pytest.param([obj("External", "1")], ["1"], id="external"),
        pytest.param([], ["1"], id="there is nothing"),
    ],
)
def test_what_the_state_has_is_not_left_over(
    objects: list[dict[str, Any]], known: list[str]
) -> None:
    assert found(objects, *known) == []


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param(
            [obj("Secret", "0"), *whole("1")],
            ["0: ModelService models/qwen (Secret models/qwen-env)"],
            id="secrets of an earlier creation that nobody reads",
        ),
        pytest.param(
            [obj("Secret", None), *whole("1")],
            [": ModelService models/qwen (Secret models/qwen-env)"],
            id="one that has lost its incarnation",
        ),
        pytest.param(
            [obj("External", "0"), *whole("1")],
            ["0: ModelService models/qwen (Secret models/qwen-external)"],
            id="it was external once",
        ),
        pytest.param(
            [obj("External", "1"), *whole("0")],
            [
                "0: ModelService models/qwen (NetworkPolicy models/qwen, Service models/qwen, "
                "Deployment models/qwen)"
            ],
            id="it was hosted once",
        ),
        pytest.param(
            [obj("PersistentVolumeClaim", "0"), mounting("1", "qwen-cache-other")],
            ["0: ModelService models/qwen (PersistentVolumeClaim models/qwen-cache-0123ab)"],
            id="a claim of an earlier creation that no pod mounts",
        ),
        pytest.param(
            [obj("PodDisruptionBudget", "0"), *whole("1")],
            ["0: ModelService models/qwen (PodDisruptionBudget models/qwen)"],
            id="a budget that is not declared any more",
        ),
        pytest.param(
            [obj("Service", "0")],
            ["0: ModelService models/qwen (Service models/qwen)"],
            id="half of an earlier one",
        ),
    ],
)
def test_of_a_service_that_the_state_has_other_creations_are_left_over(
    objects: list[dict[str, Any]], expected: list[str]
) -> None:
    assert found(objects, "1") == expected
