"""``modelfleet serve``: what it refuses before it listens, and what it prints instead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelfleet.adapters.query_api import manifests, rights
from modelfleet.adapters.query_api.account_file import accounts_in
from modelfleet.adapters.query_api.passwords import PasswordHash, sha512_of
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.labels import MANAGED_BY
from modelfleet.main import app

DOCS = Path(__file__).parents[2] / "docs"
IMAGE = "registry.example.com/modelfleet:1"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["serve", *arguments])


def printed(*arguments: str) -> dict[str, dict[str, Any]]:
    """Return the objects that are printed, by kind."""
    result = run("--manifests", "--image", IMAGE, *arguments)
    assert result.exit_code == 0, result.output
    return {obj["kind"]: obj for obj in yaml.safe_load_all(result.stdout)}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Nobody could call without --accounts"),
        (["--host", "0.0.0.0"], "would travel in the clear to 0.0.0.0"),  # noqa: S104
        (["--host", "::"], "would travel in the clear to ::"),
        (["--host", "models.example.com"], "would travel in the clear"),
        (["--tls-cert", "tls.crt"], "--tls-cert and --tls-key belong together"),
        (["--tls-cert", "no", "--tls-key", "no"], "cannot be read"),
        (["--accounts", "/no/such/file"], "accounts file /no/such/file: cannot be read"),
        (["--port", "70000"], "--port: Input should be less than or equal to 65535"),
        (["--account-rate", "0", "--sessions", "0"], "--account-rate: "),
        (["--public-address", "models.example.com"], "--public-address: "),
        (["--manifests"], "--manifests needs --image"),
        (["--account", "a b"], "accounts[0].name"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_cannot_be_or_is_not_safe_is_refused_by_the_option(
    arguments: list[str], told: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert told in str(result.exception)


def test_the_page_on_the_apis_tells_of_every_limit_that_can_be_set_with_its_default() -> None:
    page = (DOCS / "http-api.md").read_text()
    table = page.partition("## Limits")[2].partition("\n## ")[0]
    elsewhere = {"host", "port", "cluster", "tls_cert", "tls_key", "insecure_http", "accounts"}
    elsewhere |= {"public_address", "read_only", "behind"}
    for name in set(Settings.model_fields) - elsewhere:
        assert f"`--{name.replace('_', '-')}`" in table, name
    said = Settings()
    assert said.inference_body_bytes == 64 * 1024 * 1024 and "64 MiB" in table
    assert said.body_bytes == 1024 * 1024 and "1 MiB" in table
    for number in (said.account_rate, said.address_rate, said.concurrency, said.sessions):
        assert f"{number:.0f}" in table


def test_it_explains_itself_and_its_exit_codes() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    assert "Exit codes: 0 fine, 1 failed" in " ".join(shown.output.split())


def test_accounts_that_are_wrong_keep_it_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "accounts.yaml"
    path.write_text("accounts: [{name: ci, passwort: x}]")
    assert "accounts[0].passwort: is no such field" in str(run("--accounts", str(path)).exception)


def test_a_new_account_is_an_entry_with_secrets_that_are_said_once() -> None:
    result = run("--account", "ci", "-n", "models", "--workspace", "a", "--workspace", "b")
    forms = accounts_in(f"accounts:\n{result.stdout}".encode(), source="the output")
    (form,) = forms.accounts
    assert (form.name, form.namespace, form.workspaces, form.may_write) == (
        "ci",
        "models",
        ("a", "b"),
        True,
    )
    password = re.search(r"said this once: (\S+)", result.stderr)
    assert password and len(password[1]) >= 24
    assert password[1] not in result.stdout
    assert form.password_hash
    assert PasswordHash.read(form.password_hash).fits(sha512_of(password[1]))
    assert form.access_keys[0].secret in result.stderr


def test_a_new_account_may_not_write_where_that_is_asked() -> None:
    assert "may_write: false" in run("--account", "ci", "--read-only").stdout


def test_a_new_account_reads_credentials_only_where_that_is_asked() -> None:
    assert "may_read_credentials: true" in run("--account", "ci", "--may-read-credentials").stdout
    assert "may_read_credentials" not in run("--account", "ci").stdout


def test_the_manifests_are_of_the_namespace_and_the_image_that_are_named() -> None:
    objects = printed("--namespace", "platform")
    assert set(objects) == {
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Secret",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "Deployment",
    }
    namespaced = [each for each in objects.values() if not each["kind"].startswith("Cluster")]
    assert {each["metadata"]["namespace"] for each in namespaced} == {"platform"}
    assert objects["ClusterRoleBinding"]["subjects"][0]["namespace"] == "platform"
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE


def test_the_manifests_hold_no_credentials_and_leave_filled_in_secrets_alone() -> None:
    secret = printed()["Secret"]
    assert "data" not in secret and "stringData" not in secret


def test_none_of_the_manifests_passes_for_an_object_of_the_fleet() -> None:
    objects = printed()
    template = objects["Deployment"]["spec"]["template"]
    for each in (*objects.values(), template):
        assert MANAGED_BY not in each["metadata"].get("labels", {})
        assert not any(key.startswith("modelfleet.dev/") for key in each["metadata"]["labels"])


@pytest.mark.parametrize(
    ("arguments", "ports"),
    [([], [443, 6443]), (["--api-server-port", "16443"], [16443])],
    ids=lambda each: " ".join(map(str, each)),
)
def test_the_pod_may_talk_to_an_api_server_on_a_usual_port_or_on_the_one_that_is_said(
    arguments: list[str], ports: list[int]
) -> None:
    to_ports, _ = printed(*arguments)["NetworkPolicy"]["spec"]["egress"]
    assert [each["port"] for each in to_ports["ports"] if each["port"] != 53] == ports


@pytest.mark.parametrize("is_read_only", [False, True])
def test_the_role_is_for_what_is_served(is_read_only: bool) -> None:
    role = printed(*(["--read-only"] if is_read_only else []))["ClusterRole"]
    assert role["rules"] == rights.rules(read_only=is_read_only)
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    assert (verbs == {"get", "list", "watch"}) is is_read_only
    assert not any("*" in names for rule in role["rules"] for names in rule.values())


def test_the_pod_may_do_no_more_than_it_must() -> None:
    pod = printed()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert "memory" in container["resources"]["limits"]
    drain_seconds = Settings().drain_seconds
    slept = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > slept + drain_seconds


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"insecure_http": True, "port": 8080},
        {
            "read_only": True,
            "public_address": "https://{name}.example.com",
            "behind": ("10.0.0.0/8", "192.0.2.1"),
            "account_rate": 7.5,
            "cluster": "prod-eu",
            "drain_seconds": 5,
        },
    ],
)
def test_the_pod_runs_with_the_settings_that_the_manifests_were_asked_for_with(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []

    def note(settings: Settings, **_: Any) -> None:
        started.append(settings)

    objects = manifests.manifests(Settings(**said), namespace="platform", image=IMAGE)
    (container,) = objects[-1]["spec"]["template"]["spec"]["containers"]
    monkeypatch.setattr("modelfleet.adapters.query_api.server.serve_until_told", note)
    assert CliRunner().invoke(app, container["args"]).exit_code == 0
    (settings,) = started
    assert {key: getattr(settings, key) for key in said} == said
    assert settings.port == container["ports"][0]["containerPort"]
    assert bool(settings.tls_cert) is not settings.insecure_http
    scheme = container["readinessProbe"]["httpGet"]["scheme"]
    assert scheme == ("HTTP" if settings.insecure_http else "HTTPS")
    for path in (settings.accounts, settings.tls_cert, settings.tls_key):
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert path is None or str(path.parent) in mounts
