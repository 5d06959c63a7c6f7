"""Writes container images as archives that containerd imports: no registry, no daemon.

An archive is a tar in the OCI's image layout, with the layer that an image adds to its parent. The
parent's layers are named and not there: who imports it has imported the parent's before, and reads
no byte twice. The same content gives the same bytes: entries are sorted, times are zero, modes do
not depend on who built it, and nothing names a builder.
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
_TYPE = "application/vnd.oci.image"
_BLOBS = "blobs/sha256"


@dataclass(frozen=True)
class Config:
    """How a container of the image runs, if a pod does not say otherwise."""

    entrypoint: tuple[str, ...] = ()
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()


def write_layer(tree: Path, *, output: IO[bytes], keep_owners: bool) -> str:
    """Write everything below ``tree`` as a layer; return its SHA-256 in hexadecimal digits.

    ``keep_owners``: a root file system has owners by number and modes of its own; else all belongs
    to root, and all may read it. Devices and sockets are left out, since a container gets its own.
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
                entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
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
    """Write the archive of an image: ``tree`` as a layer on top of those of ``parent``'s archive.

    ``tree`` without anything in it adds no layer. ``names`` have a registry and a tag.
    """
    layers = list(layers_of(parent)) if parent else []
    with (
        tempfile.TemporaryFile(dir=target.parent) as own,
        tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive,
    ):
        if any(tree.iterdir()):
            digest = write_layer(tree, output=own, keep_owners=keep_owners)
            layers.append(_descriptor("layer.v1.tar", digest=digest, size=own.tell()))
            own.seek(0)
            _add(archive, f"{_BLOBS}/{digest}", content=own, size=layers[-1]["size"])
        described = image_config(
            [layer["digest"] for layer in layers], config=config, architecture=architecture
        )
        manifest = _add_json(
            archive,
            "manifest.v1+json",
            {
                "schemaVersion": 2,
                "mediaType": f"{_TYPE}.manifest.v1+json",
                "config": _add_json(archive, "config.v1+json", described),
                "layers": layers,
            },
        )
        index = {
            "schemaVersion": 2,
            "manifests": [
                {**manifest, "annotations": {"io.containerd.image.name": name}} for name in names
            ],
        }
        for path, document in (
            ("index.json", index),
            ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
        ):
            data = json.dumps(document).encode()
            _add(archive, path, content=io.BytesIO(data), size=len(data))


def image_config(digests: Sequence[str], *, config: Config, architecture: str) -> dict[str, Any]:
    """The config of an image whose layers have these digests (``sha256:…``)."""
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
        "rootfs": {"type": "layers", "diff_ids": list(digests)},
        "history": [{"created": _EPOCH, "created_by": "modelfleet"} for _ in digests],
    }


def manifest_of(archive: Path) -> dict[str, Any]:
    """The manifest of the one image in an archive."""
    with tarfile.open(archive) as packed:
        index = _read_json(packed, "index.json")
        digest = index["manifests"][0]["digest"]
        return _read_json(packed, f"{_BLOBS}/{digest.removeprefix('sha256:')}")


def layers_of(archive: Path) -> Sequence[dict[str, Any]]:
    """What an image's layers are (``digest``, ``size``), the parent's first."""
    layers: list[dict[str, Any]] = manifest_of(archive)["layers"]
    return layers


def entries_of(archive: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the entries of the layer that an image adds to its parent, if it adds one."""
    layers = layers_of(archive)
    name = f"{_BLOBS}/{layers[-1]['digest'].removeprefix('sha256:')}" if layers else ""
    with tarfile.open(archive) as packed:
        if name in packed.getnames():
            with tarfile.open(fileobj=packed.extractfile(name)) as layer:
                yield from layer


def _descriptor(kind: str, *, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_TYPE}.{kind}", "digest": f"sha256:{digest}", "size": size}


def _add_json(archive: tarfile.TarFile, kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Add a document under its digest; return what refers to it."""
    data = json.dumps(document, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()
    _add(archive, f"{_BLOBS}/{digest}", content=io.BytesIO(data), size=len(data))
    return _descriptor(kind, digest=digest, size=len(data))


def _add(archive: tarfile.TarFile, name: str, *, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o644
    archive.addfile(entry, content)


def _read_json(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    content = archive.extractfile(name)
    assert content is not None  # noqa: S101  (every archive has it)
    document: dict[str, Any] = json.load(content)
    return document
