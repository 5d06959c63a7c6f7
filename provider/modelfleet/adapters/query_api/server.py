"""The process: its socket, its log, and an end that cuts nothing.

On SIGTERM it is no longer ready, takes no more connections, finishes what runs for as long as
``drain_seconds``, and exits with 0; a second SIGTERM ends it at once. SIGHUP changes nothing: files
are looked at every second.
"""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Collection
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from modelfleet.adapters.query_api.accounts import Accounts
from modelfleet.adapters.query_api.agentrun_api import FORMS as AGENTRUN_FORMS
from modelfleet.adapters.query_api.agentrun_api import OPERATIONS as AGENTRUN
from modelfleet.adapters.query_api.application import application
from modelfleet.adapters.query_api.audit import LOGGER as AUDIT
from modelfleet.adapters.query_api.certificate import Certificate
from modelfleet.adapters.query_api.connections import HEAD_BYTES, Connection
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.adapters.query_api.zstack_api import FORMS as ZSTACK_FORMS
from modelfleet.adapters.query_api.zstack_api import OPERATIONS as ZSTACK
from modelfleet.agentrun.paging import Pages
from modelfleet.agentrun.registry import Registry
from modelfleet.cluster.client import Client
from modelfleet.errors import ConfigError
from modelfleet.fleet import Fleet

OPERATIONS: Final = (*AGENTRUN, *ZSTACK)
FORMS: Final = {**AGENTRUN_FORMS, **ZSTACK_FORMS}

_OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_BACKLOG: Final = 2_048
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than clients keep idle connections: they should end them, not we."""

_LOG: Final = logging.getLogger("modelfleet.serve")


def serve_until_told(settings: Settings, *, kubeconfig: str | None, context: str | None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: what is asked for cannot be, or is not safe.
    """
    certificate = _certificate(settings)
    if settings.accounts is None:
        raise ConfigError(
            "Nobody could call without --accounts.",
            hint="modelfleet serve --account NAME prints an entry for such a file.",
        )
    accounts = Accounts.read(
        settings.accounts, read_only=settings.read_only, cluster=settings.cluster
    )
    fleet = Fleet(Client.connect(kubeconfig=kubeconfig, context=context), cluster=settings.cluster)
    parts = Parts.of(
        fleet, registry=Registry(fleet), pages=Pages(), accounts=accounts, settings=settings
    )
    _set_up_logs()
    warn_of_own_namespace(accounts.namespaces)
    listening = _listener(settings)
    # asyncio does so only where a socket names its protocol, which create_server's do not; without,
    # the second part of an answer waits for the client's delayed acknowledgement, some 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        application(parts, OPERATIONS, forms=FORMS, refreshed=[certificate] if certificate else []),
        http=Connection,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.behind),
        forwarded_allow_ips=list(settings.behind),
        log_config=None,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.drain_seconds,
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
    )
    host, port = listening.getsockname()[:2]
    where = f"[{host}]" if ":" in host else host
    _LOG.info("Serving on %s://%s:%d.", "https" if certificate else "http", where, port)
    _Server(config, parts).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends with 0 when it was told to, where uvicorn's own dies of the signal."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            await super().serve(sockets)
        finally:
            await self._parts.fleet.aclose()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Drain at the first signal, end at the second."""
        self._parts.readiness.draining = True
        self.force_exit = self.should_exit
        self.should_exit = True


def warn_of_own_namespace(namespaces: Collection[str], *, said_in: Path = _OWN_NAMESPACE) -> None:
    """Say so where an account's pods could mount the Secrets of this very server."""
    try:
        own = said_in.read_text().strip()
    except OSError:
        return  # not in a cluster
    if own in namespaces:
        _LOG.warning(
            "Accounts make resources in namespace %s, where this server's own Secrets are: whoever "
            "may write there can have pods read them. Give the server a namespace of its own.",
            own,
        )


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_cert and settings.tls_key:
        return Certificate(settings.tls_cert, settings.tls_key)
    if settings.tls_cert or settings.tls_key:
        raise ConfigError("--tls-cert and --tls-key belong together.")
    if not settings.insecure_http and not _is_loopback(settings.host):
        raise ConfigError(
            f"Passwords and keys would travel in the clear to {settings.host}: there is no "
            "--tls-cert.",
            hint="Give one, with its --tls-key; or say --insecure-http, where something else in "
            "front of it does TLS.",
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listener(settings: Settings) -> socket.socket:
    try:
        if settings.host == "::" and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", settings.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
            )
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on --host {settings.host} --port {settings.port} ({error.strerror})."
        ) from None


def _set_up_logs() -> None:
    """Have writes told on stdout, one line each, and everything else on stderr."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("modelfleet.serve").setLevel(logging.INFO)
    # What is wrong with strangers' requests is not worth a line each.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    audit = logging.getLogger(AUDIT)
    audit.setLevel(logging.INFO)
    audit.propagate = False
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(logging.Formatter("%(message)s"))
    audit.addHandler(lines)
