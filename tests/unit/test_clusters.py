"""Logical cluster names: from configuration to one connection each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from modelfleet.clusters import Clusters
from modelfleet.errors import ConfigError

TOKEN = "t0ken-do-not-print"


def kubeconfig(*contexts: str) -> str:
    """Return a kubeconfig whose contexts lead to servers of their names."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": f"https://{name}:6443"}} for name in contexts
            ],
            "users": [{"name": "me", "user": {"token": TOKEN}}],
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": "me"}} for name in contexts
            ],
            "current-context": contexts[0],
        }
    )


@pytest.fixture
def ambient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("laptop", "lab"))
    monkeypatch.setenv("KUBECONFIG", str(path))
    yield path


async def server(clusters: Clusters, name: str) -> str:
    address = clusters.fleet(name).client.access.server
    await clusters.aclose()
    return address


async def test_unset_the_default_is_the_ambient_one(ambient: Path) -> None:
    assert await server(Clusters.configured(None), "default") == "https://laptop:6443"


@pytest.mark.parametrize(
    ("config", "address"),
    [
        pytest.param({"context": "lab"}, "https://lab:6443", id="a context of the ambient one"),
        pytest.param({}, "https://laptop:6443", id="the ambient one under a name"),
        pytest.param(None, "https://laptop:6443", id="a name and nothing else"),
        pytest.param({"kubeconfig": kubeconfig("eu")}, "https://eu:6443", id="as text"),
        pytest.param(
            {"kubeconfig": kubeconfig("eu", "us"), "context": "us"},
            "https://us:6443",
            id="a context of it",
        ),
    ],
)
async def test_a_name_stands_for_what_is_configured(
    ambient: Path, config: dict[str, str] | None, address: str
) -> None:
    assert await server(Clusters.configured(json.dumps({"prod": config})), "prod") == address


async def test_a_kubeconfig_may_be_a_path_and_default_may_be_configured_too(
    tmp_path: Path, ambient: Path
) -> None:
    path = tmp_path / "other"
    path.write_text(kubeconfig("eu"))
    text = json.dumps({"default": {"kubeconfig": str(path)}})
    assert await server(Clusters.configured(text), "default") == "https://eu:6443"


async def test_there_is_one_fleet_per_name(ambient: Path) -> None:
    clusters = Clusters.configured(json.dumps({"prod": {}}))
    assert clusters.fleet("prod") is clusters.fleet("prod")
    assert clusters.fleet("prod") is not clusters.fleet("default")
    assert clusters.names == {"prod"}
    await clusters.aclose()


def test_a_name_that_is_not_configured_is_refused_with_those_that_are(ambient: Path) -> None:
    clusters = Clusters.configured(json.dumps({"prod-eu": {}, "prod-us": {}}))
    with pytest.raises(ConfigError) as caught:
        clusters.fleet("prod-ue")
    assert str(caught.value) == (
        "cluster 'prod-ue' is not configured (known: default, prod-eu, prod-us). Set it with: "
        "pulumi config set --path 'modelfleet:clusters.prod-ue.context' <kubeconfig context>"
    )


def test_a_kubeconfig_that_cannot_be_used_is_told_by_the_clusters_name(ambient: Path) -> None:
    clusters = Clusters.configured(json.dumps({"prod": {"context": "elsewhere"}}))
    with pytest.raises(ConfigError, match=r"^cluster 'prod': .*elsewhere"):
        clusters.fleet("prod")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '"prod"',
        "1",
        '{"prod": "context"}',
        '{"prod": {"contxt": "a"}}',
        '{"prod": {"context": 1}}',
        json.dumps({"prod": {"kubeconfig": [kubeconfig("eu")]}}),
    ],
)
def test_anything_else_is_refused_with_the_way_to_set_it_and_without_its_content(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^modelfleet:clusters is not a map .* pulumi config set"
    ) as caught:
        Clusters.configured(text)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
