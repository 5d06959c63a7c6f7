"""What it takes to reach one API server: addresses, trust, and ways to be known there.

Values only. kubeconfig.py reads them, credentials.py, tls.py and transport.py use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ClientCertificate:
    """A client certificate and its key, both as PEM text."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class ExecPlugin:
    """A helper program that prints credentials, as the kubeconfig describes it.

    ``cluster`` is what the helper is told about the cluster, or None where it does not ask.
    """

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    install_hint: str = ""
    cluster: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Access:
    """One API server and one way to be known to it. ``source`` says where it was read from.

    ``is_own_cluster`` says that this process runs in a pod of that cluster, under its account.
    """

    server: str
    source: str
    certificate_authority: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None
    client_certificate: ClientCertificate | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    exec_plugin: ExecPlugin | None = None
    impersonation: tuple[tuple[str, str], ...] = ()
    is_own_cluster: bool = False
