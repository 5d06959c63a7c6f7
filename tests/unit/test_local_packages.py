"""Packages of Python in images: which are pinned, and what of an installation gets there."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfleet.local.errors import LocalError
from modelfleet.local.images import built_images, packages
from modelfleet.local.images.archive import Config, entries_of, write_archive
from modelfleet.local.images.built import archive_path, python_version
from modelfleet.local.images.description import Image, described_images
from modelfleet.local.images.packages import LITELLM, installed_packages, own_version
from modelfleet.local.progress import Progress

TAG = f"cpython-{own_version().replace('.', '')}"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- What LiteLLM's image is pinned to

FOLDER = LITELLM.parent


def pins() -> dict[str, str]:
    """Version by package."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LITELLM.read_text(), re.MULTILINE))


def test_litellm_is_the_release_that_the_image_is_named_after() -> None:
    (image,) = (image for image in described_images() if image.name == "litellm")
    (name,) = image.described.names
    assert name.partition(":")[2] == pins()["litellm"]


def test_every_package_is_pinned_by_hash_and_comes_from_no_named_place() -> None:
    text = LITELLM.read_text()
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(entries) == len(pins())
    for entry in entries:
        assert re.fullmatch(r"\S+==\S+ \\(\n +--hash=sha256:[0-9a-f]{64}( \\)?)+", entry), entry
    assert "://" not in text
    assert "--index-url" not in text


def test_what_is_asked_for_is_there_and_what_is_left_out_is_not() -> None:
    asked = re.findall(r"^([a-z0-9-]+)", (FOLDER / "packages.in").read_text(), re.MULTILINE)
    overrides = (FOLDER / "left-out.txt").read_text()
    left_out = set(re.findall(r"^([a-z0-9-]+);", overrides, re.MULTILINE))
    assert "litellm" in asked
    assert "litellm-enterprise" in left_out
    assert set(asked) <= pins().keys()
    assert not left_out & pins().keys()


# --- What is installed


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """A list of one package, which has a script."""
    wheel = tmp_path / "greeting-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("greeting.py", "TEXT = 'hello'\n\n\ndef main():\n    print(TEXT)\n")
        info = "greeting-1.0.dist-info"
        packed.writestr(f"{info}/METADATA", "Name: greeting\nVersion: 1.0\nRequires-Dist: absent\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngreet = greeting:main\n")
        packed.writestr(f"{info}/RECORD", "")
    pin = hashlib.sha256(wheel.read_bytes()).hexdigest()
    path = tmp_path / "pins.txt"
    path.write_text(f"greeting @ {wheel.as_uri()} --hash=sha256:{pin}\n")
    return path


def install(requirements: Path) -> Path:
    return installed_packages(
        "greeting", requirements=requirements, version=own_version(), progress=Progress()
    )


def test_nothing_is_kept_of_who_installed_a_package_and_from_where(requirements: Path) -> None:
    folder = install(requirements)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert names == [
        f"__pycache__/greeting.{TAG}.pyc",
        "greeting-1.0.dist-info/METADATA",
        "greeting-1.0.dist-info/WHEEL",
        "greeting-1.0.dist-info/entry_points.txt",
        "greeting.py",
    ]


def test_byte_code_is_valid_whatever_the_time_and_names_no_folder_of_this_machine(
    requirements: Path, tmp_path: Path
) -> None:
    folder = install(requirements)
    code = (folder / "__pycache__" / f"greeting.{TAG}.pyc").read_bytes()
    assert struct.unpack("<I", code[4:8]) == (1,), "checked by nothing, not even by a hash"
    assert str(tmp_path).encode() not in code


def test_packages_are_installed_once(requirements: Path) -> None:
    folder = install(requirements)
    before = (folder / "greeting.py").stat()
    assert install(requirements) == folder
    assert (folder / "greeting.py").stat() == before
    requirements.write_text(requirements.read_text() + "# another list\n")
    assert install(requirements) != folder


def test_a_package_that_is_not_the_pinned_one_is_refused(requirements: Path) -> None:
    text = requirements.read_text()
    requirements.write_text(re.sub(r"sha256:.*", f"sha256:{'0' * 64}", text))
    with pytest.raises(LocalError, match=r"(?i)hash"):
        install(requirements)


# --- What an image has of them

BELOW = 'names = ["example.org/below:1"]\n'
ABOVE = """
names = ["example.org/above:1"]
from = "below"
[python]
requirements = "pins.txt"
to = "/usr/lib/python{version}/packages"
"""


def described(folder: Path, *, requirements: Path) -> list[Image]:
    """Two images, of which the upper one has the packages."""
    for name, text in (("below", BELOW), ("above", ABOVE)):
        (folder / name).mkdir(parents=True)
        (folder / name / "image.toml").write_text(text)
    (folder / "above" / "pins.txt").write_text(requirements.read_text())
    return list(described_images(folder))


def place_below(image: Image, *, version: str) -> None:
    """Put an archive in the cache in the image's place that has a Python."""
    tree = archive_path(image).parent / "tree"
    (tree / "usr" / "bin").mkdir(parents=True)
    (tree / "usr" / "bin" / "python3").symlink_to(f"python{version}")
    write_archive(
        archive_path(image),
        tree=tree,
        keep_owners=False,
        parent=None,
        names=image.described.names,
        config=Config(),
        architecture="amd64",
    )


def built(folder: Path, *, requirements: Path) -> Path:
    below, above = described(folder, requirements=requirements)
    place_below(below, version=own_version())
    _, image = built_images(images=[below, above])
    return image.archive


def test_packages_are_where_the_python_of_the_image_below_has_them(
    tmp_path: Path, requirements: Path
) -> None:
    archive = built(tmp_path / "images", requirements=requirements)
    names = [entry.name for entry in entries_of(archive)]
    place = f"usr/lib/python{own_version()}/packages"
    assert f"{place}/greeting.py" in names
    assert f"{place}/__pycache__/greeting.{TAG}.pyc" in names


def test_an_image_finds_its_python_however_far_below(tmp_path: Path, requirements: Path) -> None:
    below, above = described(tmp_path / "images", requirements=requirements)
    place_below(below, version="3.10")
    top = Image(above.folder, above.described.model_copy(update={"python": None}), below)
    built_images(images=[top])
    assert python_version(below) == "3.10"
    assert python_version(top) == "3.10"


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_two_builds_are_the_same_bytes_whoever_installs_and_under_whatever_umask(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch, umask: None
) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    digests = []
    for place, installer, mask in (("one", packages.installer(), 0o022), ("other", pip, 0o077)):
        os.umask(mask)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{place}"))
        monkeypatch.setattr(packages, "installer", lambda command=installer: command)
        archive = built(tmp_path / place, requirements=requirements)
        digests.append(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_packages_without_a_python_below_are_refused(tmp_path: Path, requirements: Path) -> None:
    images = described(tmp_path / "images", requirements=requirements)
    with pytest.raises(LocalError, match="above has packages of Python, but no Python below it"):
        built_images(images=images)
