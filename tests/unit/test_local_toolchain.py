"""Pins, cache keys, and which programs of a user's own are used."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from modelfleet.local import stages, tools
from modelfleet.local.builds import binary_name
from modelfleet.local.nodes import BEHAVIOUR_LABEL
from modelfleet.local.status import node_groups
from modelfleet.local.toolchain import (
    ETCD,
    FAMILIES,
    KUBERNETES,
    NODE_FAMILIES,
    PULUMI,
    Family,
    fits,
    pinned_version,
)


@pytest.mark.parametrize("family", [*FAMILIES, *NODE_FAMILIES], ids=lambda family: family.name)
def test_every_family_ships_its_pins_with_checksums_and_its_tools(family: Family) -> None:
    go_mod = (family.pins / "go.mod").read_text()
    assert family.version.startswith("v")
    assert (family.pins / "go.sum").stat().st_size > 0
    for package in family.packages.values():
        assert f"\t{package}\n" in go_mod or f"tool {package}\n" in go_mod


@pytest.mark.parametrize(
    "go_mod", ["require a.b/c v1.2.3\n", "require (\n\ta.b/c v1.2.3 // indirect\n)\n"]
)
def test_a_version_is_read_from_go_mod(go_mod: str) -> None:
    assert pinned_version(go_mod, module="a.b/c") == "v1.2.3"
    with pytest.raises(LookupError):
        pinned_version(go_mod, module="a.b")


def test_other_pins_are_another_build(tmp_path: Path) -> None:
    family = Family("tool", module="a.b/c", packages={"tool": "a.b/c"}, root=tmp_path)
    family.pins.mkdir()
    (family.pins / "go.mod").write_text("require a.b/c v1.2.3\n")
    (family.pins / "go.sum").write_text("")
    first = family.cache_key
    assert first == family.cache_key
    (family.pins / "go.sum").write_text("a.b/d v1.0.0 h1:x=\n")
    assert family.cache_key != first


def test_kubernetes_is_told_its_version() -> None:
    flags = KUBERNETES.linker_flags
    assert f"-X k8s.io/component-base/version.gitVersion={KUBERNETES.version}" in flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=36" in flags


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("example.com/v2tool", "v2tool"),
    ],
)
def test_a_binary_is_named_as_go_names_it(package: str, name: str) -> None:
    assert binary_name(package) == name


@pytest.mark.parametrize(
    ("reported", "family", "usable"),
    [
        ("v3.200.0", PULUMI, True),
        ("v3.259.0\n", PULUMI, True),
        ("v3.199.0", PULUMI, False),
        ("v4.0.0", PULUMI, False),
        ("Kubernetes v1.36.3", KUBERNETES, True),
        ("Kubernetes v1.32.4-dispatcher", KUBERNETES, False),
        ("etcd Version: 3.6.5\nGit SHA: x", ETCD, True),
        ("no version", PULUMI, False),
    ],
)
def test_a_users_own_program_is_used_in_a_version_that_fits(
    reported: str, family: Family, usable: bool
) -> None:
    assert fits(reported, family=family) is usable


def put_on_path(folder: Path, family: Family, *, version: str) -> None:
    for name in family.programs:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)


def test_a_family_on_path_is_used_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    put_on_path(tmp_path, KUBERNETES, version="v1.35.0")
    put_on_path(tmp_path, PULUMI, version="v3.250.0")
    (tmp_path / "pulumi-language-python").unlink()
    assert tools.own_programs() == {name: tmp_path / name for name in KUBERNETES.programs}


def test_what_we_built_ourselves_is_not_taken_for_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, folder = tmp_path / "modelfleet", tmp_path / "bin"
    cache.mkdir()
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(folder))
    put_on_path(cache, ETCD, version="3.6.5")
    (folder / "etcd").symlink_to(cache / "etcd")
    assert tools.own_programs() == {}


def test_pods_that_ask_for_a_behaviour_are_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(
        yaml.safe_dump_all(
            [
                stage("ready", {"statusTemplate": "phase: Running"}),
                stage("gone", {"delete": True}),
            ]
        )
    )
    documents = list(yaml.safe_load_all(stages.kwok_configuration(built_in=tmp_path)))
    ready, gone = documents[:2]
    excluded = {"key": f'.spec.nodeSelector["{BEHAVIOUR_LABEL}"]', "operator": "DoesNotExist"}
    assert excluded in ready["spec"]["selector"]["matchExpressions"]
    assert excluded not in gone["spec"]["selector"]["matchExpressions"]
    assert documents[-1]["kind"] == "ClusterLogs"


def stage(name: str, then: dict[str, object]) -> dict[str, object]:
    return {
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"kind": "Pod"},
            "selector": {"matchExpressions": []},
            "next": then,
        },
    }


def test_gpus_in_use_are_those_of_pods_that_still_hold_them() -> None:
    node = {
        "metadata": {
            "name": "n",
            "labels": {"node.kubernetes.io/instance-type": "k", "modelfleet.local/pool": "fleet"},
        },
        "status": {
            "capacity": {"cpu": "1", "nvidia.com/gpu": "8"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    limits = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    pods = [
        {"spec": {"nodeName": "n", "containers": [limits]}, "status": {"phase": phase}}
        for phase in ("Running", "Pending", "Succeeded", "Failed")
    ]
    (group,) = node_groups([node], pods)
    assert (group.nodes, group.ready, group.gpus, group.gpus_in_use) == (1, 1, 8, 4)
