"""A plane's secrets: tokens, the key for service accounts, kubeconfigs. Made once, kept private.

Everything is written with mode 0600 in a folder that only its owner can enter.
"""

from __future__ import annotations

import re
import secrets
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

import yaml

from modelfleet.local.errors import LocalError

ADMIN = "admin"
LIMITED = "modelfleet"

# Users by name with the groups whose rights they have: one for everything, one in no group, whose
# rights are what a test or a person grants it, and those of real nodes.
_USERS = {
    ADMIN: ("system:masters",),  # the group that RBAC never refuses
    LIMITED: (),
    "system:node:pods-0": ("system:nodes",),
    "system:node:pods-1": ("system:nodes",),
    "system:kube-proxy": (),
    "system:coredns": (),
    "system:network-policies": (),
}

# A P-256 private key in DER (SEC 1): version 1, the number, the curve. Any number below the
# curve's order is a key, so 32 random bytes under a first byte of at most 0xfe will do, and no
# cryptography library is needed for a cluster that is thrown away.
_KEY_PREFIX = bytes.fromhex("30310201010420")
_KEY_SUFFIX = bytes.fromhex("a00a06082a8648ce3d030107")

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)


def write_credentials(folder: Path) -> bool:
    """Make the token file and the service account key if one is missing; whether it was."""
    file, key = folder / "tokens.csv", folder / "service-account.key"
    certificate = folder / "certificates" / "apiserver.crt"
    known = tokens(folder) if file.exists() else {}
    if known.keys() >= _USERS.keys() and key.exists() and certificate.exists():
        return False
    write_private(file, token_file({user: known.get(user) or _random_token() for user in _USERS}))
    if not key.exists():
        write_private(key, service_account_key(secrets.token_bytes(32)))
    return True


def write_kubeconfigs(folder: Path, *, server: str) -> None:
    """Write one kubeconfig for the administrator and one for the limited user."""
    ca = certificate_authority((folder / "certificates" / "apiserver.crt").read_text())
    for name, user in (("kubeconfig", ADMIN), ("kubeconfig-limited", LIMITED)):
        text = kubeconfig(
            server=server, certificate_authority=ca, user=user, token=tokens(folder)[user]
        )
        write_private(folder / name, text)


def token_file(given: Mapping[str, str]) -> str:
    """The API server's static tokens, ``given`` by user name, with every user's groups."""
    lines = []
    for user, token in given.items():
        groups = _USERS[user]
        lines.append(f"{token},{user},{user}" + (f',"{",".join(groups)}"' if groups else ""))
    return "\n".join(lines) + "\n"


def tokens(folder: Path) -> dict[str, str]:
    """Tokens by user name, as written by :func:`write_credentials`."""
    lines = (folder / "tokens.csv").read_text().splitlines()
    return {user: token for token, user, *_ in (line.split(",") for line in lines)}


def service_account_key(number: bytes) -> str:
    """A P-256 private key in PEM from 32 random bytes."""
    number = bytes([number[0] & 0x7F]) + number[1:]
    text = b64encode(_KEY_PREFIX + number + _KEY_SUFFIX).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN EC PRIVATE KEY-----\n{lines}\n-----END EC PRIVATE KEY-----\n"


def certificate_authority(server_certificate: str) -> str:
    """The CA in the file that the API server made for itself: the second of two certificates.

    Raises LocalError when there are not two.
    """
    blocks = _CERTIFICATE.findall(server_certificate)
    if len(blocks) != 2:
        raise LocalError(
            f"kube-apiserver: its certificate file holds {len(blocks)} certificates, not 2.",
            hint="Run `modelfleet local down --purge` and `modelfleet local up` for new ones.",
        )
    return str(blocks[1])


def kubeconfig(
    *,
    server: str,
    certificate_authority: str,
    user: str,
    token: str,
    tls_server_name: str | None = None,
) -> str:
    """A kubeconfig in YAML with everything embedded, so that it can be copied and moved.

    ``tls_server_name`` is what the server's certificate names, where that is not its address.
    """
    ca = b64encode(certificate_authority.encode()).decode()
    cluster = {"server": server, "certificate-authority-data": ca}
    if tls_server_name is not None:
        cluster["tls-server-name"] = tls_server_name
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": "local", "context": {"cluster": "local", "user": user}},
        ],
        "current-context": "local",
    }
    return str(yaml.safe_dump(document, sort_keys=False))


def _random_token() -> str:
    return secrets.token_urlsafe(32)


def kubelet_client(folder: Path) -> tuple[Path, Path]:
    """The certificate and key with which the API server comes to kubelets, made when missing.

    It signs itself, and kubelets let in nobody else. Raises LocalError when openssl fails.
    """
    certificate = folder / "certificates" / "kubelet-client.crt"
    key = certificate.with_suffix(".key")
    if not (certificate.exists() and key.exists()):
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]
        command += ["-nodes", "-days", "3650", "-subj", "/O=modelfleet/CN=kube-apiserver"]
        command += ["-addext", "extendedKeyUsage=clientAuth"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        reply = subprocess.run(command, capture_output=True, text=True, check=False)
        if reply.returncode != 0:
            raise LocalError(f"openssl: no certificate could be made: {reply.stderr.strip()}")
        key.chmod(0o600)
    return certificate, key
