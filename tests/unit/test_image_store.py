"""A new node's containerd begins with a copy of one that has every image."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelfleet.local.pods.image_store import CONTENT, METADATA, begin_with


@pytest.fixture
def store(tmp_path: Path) -> Path:
    blobs = tmp_path / "store" / CONTENT / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "layer").write_text("a layer")
    metadata = tmp_path / "store" / METADATA
    metadata.mkdir()
    (metadata / "meta.db").write_text("which images there are")
    return tmp_path / "store"


def test_layers_are_shared_and_what_containerd_writes_is_not(store: Path, tmp_path: Path) -> None:
    root = tmp_path / "node" / "containerd"
    root.parent.mkdir()
    assert begin_with(store, root)
    layer, metadata = f"{CONTENT}/blobs/layer", f"{METADATA}/meta.db"
    assert (root / layer).samefile(store / layer)
    assert not (root / metadata).samefile(store / metadata)
    assert (root / metadata).read_text() == "which images there are"


def test_a_node_that_has_begun_is_left_alone(store: Path, tmp_path: Path) -> None:
    root = tmp_path / "containerd"
    root.mkdir()
    assert not begin_with(store, root)
    assert list(root.iterdir()) == []


def test_a_copy_that_was_cut_off_is_made_anew(store: Path, tmp_path: Path) -> None:
    root = tmp_path / "containerd"
    cut_off = root.with_name("containerd.part")
    cut_off.mkdir()
    (cut_off / "half").write_text("a la")
    assert begin_with(store, root)
    assert sorted(path.name for path in root.iterdir()) == [CONTENT, METADATA]
    assert not cut_off.exists()
