"""Reading kubeconfigs: what kubectl reads, in its order; what does not work, refused by name.

Dimensions: where the kubeconfig comes from x how the user is known x how the server is reached.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelfleet.cluster.access import Access
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.errors import ConfigError

SERVER = "https://10.0.0.1:6443"


def kubeconfig(
    *,
    name: str = "main",
    user: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
    current: str | None = "main",
) -> str:
    """Return a kubeconfig with one context, cluster and user, all of the same name."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            **({"current-context": current} if current else {}),
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": {"server": SERVER, **(cluster or {})}}],
            "users": [{"name": name, "user": user or {}}],
        }
    )


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(text: str, **options: Any) -> Access:
    return load_access(kubeconfig=text, **{"environ": {}, **options})


def refusal(text: str, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, **options)
    return str(caught.value)


# Where it comes from


def test_a_kubeconfig_may_be_given_as_text() -> None:
    access = load(kubeconfig())

    assert access.server == SERVER
    assert access.source == 'context "main" of the kubeconfig text'


def test_a_kubeconfig_may_be_given_as_a_path(tmp_path: Path) -> None:
    file = written(tmp_path / "config", kubeconfig())

    assert load(str(file)).source == f'context "main" of {file}'


def test_without_an_argument_the_files_of_the_environment_are_read(tmp_path: Path) -> None:
    file = written(tmp_path / "config", kubeconfig())

    assert load_access(environ={"KUBECONFIG": str(file)}).server == SERVER


def test_without_environment_the_file_in_the_home_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path / ".kube" / "config", kubeconfig())

    assert load_access(environ={}).server == SERVER


def test_of_several_files_the_first_that_names_something_wins(tmp_path: Path) -> None:
    first = written(
        tmp_path / "first", kubeconfig(user={"token": "first"}, current=None, name="shared")
    )
    second = written(
        tmp_path / "second",
        kubeconfig(user={"token": "second"}, current="shared", name="shared"),
    )
    missing = tmp_path / "missing"
    listed = os.pathsep.join(map(str, (missing, first, second)))

    access = load_access(environ={"KUBECONFIG": listed})

    assert access.token == "first"
    assert access.source == f'context "shared" of {first}', "the context is set by the second"


def test_a_context_may_use_cluster_and_user_of_other_files(tmp_path: Path) -> None:
    contexts = written(
        tmp_path / "contexts",
        yaml.safe_dump(
            {
                "current-context": "mixed",
                "contexts": [{"name": "mixed", "context": {"cluster": "main", "user": "main"}}],
            }
        ),
    )
    rest = written(tmp_path / "deep" / "rest", kubeconfig(user={"tokenFile": "token"}))
    listed = os.pathsep.join(map(str, (contexts, rest)))

    access = load_access(kubeconfig=listed, environ={})

    assert access.server == SERVER
    assert access.token_file == tmp_path / "deep" / "token", "relative to its own file"


def test_a_context_overrides_the_current_one(tmp_path: Path) -> None:
    main = written(tmp_path / "main", kubeconfig())
    other = written(tmp_path / "other", kubeconfig(name="other", cluster={"server": "https://o"}))
    listed = os.pathsep.join(map(str, (main, other)))

    assert load(listed).server == SERVER
    assert load(listed, context="other").server == "https://o"


def test_an_unknown_context_is_refused_with_the_known_ones() -> None:
    message = refusal(kubeconfig(), context="nowhere")

    assert 'there is no context "nowhere"' in message
    assert "Known: main." in message


def test_no_current_context_is_refused() -> None:
    assert "no current-context is set" in refusal(kubeconfig(current=None))


def test_nothing_found_names_what_was_looked_for_and_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        load_access(environ={})

    assert str(tmp_path / ".kube" / "config") in str(caught.value)
    assert "Set KUBECONFIG" in str(caught.value)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_named_file_that_is_missing_never_falls_back_to_another_cluster(
    how: str, tmp_path: Path
) -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.9"}
    missing = str(tmp_path / "missing")
    with pytest.raises(ConfigError, match="missing"):
        if how == "argument":
            load_access(kubeconfig=missing, environ=pod)
        else:
            load_access(environ={**pod, "KUBECONFIG": missing})


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.0.0.9", "https://10.0.0.9:443"), ("fd00::9", "https://[fd00::9]:443")],
)
def test_in_a_pod_its_own_account_is_used(
    host: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    account = tmp_path / "account"
    written(account / "token", "t")
    written(account / "ca.crt", "CA")

    access = load_access(
        environ={"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"},
        service_account=account,
    )

    assert (access.server, access.certificate_authority) == (server, "CA")
    assert access.token_file == account / "token"


def test_a_pod_without_its_account_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="automountServiceAccountToken"):
        load_access(environ={"KUBERNETES_SERVICE_HOST": "h"}, service_account=tmp_path / "none")


@pytest.mark.parametrize("text", ["a: b\n  c: d\n", "- a\n- b\n", "{]"])
def test_what_is_no_kubeconfig_is_refused_without_repeating_it(text: str) -> None:
    message = refusal(text)

    assert "this is not" in message
    assert "c: d" not in message


# How the user is known


def test_certificates_are_read_from_data_or_from_files(tmp_path: Path) -> None:
    written(tmp_path / "keys" / "key.pem", "KEY")
    text = kubeconfig(
        cluster={"certificate-authority-data": base64.b64encode(b"CA").decode()},
        user={
            "client-certificate-data": base64.b64encode(b"CERT").decode(),
            "client-key": "keys/key.pem",
        },
    )

    access = load(str(written(tmp_path / "config", text)))

    assert access.certificate_authority == "CA"
    assert access.client_certificate is not None
    assert access.client_certificate.certificate == "CERT"
    assert access.client_certificate.key == "KEY"


def test_credentials_do_not_show_when_an_access_is_printed() -> None:
    data = {key: base64.b64encode(b"hidden").decode() for key in ("a", "b")}
    user = {
        "token": "hidden",
        "client-certificate-data": data["a"],
        "client-key-data": data["b"],
    }

    shown = repr(load(kubeconfig(user=user)))

    assert "hidden" not in shown.replace("certificate='hidden'", "")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_an_exec_plugin_is_read_with_what_it_may_know_of_the_cluster(
    version: str, tmp_path: Path
) -> None:
    user = {
        "exec": {
            "apiVersion": f"client.authentication.k8s.io/{version}",
            "command": "./bin/login",
            "args": ["--cluster", "main"],
            "env": [{"name": "PROFILE", "value": "p"}],
            "interactiveMode": "IfAvailable",
            "provideClusterInfo": True,
        }
    }
    cluster = {
        "tls-server-name": "api",
        "extensions": [
            {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
        ],
    }
    file = written(tmp_path / "config", kubeconfig(user=user, cluster=cluster))

    plugin = load(str(file)).exec_plugin

    assert plugin is not None
    assert plugin.command == str(tmp_path / "bin" / "login"), "relative to the kubeconfig"
    assert plugin.args == ("--cluster", "main")
    assert plugin.env == {"PROFILE": "p"}
    assert plugin.cluster == {
        "server": SERVER,
        "tls-server-name": "api",
        "config": {"audience": "a"},
    }


def test_impersonation_becomes_headers() -> None:
    user = {
        "as": "robot",
        "as-uid": "7",
        "as-groups": ["a", "b"],
        "as-user-extra": {"Scopes/x": ["view"]},
    }

    assert load(kubeconfig(user=user)).impersonation == (
        ("Impersonate-User", "robot"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-scopes%2Fx", "view"),
    )


EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "login"}
REFUSED_USERS: list[tuple[dict[str, Any], str]] = [
    ({"auth-provider": {"name": "gcp"}}, "auth-provider is not supported"),
    ({"username": "u", "password": "hidden"}, "username is not supported"),
    ({"password": "hidden"}, "password is not supported"),
    ({"client-certificate-data": "QQ=="}, "belong together"),
    ({"client-key-data": "%%%"}, "client-key-data is not base64"),
    ({"client-certificate": "relative.pem"}, "relative path"),
    ({"as-groups": ["a"]}, "need the user of `as`"),
    ({"exec": {**EXEC, "apiVersion": "client.authentication.k8s.io/v1alpha1"}}, "v1alpha1"),
    ({"exec": {**EXEC, "interactiveMode": "Always"}}, "wants a terminal"),
    ({"exec": {"apiVersion": EXEC["apiVersion"]}}, "has no command"),
]


@pytest.mark.parametrize(("user", "reason"), REFUSED_USERS)
def test_a_user_that_cannot_work_is_refused_by_name(user: dict[str, Any], reason: str) -> None:
    message = refusal(kubeconfig(user=user))

    assert reason in message
    assert 'user "main"' in message
    assert "hidden" not in message


# How the server is reached


@pytest.mark.parametrize("server", ["10.0.0.1:6443", "", "ftp://x", "https://"])
def test_a_server_that_is_no_url_is_refused(server: str) -> None:
    assert "is not a URL" in refusal(kubeconfig(cluster={"server": server}))


def test_a_server_may_have_a_path() -> None:
    text = kubeconfig(cluster={"server": "https://rancher/k8s/clusters/c-1/"})

    assert load(text).server == "https://rancher/k8s/clusters/c-1"


def test_the_proxy_of_the_kubeconfig_wins_over_the_environment() -> None:
    text = kubeconfig(cluster={"proxy-url": "http://configured:3128"})

    assert load(text, environ={"HTTPS_PROXY": "http://ambient"}).proxy_url == (
        "http://configured:3128"
    )


def test_a_server_name_that_a_proxy_would_lose_is_refused() -> None:
    cluster = {"tls-server-name": "api", "proxy-url": "http://proxy"}

    assert "does not work through a proxy" in refusal(kubeconfig(cluster=cluster))


def test_a_proxy_of_another_kind_is_refused_without_its_password() -> None:
    message = refusal(kubeconfig(cluster={"proxy-url": "socks5://user:hidden@proxy"}))

    assert "the proxy must be an http:// or https:// URL" in message
    assert "hidden" not in message


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        (SERVER, {}, None),
        (SERVER, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        (SERVER, {"https_proxy": "p:1"}, "http://p:1"),
        (SERVER, {"HTTP_PROXY": "http://p:1"}, None),
        (SERVER, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x, 10.0.0.0/8"}, None),
        (SERVER, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1:6443"}, None),
        (SERVER, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1:443"}, "http://p:1"),
        (SERVER, {"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, None),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://localhost:6443", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://[::1]:6443", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://api.corp.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".corp.example"},
         None),
        ("https://api.corp.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "corp.example"},
         None),
        ("https://xcorp.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "corp.example"},
         "http://p:1"),
        ("https://corp.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".corp.example"},
         "http://p:1"),
    ],
)  # fmt: skip
def test_the_environment_names_the_proxy_as_it_does_for_kubectl(
    server: str, environ: dict[str, str], proxy: str | None
) -> None:
    assert load(kubeconfig(cluster={"server": server}), environ=environ).proxy_url == proxy
