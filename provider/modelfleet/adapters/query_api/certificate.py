"""The server's certificate, taken up again when it was renewed; connections that are open stay.

A pair that cannot be used is refused as a whole: the one before it goes on until it expires.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from modelfleet.adapters.query_api.file_changes import FileChanges
from modelfleet.errors import ConfigError

_LOG: Final = logging.getLogger("modelfleet.serve")


class Certificate:
    """A chain and its key, in PEM files."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Read both.

        Raises:
            ConfigError: they cannot be used together.
        """
        self._files = (chain, key)
        self._changes = FileChanges(*self._files)
        self.context = self._loaded()

    async def refresh(self) -> None:
        """Present what the files hold now to those who connect from here on."""
        if not self._changes.seen():
            return
        try:
            # Of a pair that does not fit, half would be in force after a failure.
            await asyncio.to_thread(self._loaded)
            self.context.load_cert_chain(*self._files, password=_no_password)
        except (ConfigError, OSError) as error:
            _LOG.error("The certificate stays as it was. %s", error)
            return
        _LOG.info("The certificate was read again.")

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        chain, key = self._files
        try:
            context.load_cert_chain(chain, key, password=_no_password)
        except ssl.SSLError as error:
            raise ConfigError(
                f"--tls-cert {chain} and --tls-key {key} cannot be used together "
                f"({error.reason or 'not PEM'})."
            ) from None
        except OSError as error:
            raise ConfigError(
                f"--tls-cert {chain} or --tls-key {key} cannot be read ({error.strerror})."
            ) from None
        return context


def _no_password() -> str:
    raise ConfigError("The TLS key is encrypted, and nobody is here to type a password.")
