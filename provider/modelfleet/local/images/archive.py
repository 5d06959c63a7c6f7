"""Writes container images as archives that any container runtime imports: no registry, no daemon.

An archive is a tar with one tar per layer, a config and a manifest (``docker save``'s layout). The
same content gives the same bytes: entries are sorted, times are zero, and nothing names a builder.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_EPOCH = "1970-01-01T00:00:00Z"
_KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)


@dataclass(frozen=True)
class Config:
    """How a container of the image runs, if a pod does not say otherwise."""

    entrypoint: tuple[str, ...] = ()
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()


def write_layer(tree: Path, *, output: IO[bytes], keep_owners: bool) -> str:
    """Write everything below ``tree`` as a layer; return its SHA-256 in hexadecimal digits.

    ``keep_owners``: a root file system has owners of its own by number; else all belongs to root.
    Devices and sockets are left out, since a container gets its own.
    """
    hashed = _Hashed(output)
    with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as layer:
        for path in sorted(tree.rglob("*")):
            entry = layer.gettarinfo(path, arcname=str(path.relative_to(tree)))
            if entry is None or entry.type not in _KINDS:
                continue
            entry.mtime = 0
            entry.uname = entry.gname = ""
            if not keep_owners:
                entry.uid = entry.gid = 0
            if entry.isreg():
                with path.open("rb") as content:
                    layer.addfile(entry, content)
            else:
                layer.addfile(entry)
    return hashed.digest.hexdigest()


class _Hashed(io.RawIOBase):
    """Passes on what is written, and hashes it."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._output.write(data)


def write_archive(
    target: Path,
    *,
    tree: Path,
    keep_owners: bool,
    parent: Path | None,
    names: Sequence[str],
    config: Config,
    architecture: str,
) -> None:
    """Write the archive of an image: the layers of ``parent``'s archive, and ``tree`` as the last.

    ``tree`` without anything in it adds no layer.
    """
    with (
        tempfile.TemporaryFile(dir=target.parent) as own,
        tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive,
    ):
        digests = list(_copy_layers(parent, archive)) if parent else []
        if any(tree.iterdir()):
            digest = write_layer(tree, output=own, keep_owners=keep_owners)
            digests.append(digest)
            size = own.tell()
            own.seek(0)
            _add(archive, f"{digest}.tar", content=own, size=size)
        described = json.dumps(
            image_config(digests, config=config, architecture=architecture), sort_keys=True
        ).encode()
        name = f"{hashlib.sha256(described).hexdigest()}.json"
        manifest = [
            {
                "Config": name,
                "RepoTags": list(names),
                "Layers": [f"{digest}.tar" for digest in digests],
            }
        ]
        for path, data in ((name, described), ("manifest.json", json.dumps(manifest).encode())):
            _add(archive, path, content=io.BytesIO(data), size=len(data))


def image_config(digests: Sequence[str], *, config: Config, architecture: str) -> dict[str, Any]:
    """The config of an image whose layers have these SHA-256 digests, as the OCI describes it."""
    runs: dict[str, Any] = {}
    if config.entrypoint:
        runs["Entrypoint"] = list(config.entrypoint)
    if config.user:
        runs["User"] = config.user
    if config.env:
        runs["Env"] = [f"{name}={value}" for name, value in config.env.items()]
    if config.ports:
        runs["ExposedPorts"] = {f"{port}/tcp": {} for port in config.ports}
    return {
        "architecture": architecture,
        "os": "linux",
        "created": _EPOCH,
        "config": runs,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": _EPOCH, "created_by": "modelfleet"} for _ in digests],
    }


def _copy_layers(parent: Path, archive: tarfile.TarFile) -> Iterator[str]:
    """Copy the layers of another archive in their order; yield the digest of each."""
    with tarfile.open(parent) as below:
        for layer in manifest_of(below)["Layers"]:
            content = below.extractfile(layer)
            assert content is not None  # noqa: S101  (a file, since we wrote it)
            _add(archive, layer, content=content, size=below.getmember(layer).size)
            yield layer.removesuffix(".tar")


def manifest_of(archive: tarfile.TarFile) -> dict[str, Any]:
    """The manifest of the one image in an archive."""
    content = archive.extractfile("manifest.json")
    assert content is not None  # noqa: S101  (every archive has one)
    manifest: list[dict[str, Any]] = json.load(content)
    return manifest[0]


def _add(archive: tarfile.TarFile, name: str, *, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o644
    archive.addfile(entry, content)
