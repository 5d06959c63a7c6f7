"""How the connection to an API server is verified, and a client certificate presented."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from modelfleet.cluster.access import Access, ClientCertificate
from modelfleet.errors import ConfigError


def tls_context(access: Access, *, certificate: ClientCertificate | None = None) -> ssl.SSLContext:
    """Return the TLS settings of ``access``; without an authority the system's ones count.

    Raises ConfigError where certificates cannot be used.
    """
    try:
        context = ssl.create_default_context(cadata=access.certificate_authority)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{access.source}: certificate-authority holds no usable certificate."
        ) from error
    # Python 3.13 began to demand extensions that many clusters' own authorities lack, and to
    # accept, as Go always did, a single certificate named as the authority. Same rules everywhere.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", ssl.VerifyFlags(0))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if access.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _present(context, certificate, access)
    return context


def _present(context: ssl.SSLContext, certificate: ClientCertificate, access: Access) -> None:
    """Load a certificate and its key, which the ssl module takes from files only.

    The file is readable by this user alone and removed before this returns.
    """

    def no_password() -> str:
        raise ConfigError(
            f"{access.source}: the client key is encrypted, and nobody is here to type a password.",
            hint="Store it unencrypted, readable by you alone, or use an exec plugin.",
        )

    with tempfile.TemporaryDirectory(prefix="modelfleet-") as folder:  # mode 0700
        file = Path(folder) / "client.pem"
        file.touch(mode=0o600)
        file.write_text(f"{certificate.certificate}\n{certificate.key}\n")
        try:
            context.load_cert_chain(file, password=no_password)
        except ssl.SSLError as error:
            raise ConfigError(
                f"{access.source}: client-certificate and client-key cannot be used together "
                f"({error.reason or 'not PEM'})."
            ) from error
