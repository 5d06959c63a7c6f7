"""Where the API server is and who we are there: kubeconfig files, or a pod's own account.

Reads what kubectl reads, in kubectl's order; what modelfleet cannot do is refused by name rather
than skipped. Reads files, never the network; running helpers for tokens is credentials.py.
Messages name files, contexts and keys, never the value of a credential.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import yaml

from modelfleet.cluster.access import Access, ClientCertificate, ExecPlugin
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
        documents = [_Document(None, _parsed(kubeconfig, "the kubeconfig text"))]
        return _access(documents, context, environ)
    candidates = _candidates(kubeconfig, environ)
    documents = [
        _Document(path, _parsed(_text_of(path, "kubeconfig"), str(path)))
        for path in candidates
        if path.is_file()
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
        hint="Set KUBECONFIG, or modelfleet:clusters.<name>.kubeconfig, to a kubeconfig file.",
    )


@dataclass(frozen=True)
class _Document:
    """One kubeconfig; ``path`` is None where it was given as text."""

    path: Path | None
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.path) if self.path else "the kubeconfig text"


@dataclass(frozen=True)
class _Entry:
    """A named cluster, user or context, and the document that it is relative to."""

    document: _Document
    what: str
    content: Mapping[str, Any]

    def text(self, key: str) -> str | None:
        """Return a value as text; an empty one counts as absent, as kubectl has it."""
        value = self.content.get(key)
        return str(value) if value else None

    def path(self, key: str) -> Path | None:
        """Return a path, taken as relative to the kubeconfig it stands in."""
        value = self.text(key)
        if value is None or Path(value).is_absolute():
            return Path(value) if value else None
        if self.document.path is None:
            raise self.error(f"{key} is a relative path, which means nothing in a text")
        return self.document.path.absolute().parent / value

    def pem(self, key: str) -> str | None:
        """Return the PEM text of ``key``, given inline as ``<key>-data`` or as a file."""
        inline = self.text(f"{key}-data")
        if inline:  # wins over the file, as in kubectl
            try:
                return base64.b64decode("".join(inline.split()), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise self.error(f"{key}-data is not base64 of PEM text") from None
        path = self.path(key)
        return _text_of(path, f"{key} of {self.what}") if path else None

    def error(self, reason: str, *, hint: str = "") -> ConfigError:
        return ConfigError(f"{self.document.name}: {self.what}: {reason}.", hint=hint)


def _is_text(kubeconfig: str) -> bool:
    return "\n" in kubeconfig or kubeconfig.lstrip().startswith("{")


def _candidates(kubeconfig: str | None, environ: Mapping[str, str]) -> list[Path]:
    listed = kubeconfig or environ.get("KUBECONFIG")
    if listed:
        return [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
    return [Path("~/.kube/config").expanduser()]


def _text_of(path: Path, what: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what}: cannot read {path}: {error}.") from error


def _parsed(text: str, name: str) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)  # a line number; the text may hold a token
        where = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{name}: this is not valid YAML{where}.") from None
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{name}: this is not a kubeconfig.")
    return content or {}


def _access(documents: list[_Document], context: str | None, environ: Mapping[str, str]) -> Access:
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
    chosen = _entry(documents, "context", wanted)
    cluster = _entry(documents, "cluster", str(chosen.content.get("cluster", "")))
    user = (
        _entry(documents, "user", str(chosen.content["user"]))
        if chosen.content.get("user")
        else _Entry(chosen.document, "user", {})
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
        insecure_skip_tls_verify=bool(cluster.content.get("insecure-skip-tls-verify")),
        tls_server_name=tls_server_name,
        proxy_url=proxy_url,
        client_certificate=ClientCertificate(certificate, key) if certificate and key else None,
        token=user.text("token"),
        token_file=user.path("tokenFile"),
        exec_plugin=_exec_plugin(user, cluster),
        impersonation=tuple(_impersonation(user)),
    )


def _entry(documents: Iterable[_Document], what: str, name: str) -> _Entry:
    """Return the first entry of that name: with several files the first one wins."""
    known: list[str] = []
    for document in documents:
        for item in document.content.get(f"{what}s") or []:
            if item.get("name") == name:
                return _Entry(document, f'{what} "{name}"', item.get(what) or {})
            known.append(str(item.get("name")))
    names = ", ".join(document.name for document in documents)
    raise ConfigError(
        f'{names}: there is no {what} "{name}".',
        hint=f"Known: {', '.join(dict.fromkeys(known)) or 'none at all'}.",
    )


def _server(cluster: _Entry) -> str:
    server = (cluster.text("server") or "").rstrip("/")
    if urlsplit(server).scheme not in ("https", "http") or not urlsplit(server).hostname:
        raise cluster.error(f'server "{server}" is not a URL such as https://host:6443')
    return server


def _exec_plugin(user: _Entry, cluster: _Entry) -> ExecPlugin | None:
    content = user.content.get("exec")
    if not content:
        return None
    version = content.get("apiVersion")
    if version not in EXEC_VERSIONS:
        raise user.error(
            f'exec plugins of version "{version}" are not supported',
            hint=f"Use {' or '.join(EXEC_VERSIONS)}; a newer release of the plugin has it.",
        )
    if content.get("interactiveMode") == "Always":
        raise user.error("the exec plugin wants a terminal (interactiveMode Always), here is none")
    command = str(content.get("command") or "")
    if not command:
        raise user.error("the exec plugin has no command")
    if os.sep in command and not Path(command).is_absolute() and user.document.path:
        command = str(user.document.path.absolute().parent / command)
    return ExecPlugin(
        api_version=version,
        command=command,
        args=tuple(str(arg) for arg in content.get("args") or ()),
        env={str(each["name"]): str(each["value"]) for each in content.get("env") or ()},
        install_hint=" ".join(str(content.get("installHint") or "").split()),
        cluster=_exec_cluster(cluster) if content.get("provideClusterInfo") else None,
    )


def _exec_cluster(cluster: _Entry) -> dict[str, Any]:
    """Return what an exec plugin may be told about the cluster, shaped as its API has it."""
    told: dict[str, Any] = {"server": _server(cluster)}
    for key in ("tls-server-name", "insecure-skip-tls-verify", "proxy-url"):
        if cluster.content.get(key):
            told[key] = cluster.content[key]
    if authority := cluster.pem("certificate-authority"):
        told["certificate-authority-data"] = base64.b64encode(authority.encode()).decode()
    for extension in cluster.content.get("extensions") or []:
        if extension.get("name") == "client.authentication.k8s.io/exec":
            told["config"] = extension.get("extension")
    return told


def _impersonation(user: _Entry) -> Iterable[tuple[str, str]]:
    groups = user.content.get("as-groups") or []
    extra: Mapping[str, list[str]] = user.content.get("as-user-extra") or {}
    name = user.text("as")
    if name is None:
        if groups or extra or user.text("as-uid"):
            raise user.error("as-groups, as-uid and as-user-extra need the user of `as`")
        return
    yield "Impersonate-User", name
    if uid := user.text("as-uid"):
        yield "Impersonate-Uid", uid
    yield from (("Impersonate-Group", str(group)) for group in groups)
    for key, values in extra.items():
        header = f"Impersonate-Extra-{quote(key.lower(), safe='')}"
        yield from ((header, str(value)) for value in values)


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
        certificate_authority=_text_of(service_account / "ca.crt", "the account of this pod"),
        token_file=token_file,
    )
