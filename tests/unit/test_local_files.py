"""Credentials, settings, folders, and the environment a shell gets."""

from __future__ import annotations

import base64
import re
import stat
import sys
from pathlib import Path

import pytest
import yaml

from modelfleet.errors import ConfigError
from modelfleet.local import LocalError, folders
from modelfleet.local.components import Ports
from modelfleet.local.credentials import (
    ADMIN,
    LIMITED,
    certificate_authority,
    kubeconfig,
    service_account_key,
    tokens,
    write_credentials,
)
from modelfleet.local.environment import environment, shell_exports
from modelfleet.local.settings import (
    Settings,
    free_ports,
    is_free,
    read_settings,
    write_settings,
)

BLOCK = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def test_the_ca_is_the_second_certificate_of_the_servers_file() -> None:
    assert certificate_authority(BLOCK.format("leaf") + BLOCK.format("ca")) == BLOCK.format("ca")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_certificate_file_of_another_shape_is_refused(count: int) -> None:
    with pytest.raises(LocalError, match=f"holds {count} certificates, not 2"):
        certificate_authority(BLOCK.format("x") * count)


def test_a_service_account_key_is_a_p256_private_key_in_sec1_form() -> None:
    text = service_account_key(b"\xff" * 32)
    der = base64.b64decode("".join(text.splitlines()[1:-1]))
    assert len(der) == 51
    assert der[0] == 0x30
    assert der[1] == len(der) - 2
    assert der[7:39] == b"\x7f" + b"\xff" * 31, "a number above the curve's order is no key"


def test_secrets_are_made_once_random_and_for_their_owner_only(tmp_path: Path) -> None:
    (tmp_path / "one" / "certificates").mkdir(parents=True)
    (tmp_path / "two" / "certificates").mkdir(parents=True)
    assert write_credentials(tmp_path / "one")
    assert write_credentials(tmp_path / "two")
    one, two = tokens(tmp_path / "one"), tokens(tmp_path / "two")
    assert len({*one.values(), *two.values()}) == len(one) + len(two)
    for name in ("tokens.csv", "service-account.key"):
        assert stat.S_IMODE((tmp_path / "one" / name).stat().st_mode) == 0o600
    (tmp_path / "one" / "certificates" / "apiserver.crt").touch()
    assert not write_credentials(tmp_path / "one")
    assert tokens(tmp_path / "one") == one


def test_the_limited_user_is_in_no_group(tmp_path: Path) -> None:
    (tmp_path / "certificates").mkdir()
    write_credentials(tmp_path)
    lines = (tmp_path / "tokens.csv").read_text().splitlines()
    users = {user: groups for _, user, _, *groups in (line.split(",") for line in lines)}
    assert users[ADMIN] == ['"system:masters"']
    assert users[LIMITED] == []
    assert users["system:node:pods-0"] == ['"system:nodes"']


def test_tokens_that_a_later_release_wants_come_beside_those_there_were(tmp_path: Path) -> None:
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    (certificates / "apiserver.crt").touch()
    (tmp_path / "service-account.key").touch()
    (tmp_path / "tokens.csv").write_text(f'old,{ADMIN},{ADMIN},"system:masters"\n')
    assert write_credentials(tmp_path)
    assert tokens(tmp_path)[ADMIN] == "old"
    assert tokens(tmp_path)[LIMITED]


def test_a_kubeconfig_verifies_the_server_and_needs_no_other_file() -> None:
    text = kubeconfig(server="https://127.0.0.1:1", certificate_authority="CA", user="u", token="t")
    (cluster,) = yaml.safe_load(text)["clusters"]
    assert cluster["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": base64.b64encode(b"CA").decode(),
    }


def test_settings_come_back_as_written_and_broken_ones_count_as_none(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert read_settings(path) is None
    settings = Settings(Ports(1, 2), gpus="l4-24gb:1x1", chaos=True, stages=("/a.yaml",))
    write_settings(path, settings)
    assert read_settings(path) == settings
    path.write_text(path.read_text()[:20])
    assert read_settings(path) is None


def test_free_ports_differ_and_are_free() -> None:
    ports = free_ports()
    assert ports.api_server != ports.kubelet
    assert is_free(ports.api_server)


def test_the_cache_folder_honours_xdg_unless_it_is_relative() -> None:
    assert folders.cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/modelfleet")
    default = Path.home() / ".cache" / "modelfleet"
    assert folders.cache_folder({}) == default
    assert folders.cache_folder({"XDG_CACHE_HOME": "c"}) == default


@pytest.mark.parametrize("marker", ["Pulumi.yaml", ".git"])
def test_state_lives_at_the_root_of_the_project_around(tmp_path: Path, marker: str) -> None:
    (tmp_path / marker).touch()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    found = folders.default_state_folder(inner, environ={})
    assert found == tmp_path.resolve() / ".modelfleet"


def test_a_named_state_folder_wins(tmp_path: Path) -> None:
    environ = {"MODELFLEET_STATE": "/elsewhere"}
    assert folders.default_state_folder(tmp_path, environ=environ) == Path("/elsewhere")


def test_another_system_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfigError, match="runs on Linux and macOS"):
        folders.require_supported_platform()


def test_a_shell_gets_the_planes_programs_first_and_only_once() -> None:
    state = Path("/s/.modelfleet")
    variables = environment(state, path="/usr/bin:/s/.modelfleet/bin")
    path = variables["PATH"].split(":")
    assert path[0] == "/s/.modelfleet/bin"
    assert path[-1] == "/usr/bin"
    assert len(path) == len(set(path))


def test_the_environment_names_everything_a_shell_needs() -> None:
    variables = environment(Path("/s"), path="")
    assert variables["KUBECONFIG"] == "/s/plane/kubeconfig"
    assert variables["PULUMI_BACKEND_URL"] == "file:///s/pulumi-state"
    assert variables["PULUMI_HOME"] == "/s/pulumi-home"
    assert variables["PULUMI_PARALLEL"] == "64"
    assert variables["PULUMI_SKIP_UPDATE_CHECK"] == "true"


def test_exports_are_safe_to_evaluate_and_say_why_parallelism_is_high() -> None:
    text = shell_exports({"KUBECONFIG": "/with space/$HOME", "PULUMI_PARALLEL": "64"})
    assert "export KUBECONFIG='/with space/$HOME'" in text
    assert re.search(r"# .*waited for.*\nexport PULUMI_PARALLEL=64", text)
