"""Where the API server is and who we are there: kubeconfig files, or a pod's own account.

Reads what kubectl reads, in kubectl's order; what modelfleet cannot do is refused by name rather
than skipped. Reads files, never the network; running helpers for tokens is credentials.py.
Messages name files, contexts and keys, never the value of a credential.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from modelfleet.cluster.access import Access, ClientCertificate, ExecPlugin
from modelfleet.cluster.kubeconfig_entries import (
    Document,
    Entry,
    document_of,
    entry_named,
    text_of,
)
from modelfleet.cluster.proxies import environment_proxy
from modelfleet.errors import ConfigError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXEC_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")

_REFUSED_USER_KEYS: Final = {
    "auth-provider": "Kubernetes removed it; use an exec plugin of your cloud instead",
    "username": "API servers no longer accept passwords; use a token or a client certificate",
    "password": "API servers no longer accept passwords; use a token or a client certificate",
}


def load_access(
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Access:
    """Read how to reach a cluster.

    ``kubeconfig`` is YAML text, or one or several paths (separated as in $PATH). None means, in
    this order: the files of $KUBECONFIG, ``~/.kube/config``, the account of the pod we run in.
    ``context`` overrides the current one. Raises ConfigError, which says what was looked for.
    """
    if kubeconfig and _is_text(kubeconfig):
        documents = [document_of(kubeconfig, None)]
        return _access(documents, context, environ)
    candidates = _candidates(kubeconfig, environ)
    documents = [
        document_of(text_of(path, "kubeconfig"), path) for path in candidates if path.is_file()
    ]
    if documents:
        return _access(documents, context, environ)
    named = kubeconfig or environ.get("KUBECONFIG")
    if not named and context is None and "KUBERNETES_SERVICE_HOST" in environ:
        return _pod_access(environ, service_account)
    looked_for = ", ".join(str(path) for path in candidates)
    raise ConfigError(
        f"No cluster to talk to: there is no kubeconfig at {looked_for}"
        + ("." if named else ", and this is not a pod of a cluster."),
        hint="Set KUBECONFIG to a kubeconfig file; or name one by modelfleet:clusters.<name>"
        ".kubeconfig in a Pulumi stack, or by Config(kubeconfig=…) in a program.",
    )


def _is_text(kubeconfig: str) -> bool:
    return "\n" in kubeconfig or kubeconfig.lstrip().startswith("{")


def _candidates(kubeconfig: str | None, environ: Mapping[str, str]) -> list[Path]:
    listed = kubeconfig or environ.get("KUBECONFIG")
    if listed:
        return [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
    return [Path("~/.kube/config").expanduser()]


def _access(documents: list[Document], context: str | None, environ: Mapping[str, str]) -> Access:
    wanted = context or next(
        (
            str(each.content["current-context"])
            for each in documents
            if each.content.get("current-context")
        ),
        None,
    )
    names = ", ".join(document.name for document in documents)
    if wanted is None:
        raise ConfigError(
            f"{names}: no current-context is set.",
            hint="Name a context, or run `kubectl config use-context NAME`.",
        )
    chosen = entry_named(documents, "context", wanted)
    cluster = entry_named(documents, "cluster", str(chosen.content.get("cluster", "")))
    user = (
        entry_named(documents, "user", str(chosen.content["user"]))
        if chosen.content.get("user")
        else Entry(chosen.document, "user", {})
    )
    server = _server(cluster)
    tls_server_name = cluster.text("tls-server-name")
    proxy_url = cluster.text("proxy-url") or environment_proxy(server, environ)
    if proxy_url and urlsplit(proxy_url).scheme not in ("http", "https"):
        raise cluster.error(
            "the proxy must be an http:// or https:// URL",
            hint="See proxy-url of the kubeconfig, HTTPS_PROXY and NO_PROXY.",
        )
    if tls_server_name and proxy_url:
        raise cluster.error("tls-server-name does not work through a proxy")
    certificate, key = user.pem("client-certificate"), user.pem("client-key")
    if (certificate is None) != (key is None):
        raise user.error("client-certificate and client-key belong together, one is missing")
    for refused, instead in _REFUSED_USER_KEYS.items():
        if user.content.get(refused):
            raise user.error(f"{refused} is not supported", hint=f"{instead}.")
    return Access(
        server=server,
        source=f'context "{wanted}" of {chosen.document.name}',
        certificate_authority=cluster.pem("certificate-authority"),
        insecure_skip_tls_verify=cluster.flag("insecure-skip-tls-verify"),
        tls_server_name=tls_server_name,
        proxy_url=proxy_url,
        client_certificate=ClientCertificate(certificate, key) if certificate and key else None,
        token=user.text("token"),
        token_file=user.path("tokenFile"),
        exec_plugin=_exec_plugin(user, cluster),
        impersonation=tuple(_impersonation(user)),
    )


def _server(cluster: Entry) -> str:
    server = (cluster.text("server") or "").rstrip("/")
    if urlsplit(server).scheme not in ("https", "http") or not urlsplit(server).hostname:
        raise cluster.error(f'server "{server}" is not a URL such as https://host:6443')
    return server


def _exec_plugin(user: Entry, cluster: Entry) -> ExecPlugin | None:
    if not user.content.get("exec"):
        return None
    given = user.part("exec")
    version = given.text("apiVersion")
    if version not in EXEC_VERSIONS:
        raise user.error(
            f'exec plugins of version "{version}" are not supported',
            hint=f"Use {' or '.join(EXEC_VERSIONS)}; a newer release of the plugin has it.",
        )
    if given.text("interactiveMode") == "Always":
        raise user.error("the exec plugin wants a terminal (interactiveMode Always), here is none")
    command = given.text("command")
    if command is None:
        raise user.error("the exec plugin has no command")
    if os.sep in command and not Path(command).is_absolute() and user.document.path:
        command = str(user.document.path.absolute().parent / command)
    return ExecPlugin(
        api_version=version,
        command=command,
        args=tuple(given.texts("args")),
        env={str(each["name"]): str(each.get("value", "")) for each in given.named("env")},
        install_hint=" ".join((given.text("installHint") or "").split()),
        cluster=_exec_cluster(cluster) if given.flag("provideClusterInfo") else None,
    )


def _exec_cluster(cluster: Entry) -> dict[str, Any]:
    """Return what an exec plugin may be told about the cluster, shaped as its API has it."""
    told: dict[str, Any] = {"server": _server(cluster)}
    for key in ("tls-server-name", "insecure-skip-tls-verify", "proxy-url"):
        if cluster.content.get(key):
            told[key] = cluster.content[key]
    if authority := cluster.pem("certificate-authority"):
        told["certificate-authority-data"] = base64.b64encode(authority.encode()).decode()
    for extension in cluster.named("extensions"):
        if extension["name"] == "client.authentication.k8s.io/exec":
            told["config"] = extension.get("extension")
    return told


def _impersonation(user: Entry) -> Iterable[tuple[str, str]]:
    groups, extra = user.texts("as-groups"), user.part("as-user-extra")
    name = user.text("as")
    if name is None:
        if groups or extra.content or user.text("as-uid"):
            raise user.error("as-groups, as-uid and as-user-extra need the user of `as`")
        return
    yield "Impersonate-User", name
    if uid := user.text("as-uid"):
        yield "Impersonate-Uid", uid
    yield from (("Impersonate-Group", group) for group in groups)
    for key in extra.content:
        header = f"Impersonate-Extra-{quote(str(key).lower(), safe='')}"
        yield from ((header, value) for value in extra.texts(key))


def _pod_access(environ: Mapping[str, str], service_account: Path) -> Access:
    """Return the access that every pod has; raises where the account's token is not mounted."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    token_file = service_account / "token"
    if not token_file.is_file():
        raise ConfigError(
            f"This is a pod, but its account is not mounted: there is no {token_file}.",
            hint="Set automountServiceAccountToken for the pod, or KUBECONFIG.",
        )
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        source="the account of this pod",
        certificate_authority=text_of(service_account / "ca.crt", "the account of this pod"),
        token_file=token_file,
        is_own_cluster=True,
    )
