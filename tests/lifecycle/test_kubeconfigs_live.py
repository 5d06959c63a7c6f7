"""Every way a kubeconfig can say where a cluster is and who asks, on the real API server.

A table: each row writes one kubeconfig and says what comes of it, an answer or a refusal that
names file and field. Client certificates are for a server of our own (tests/unit/test_tls.py): the
plane's accepts tokens only.
"""

from __future__ import annotations

import asyncio
import base64
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.cluster.objects import NAMESPACE
from modelfleet.cluster.tls import tls_context
from modelfleet.errors import ConfigError, ForbiddenError, ModelFleetError

V1, V1BETA1 = (f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1"))
HUSH = "hush-do-not-tell"


@dataclass(frozen=True)
class Site:
    """The plane as its administrator knows it, and a folder for what a row needs."""

    access: Access
    folder: Path

    @property
    def token(self) -> str:
        assert self.access.token
        return self.access.token

    @property
    def cluster(self) -> dict[str, Any]:
        authority = base64.b64encode((self.access.certificate_authority or "").encode()).decode()
        return {"server": self.access.server, "certificate-authority-data": authority}

    def written(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def config(
        self,
        *,
        user: Any = None,
        cluster: Any = None,
        name: str = "config",
        context: str = "main",
    ) -> Path:
        """Write a kubeconfig; what is not given is the administrator's."""
        entry = {"cluster": context, "user": context}
        document = {
            "current-context": context,
            "contexts": [{"name": context, "context": entry}],
            "clusters": [{"name": context, "cluster": cluster or self.cluster}],
            "users": [{"name": context, "user": user or {"token": self.token}}],
        }
        return self.written(name, yaml.safe_dump(document))

    def helper(self, body: str, *, version: str = V1, **options: Any) -> dict[str, Any]:
        """Return the ``exec`` of a user whose helper runs the Python code ``body``."""
        script = self.folder / "login"
        script.write_text(
            f"#!{sys.executable}\n"
            "import json, os, pathlib, sys\n"
            f"token, hush = {self.token!r}, {HUSH!r}\n"
            f"runs = pathlib.Path({str(self.folder / 'runs')!r})\n"
            "runs.open('a').write('x')\n"
            "told = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
            "def give(token, version=told['apiVersion'], **status):\n"
            "    credential = {'apiVersion': version, 'kind': 'ExecCredential'}\n"
            "    print(json.dumps({**credential, 'status': {'token': token, **status}}))\n"
            f"{body}\n"
        )
        script.chmod(stat.S_IRWXU)
        return {"exec": {"apiVersion": version, "command": str(script), **options}}

    @property
    def runs(self) -> int:
        """How often the helper was run."""
        return len((self.folder / "runs").read_text())


@pytest.fixture
def site(admin_kubeconfig: Path, tmp_path: Path) -> Site:
    return Site(load_access(kubeconfig=str(admin_kubeconfig)), tmp_path)


async def answered(kubeconfig: str, *, asked: int = 1) -> None:
    """Ask the cluster who it is, as the user of ``kubeconfig``, so often at once."""
    client = Client.connect(kubeconfig=kubeconfig)
    try:
        await asyncio.gather(*(client.list(NAMESPACE) for _ in range(asked)))
    finally:
        await client.aclose()


# What works

WORKS: dict[str, Callable[[Site], str | Path]] = {
    "a token": lambda site: site.config(),
    "a kubeconfig as text": lambda site: site.config().read_text(),
    "a token file, relative to its kubeconfig": lambda site: site.config(
        user={"tokenFile": site.written("token", f"{site.token}\n").name}
    ),
    "a certificate authority in a file": lambda site: site.config(
        cluster={
            "server": site.access.server,
            "certificate-authority": site.written(
                "ca.crt", site.access.certificate_authority or ""
            ).name,
        }
    ),
    "a server name other than its address": lambda site: site.config(
        cluster={**site.cluster, "tls-server-name": "kubernetes.default.svc"}
    ),
    "no verification": lambda site: site.config(
        cluster={"server": site.access.server, "insecure-skip-tls-verify": True}
    ),
    "an exec plugin of version v1": lambda site: site.config(
        user=site.helper("give(token)", interactiveMode="Never")
    ),
    "an exec plugin of version v1beta1": lambda site: site.config(
        user=site.helper("give(token)", version=V1BETA1, interactiveMode="IfAvailable")
    ),
    "an exec plugin with arguments and environment": lambda site: site.config(
        user=site.helper(
            "give(token if sys.argv[1:] == ['--profile', 'p'] and os.environ['A'] == 'b' else '')",
            args=["--profile", "p"],
            env=[{"name": "A", "value": "b"}],
        )
    ),
    "an exec plugin that is told of the cluster": lambda site: site.config(
        user=site.helper(
            "cluster = told['spec']['cluster']\n"
            f"same = cluster['server'] == {site.access.server!r}\n"
            "give(token if same and cluster['certificate-authority-data'] else '')",
            provideClusterInfo=True,
        )
    ),
    "two files, of which the first has the user and the second the rest": lambda site: (
        os.pathsep.join(
            (
                str(
                    site.written(
                        "first",
                        yaml.safe_dump(
                            {"users": [{"name": "main", "user": {"token": site.token}}]}
                        ),
                    )
                ),
                str(site.folder / "missing"),
                str(site.config(user={"token": "another"}, name="second")),
            )
        )
    ),
    "two files, of which the first names the context": lambda site: os.pathsep.join(
        (
            str(site.written("first", yaml.safe_dump({"current-context": "other"}))),
            str(site.config(user={"token": "another"}, name="second")),
            str(site.config(name="third", context="other")),
        )
    ),
}


@pytest.mark.parametrize("row", WORKS)
async def test_a_kubeconfig_works_that_has(row: str, site: Site) -> None:
    await answered(str(WORKS[row](site)))


async def test_an_exec_plugin_is_run_once_for_all_who_wait_and_once_more_when_refused(
    site: Site,
) -> None:
    user = site.helper("give(token if len(runs.read_text()) > 1 else 'expired')")
    await answered(str(site.config(user=user)), asked=50)
    assert site.runs == 2


async def test_an_exec_plugin_is_run_again_when_what_it_gave_is_over(site: Site) -> None:
    user = site.helper("give(token, expirationTimestamp='2020-01-01T00:00:00Z')")
    client = Client.connect(kubeconfig=str(site.config(user=user)))
    try:
        for _ in range(3):
            await client.list(NAMESPACE)
    finally:
        await client.aclose()
    assert site.runs == 3


async def test_a_token_file_that_was_renewed_is_read_again(site: Site) -> None:
    token = site.written("token", "expired")
    client = Client.connect(kubeconfig=str(site.config(user={"tokenFile": str(token)})))
    try:
        with pytest.raises(ForbiddenError, match="Renew the credentials of context"):
            await client.list(NAMESPACE)
        token.write_text(site.token)
        await client.list(NAMESPACE)
    finally:
        await client.aclose()


async def test_the_account_of_a_pod_works_and_its_token_may_be_renewed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(site.folder))
    site.written("ca.crt", site.access.certificate_authority or "")
    site.written("token", "expired")
    url = httpx.URL(site.access.server)
    environ = {"KUBERNETES_SERVICE_HOST": url.host, "KUBERNETES_SERVICE_PORT": str(url.port)}
    client = Client(load_access(environ=environ, service_account=site.folder))
    try:
        with pytest.raises(ForbiddenError, match="Renew the credentials of the account of this"):
            await client.list(NAMESPACE)
        site.written("token", site.token)
        await client.list(NAMESPACE)
    finally:
        await client.aclose()


# Impersonation


async def test_the_server_knows_us_by_whom_we_impersonate(site: Site) -> None:
    user = {
        "token": site.token,
        "as": "robot",
        "as-uid": "7",
        "as-groups": ["team-a", "team-b"],
        "as-user-extra": {"example.com/Reason": ["night", "shift"]},
    }
    access = load_access(kubeconfig=str(site.config(user=user)))
    async with httpx.AsyncClient(verify=tls_context(access), trust_env=False) as http:
        reply = await http.post(
            f"{access.server}/apis/authentication.k8s.io/v1/selfsubjectreviews",
            headers=[*access.impersonation, ("Authorization", f"Bearer {access.token}")],
            json={},
        )
    who = reply.raise_for_status().json()["status"]["userInfo"]
    assert (who["username"], who["uid"]) == ("robot", "7")
    assert {"team-a", "team-b"} < set(who["groups"])
    assert who["extra"] == {"example.com/reason": ["night", "shift"]}


async def test_who_impersonates_has_the_rights_of_that_one_only(site: Site) -> None:
    user = {"token": site.token, "as": "robot"}
    with pytest.raises(ForbiddenError, match='User "robot" cannot list resource "namespaces"'):
        await answered(str(site.config(user=user)))
    await answered(str(site.config(user={**user, "as-groups": ["system:masters"]})))


# Proxies


@asynccontextmanager
async def connect_proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """Run an HTTP proxy that opens tunnels; give its URL and what it was asked for."""
    asked: list[str] = []
    pumps: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                writer.write(piece)
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.splitlines()[0])
        host, _, port = head.split()[1].rpartition(":")
        there, to_there = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pumps.update(
            asyncio.create_task(pump(*each)) for each in ((reader, to_there), (there, writer))
        )

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def test_a_cluster_is_reached_through_the_proxy_of_its_kubeconfig(site: Site) -> None:
    async with connect_proxy() as (url, asked):
        await answered(str(site.config(cluster={**site.cluster, "proxy-url": url})))
        assert asked == [f"CONNECT {httpx.URL(site.access.server).netloc.decode()} HTTP/1.1"]


# What is refused


def with_user(**user: Any) -> Callable[[Site], str | Path]:
    return lambda site: site.config(user=user)


def with_cluster(**cluster: Any) -> Callable[[Site], str | Path]:
    return lambda site: site.config(cluster={**site.cluster, **cluster})


def with_helper(body: str, **options: Any) -> Callable[[Site], str | Path]:
    return lambda site: site.config(user=site.helper(body, **options))


def with_text(text: str) -> Callable[[Site], str | Path]:
    return lambda site: site.written("config", text)


REFUSED: dict[str, tuple[Callable[[Site], str | Path], str]] = {
    "an auth-provider": (
        with_user(**{"auth-provider": {"name": "gcp"}}),
        'user "main": auth-provider is not supported',
    ),
    "a password": (
        with_user(username="u", password=HUSH),
        'user "main": username is not supported',
    ),
    "a proxy of another kind": (
        with_cluster(**{"proxy-url": f"socks5://u:{HUSH}@127.0.0.1:1080"}),
        'cluster "main": the proxy must be an http:// or https:// URL',
    ),
    "a server name through a proxy": (
        with_cluster(**{"proxy-url": "http://127.0.0.1:1", "tls-server-name": "kubernetes"}),
        'cluster "main": tls-server-name does not work through a proxy',
    ),
    "no such context": (with_text("current-context: gone\n"), 'there is no context "gone"'),
    "no such cluster": (
        with_text("current-context: main\ncontexts: [{name: main, context: {cluster: gone}}]\n"),
        'there is no cluster "gone"',
    ),
    "no such user": (
        with_text(
            "current-context: main\n"
            "contexts: [{name: main, context: {cluster: main, user: gone}}]\n"
            "clusters: [{name: main, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        ),
        'there is no user "gone"',
    ),
    "invalid YAML": (with_text(f"token: {HUSH}\n - what: ["), "this is not valid YAML (line 2)"),
    "text that is no text": (
        lambda site: _binary(site.folder / "config"),
        "cannot read",
    ),
    "a list for a mapping": (with_text("- a\n- b\n"), "this is not a kubeconfig"),
    "contexts that are no list": (
        with_text("current-context: main\ncontexts: main\n"),
        "contexts is not a list of names and what they stand for",
    ),
    "users that are words": (
        with_text(
            "current-context: main\n"
            "contexts: [{name: main, context: {cluster: main, user: main}}]\n"
            "clusters: [{name: main, cluster: {server: 'https://127.0.0.1:1'}}]\n"
            f"users: [main, {HUSH}]\n"
        ),
        "users is not a list of names and what they stand for",
    ),
    "a user that is a word": (
        lambda site: site.config(user=HUSH),
        "users is not a list of names and what they stand for",
    ),
    "a switch that is a word": (
        with_cluster(**{"insecure-skip-tls-verify": "false"}),
        'cluster "main": insecure-skip-tls-verify must be true or false',
    ),
    "a token that is a list": (with_user(token=[HUSH]), 'user "main": token must be text'),
    "groups that are a word": (
        with_user(**{"as": "a", "as-groups": "b"}),
        'user "main": as-groups must be a list',
    ),
    "a missing token file": (with_user(tokenFile="gone"), "cannot read tokenFile"),
    "a missing authority": (
        with_cluster(**{"certificate-authority-data": "", "certificate-authority": "gone"}),
        'cluster "main": certificate-authority: cannot read',
    ),
    "an authority that is no certificate": (
        with_cluster(**{"certificate-authority-data": base64.b64encode(b"no").decode()}),
        "certificate-authority holds no usable certificate",
    ),
    "an exec plugin that is a word": (
        with_user(exec="login"),
        'user "main": exec must be a mapping',
    ),
    "an exec plugin whose arguments are a word": (
        with_helper("give(token)", args="--all"),
        'exec of user "main": args must be a list',
    ),
    "an exec plugin whose environment is a mapping": (
        with_helper("give(token)", env={"A": "b"}),
        'exec of user "main": env must be a list of names and what they stand for',
    ),
    "an exec plugin of a version that is gone": (
        with_helper("give(token)", version="client.authentication.k8s.io/v1alpha1"),
        'user "main": exec plugins of version "client.authentication.k8s.io/v1alpha1"',
    ),
    "an exec plugin that wants a terminal": (
        with_helper("give(token)", interactiveMode="Always"),
        'user "main": the exec plugin wants a terminal',
    ),
    "an exec plugin that is not there": (
        with_user(exec={"apiVersion": V1, "command": "./gone", "installHint": "Get it at home."}),
        "cannot be run: No such file or directory. Get it at home.",
    ),
    "an exec plugin that fails": (
        with_helper("sys.exit('your login is over')"),
        "failed with exit code 1: your login is over",
    ),
    "an exec plugin that prints rubbish": (
        with_helper("print(hush)"),
        "printed no ExecCredential with a status",
    ),
    "an exec plugin that answers in another version": (
        with_helper(f"give(hush, version={V1BETA1!r})"),
        f"answered in version {V1BETA1}, but the kubeconfig says {V1}",
    ),
    "an exec plugin that gives nothing": (with_helper("give('')"), "gave neither a token nor"),
}


def _binary(path: Path) -> Path:
    path.write_bytes(b"\xff\xfe\x00")
    return path


@pytest.mark.parametrize("row", REFUSED)
async def test_a_kubeconfig_is_refused_with_file_and_field_that_has(row: str, site: Site) -> None:
    write, reason = REFUSED[row]
    path = str(write(site))
    with pytest.raises(ModelFleetError) as caught:
        await answered(path)
    assert isinstance(caught.value, ConfigError)
    assert reason in str(caught.value)
    assert path in str(caught.value)
    assert HUSH not in str(caught.value)
