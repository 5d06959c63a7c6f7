"""Tokens and certificates as they are needed: fixed, from a file, or from a helper program.

A helper is run once for all who wait for it, and again when what it gave expires or is refused.
Runs helpers and reads token files; sends nothing itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from modelfleet.cluster.access import Access, ClientCertificate, ExecPlugin
from modelfleet.errors import ConfigError

TOKEN_FILE_SECONDS: Final = 60.0
"""How long the content of a token file is believed; projected tokens are renewed in place."""

HELPER_TIMEOUT_SECONDS: Final = 60.0
_EXPIRY_MARGIN_SECONDS: Final = 10.0
_OUTPUT_LIMIT: Final = 256


@dataclass(frozen=True)
class Credential:
    """What one request identifies itself with; ``expires_at`` is a Unix time."""

    token: str | None = field(default=None, repr=False)
    client_certificate: ClientCertificate | None = None
    expires_at: float = float("inf")


class Credentials:
    """The credential of one access, fetched when first needed and kept while it is good."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._current: Credential | None = None
        self._lock = asyncio.Lock()

    async def current(self) -> Credential:
        """Return a credential that has not expired. Raises ConfigError when there is none."""
        if not _is_good(self._current):
            async with self._lock:
                # Whoever waited for the lock finds what the first one fetched.
                if not _is_good(self._current):
                    self._current = await self._fetched()
        assert self._current is not None  # noqa: S101 - set above, or _fetched raised
        return self._current

    def refuse(self, credential: Credential) -> bool:
        """Note that the server did not accept ``credential``; say whether a new one may help.

        A refusal of an older credential than the current one changes nothing: hundreds of
        requests may be refused at once, and the helper is run for the first of them only.
        """
        if self._current is credential:
            self._current = None
        access = self._access
        return access.token_file is not None or (
            access.exec_plugin is not None and access.token is None
        )

    async def _fetched(self) -> Credential:
        access = self._access
        if access.token_file is not None:
            try:
                token = access.token_file.read_text().strip()
            except OSError as error:
                raise ConfigError(f"{access.source}: cannot read tokenFile: {error}.") from error
            return Credential(
                token, access.client_certificate, expires_at=time.time() + TOKEN_FILE_SECONDS
            )
        if access.token is None and access.exec_plugin is not None:
            return await run_helper(
                access.exec_plugin, source=access.source, certificate=access.client_certificate
            )
        return Credential(access.token, access.client_certificate)


def _is_good(credential: Credential | None) -> bool:
    return credential is not None and time.time() < credential.expires_at


async def run_helper(
    plugin: ExecPlugin, *, source: str, certificate: ClientCertificate | None = None
) -> Credential:
    """Run an exec plugin and return what it printed. Raises ConfigError when it fails.

    ``source`` is where it is written, ``certificate`` the one to use where it gives a token only.
    """
    helper = f"{source}: the credential helper {plugin.command} (exec)"
    spec: dict[str, Any] = {"interactive": False}
    if plugin.cluster is not None:
        spec["cluster"] = plugin.cluster
    question = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    environ = {**os.environ, **plugin.env, "KUBERNETES_EXEC_INFO": json.dumps(question)}
    try:
        process = await asyncio.create_subprocess_exec(
            plugin.command,
            *plugin.args,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise ConfigError(
            f"{helper} cannot be run: {error.strerror}.",
            hint=plugin.install_hint or "Install it, or correct its path in the kubeconfig.",
        ) from error
    try:
        output, complaint = await asyncio.wait_for(process.communicate(), HELPER_TIMEOUT_SECONDS)
    except TimeoutError:
        raise ConfigError(
            f"{helper} did not end within {HELPER_TIMEOUT_SECONDS:.0f} s.",
            hint="Run it by hand: it may be waiting for a login.",
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        said = " ".join(complaint.decode(errors="replace").split())[-_OUTPUT_LIMIT:]
        raise ConfigError(
            f"{helper} failed with exit code {process.returncode}: {said or 'it said nothing'}.",
            hint="Run it by hand; a login may have expired.",
        )
    return _credential(output, plugin, certificate, helper=helper)


def _credential(
    output: bytes, plugin: ExecPlugin, certificate: ClientCertificate | None, *, helper: str
) -> Credential:
    """Return the credential in a helper's ``output``; messages never repeat the output."""
    try:
        answer = json.loads(output)
        version, status = answer["apiVersion"], answer["status"]
        token = status.get("token")
        pem, key = status.get("clientCertificateData"), status.get("clientKeyData")
        expiry = status.get("expirationTimestamp")
        expires_at = datetime.fromisoformat(expiry).timestamp() if expiry else float("inf")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"{helper} printed no ExecCredential with a status.",
        ) from None
    if version != plugin.api_version:
        raise ConfigError(
            f"{helper} answered in version {version}, but the "
            f"kubeconfig says {plugin.api_version}.",
            hint="Correct apiVersion in the kubeconfig.",
        )
    if pem and key:
        certificate = ClientCertificate(pem, key)
    if not token and certificate is None:
        raise ConfigError(f"{helper} gave neither a token nor a certificate.")
    lifetime = expires_at - time.time()
    return Credential(token, certificate, expires_at - min(_EXPIRY_MARGIN_SECONDS, lifetime / 10))
