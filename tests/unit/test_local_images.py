"""Images for real pods: what is described, what makes a build the same, and what an archive holds.

Real builds take minutes and root; the tests of real pods run on them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from modelfleet.engines import llama_cpp
from modelfleet.local.images import built
from modelfleet.local.images.archive import Config, entries_of, manifest_of, write_archive
from modelfleet.local.images.built import (
    archive_path,
    built_images,
    missing_requirements,
)
from modelfleet.local.images.debian import clean
from modelfleet.local.images.description import Image, described_images, program_key
from modelfleet.local.images.sources import LLAMA_CPP, pinned_distribution
from modelfleet.local.pods.requirements import BUILDERS
from modelfleet.render.proxy.redis_pod import DEFAULT_REDIS_IMAGE
from modelfleet.spec.proxy import DEFAULT_LITELLM_VERSION


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


BELOW = """
names = ["example.org/below:1"]
user = "1000:1000"
entrypoint = ["/bin/hello"]
port = 80
[env]
PATH = "/bin"
LANG = "C"
[files]
"/bin/hello" = "hello.sh"
"/etc/a-file" = "hello.sh"
"""
ABOVE = """
names = ["example.org/above:1", "example.org/above:one"]
from = "below"
port = 8080
[env]
LANG = "C.UTF-8"
[files]
"/etc/greeting" = "greeting"
"""


def write_descriptions(folder: Path, *, below: str = BELOW, above: str = ABOVE) -> None:
    for name, text in (("below", below), ("above", above)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "image.toml").write_text(text)
    (folder / "below" / "hello.sh").write_text("#!/bin/sh\necho hello\n")
    (folder / "below" / "hello.sh").chmod(0o750)
    (folder / "above" / "greeting").write_text("good day\n")


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[tarfile.TarInfo]]:
    """The manifest, the config and the entries of the own layer of an archive."""
    manifest = manifest_of(path)
    config = json.loads(blobs(path)[manifest["config"]["digest"]])
    return manifest, config, list(entries_of(path))


def blobs(path: Path) -> dict[str, bytes]:
    """What an archive has, by the digest that its name says."""
    with tarfile.open(path) as archive:
        return {
            f"sha256:{Path(name).name}": archive.extractfile(name).read()  # type: ignore[union-attr]
            for name in archive.getnames()
            if name.startswith("blobs/sha256/")
        }


# --- What is described here


def test_the_server_has_the_names_that_the_renderer_gives_a_pod() -> None:
    (image,) = (image for image in described_images() if image.name == "llama-cpp")
    wanted = {
        f"{llama_cpp.REPOSITORY}:server{llama_cpp.BACKENDS[vendor]}-{llama_cpp.DEFAULT_VERSION}"
        for vendor in ("cpu", "nvidia")
    }
    assert set(image.described.names) == wanted


def test_the_server_starts_and_listens_as_the_official_image_does() -> None:
    (image,) = (image for image in described_images() if image.name == "llama-cpp")
    assert image.entrypoint == ("/app/llama-server",)
    assert image.ports == (llama_cpp.PORT,)
    assert image.env["LLAMA_ARG_HOST"] == "0.0.0.0"  # noqa: S104
    number = llama_cpp.DEFAULT_VERSION.removeprefix("b")
    commands = image.described.programs["/app/llama-server"].commands
    assert f"-DLLAMA_BUILD_NUMBER={number}" in commands[0]


def test_a_proxy_and_its_redis_have_the_images_that_the_renderer_names() -> None:
    names = {name for image in described_images() for name in image.described.names}
    assert f"ghcr.io/berriai/litellm:{DEFAULT_LITELLM_VERSION}" in names
    assert f"docker.io/library/{DEFAULT_REDIS_IMAGE}" in names


def test_no_two_images_have_a_name_in_common() -> None:
    names = [name for image in described_images() for name in image.described.names]
    assert len(names) == len(set(names))


def test_a_name_says_where_the_image_is_from() -> None:
    for image in described_images():
        for name in image.described.names:
            assert "." in name.partition("/")[0], f"{name} has no registry"


def test_the_source_is_pinned_with_one_hash() -> None:
    requirements = LLAMA_CPP.read_text()
    assert pinned_distribution(requirements) == ("llama-cpp-python", "0.3.36")
    assert requirements.count("--hash=sha256:") == 1


# --- Descriptions


def test_an_image_comes_behind_the_one_it_is_made_from(tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    assert [image.name for image in described_images(tmp_path)] == ["below", "above"]


def test_what_an_image_does_not_say_is_as_in_the_one_below(tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    _, above = described_images(tmp_path)
    assert above.user == "1000:1000"
    assert above.entrypoint == ("/bin/hello",)
    assert above.env == {"PATH": "/bin", "LANG": "C.UTF-8"}
    assert above.ports == (8080,)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('names = ["a:1"]\ncommand = ["/a"]', "command"),
        ("names = []", "names"),
        ('names = ["a:1"]\n[programs."/a"]\nresult = "a"\ncommands = [["cc"]]', "one source"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, text: str, named: str) -> None:
    write_descriptions(tmp_path, above=text)
    with pytest.raises(ValueError, match=named):
        described_images(tmp_path)


def test_an_image_from_an_unknown_one_is_refused(tmp_path: Path) -> None:
    write_descriptions(tmp_path, above='names = ["a:1"]\nfrom = "nowhere"')
    with pytest.raises(LookupError, match="nowhere"):
        described_images(tmp_path)


# --- Keys


def keys(folder: Path) -> list[str]:
    return [image.key for image in described_images(folder)]


def test_a_key_is_the_same_for_the_same_files_anywhere(tmp_path: Path) -> None:
    write_descriptions(tmp_path / "one")
    write_descriptions(tmp_path / "other")
    assert keys(tmp_path / "one") == keys(tmp_path / "other")


def test_a_changed_file_changes_the_key_of_its_image_and_of_those_made_from_it(
    tmp_path: Path,
) -> None:
    write_descriptions(tmp_path)
    below, above = keys(tmp_path)
    (tmp_path / "above" / "greeting").write_text("good evening\n")
    assert keys(tmp_path)[0] == below
    assert keys(tmp_path)[1] != above
    (tmp_path / "below" / "hello.sh").write_text("#!/bin/sh\n")
    assert keys(tmp_path)[0] != below


def test_a_file_that_becomes_a_program_changes_the_key(tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    before = keys(tmp_path)
    (tmp_path / "below" / "hello.sh").chmod(0o640)
    assert keys(tmp_path) != before


def test_a_program_is_not_compiled_anew_for_a_change_around_it() -> None:
    (image,) = (image for image in described_images() if image.name == "llama-cpp")
    (program,) = image.described.programs.values()
    other = image.described.model_copy(update={"env": {"LLAMA_ARG_HOST": "::"}})
    assert program_key(Image(image.folder, other, image.parent), program) == program_key(
        image, program
    )
    changed = program.model_copy(update={"commands": (("cmake",),)})
    assert program_key(image, changed) != program_key(image, program)


# --- Archives


def test_two_builds_of_the_same_content_are_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for place, mtime in (("one", 1), ("other", 2)):
        write_descriptions(tmp_path / place)
        os.utime(tmp_path / place / "below" / "hello.sh", (mtime, mtime))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{place}"))
        images = built_images(images=described_images(tmp_path / place))
        digests.append([hashlib.sha256(image.archive.read_bytes()).digest() for image in images])
    assert digests[0] == digests[1]


def test_an_archive_names_the_layers_of_its_parent_first_and_has_only_its_own(
    tmp_path: Path,
) -> None:
    write_descriptions(tmp_path)
    below, above = built_images(images=described_images(tmp_path))
    below_manifest, below_config, below_entries = read_archive(below.archive)
    manifest, config, entries = read_archive(above.archive)
    own, first = manifest["layers"].pop(), manifest["layers"]
    assert first == below_manifest["layers"]
    assert len(first) == 1
    assert config["rootfs"]["diff_ids"] == [first[0]["digest"], own["digest"]]
    assert below_config["rootfs"]["diff_ids"] == [first[0]["digest"]]
    assert first[0]["digest"] in blobs(below.archive)
    assert blobs(above.archive).keys() == {
        own["digest"],
        manifest["config"]["digest"],
        *(entry["digest"] for entry in index_of(above.archive)),
    }
    assert [entry.name for entry in below_entries] == ["bin", "bin/hello", "etc", "etc/a-file"]
    assert [entry.name for entry in entries] == ["etc", "etc/greeting"]


def index_of(path: Path) -> list[dict[str, Any]]:
    with tarfile.open(path) as archive:
        index: dict[str, Any] = json.load(archive.extractfile("index.json"))  # type: ignore[arg-type]
    entries: list[dict[str, Any]] = index["manifests"]
    return entries


def test_an_archive_is_known_under_every_name(tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    _, above = built_images(images=described_images(tmp_path))
    names = [entry["annotations"]["io.containerd.image.name"] for entry in index_of(above.archive)]
    assert names == ["example.org/above:1", "example.org/above:one"] == list(above.names)


def test_an_image_without_a_layer_of_its_own_has_its_parents(tmp_path: Path) -> None:
    write_descriptions(tmp_path, above='names = ["example.org/a:1"]\nfrom = "below"\nport = 1\n')
    below, above = built_images(images=described_images(tmp_path))
    assert manifest_of(above.archive)["layers"] == manifest_of(below.archive)["layers"]
    assert list(entries_of(above.archive)) == []


def test_digests_and_sizes_in_an_archive_are_those_of_the_content(tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    for image in built_images(images=described_images(tmp_path)):
        found = blobs(image.archive)
        for digest, content in found.items():
            assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
        manifest = manifest_of(image.archive)
        for named in (*index_of(image.archive), manifest["config"], manifest["layers"][-1]):
            assert named["size"] == len(found[named["digest"]])


def test_the_config_says_how_a_container_runs(tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    _, above = built_images(images=described_images(tmp_path))
    _, config, _ = read_archive(above.archive)
    assert config["config"] == {
        "Entrypoint": ["/bin/hello"],
        "User": "1000:1000",
        "Env": ["PATH=/bin", "LANG=C.UTF-8"],
        "ExposedPorts": {"8080/tcp": {}},
    }
    assert config["os"] == "linux"


def test_entries_name_no_builder_and_no_time_and_may_be_read_by_all(tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    (below, _) = built_images(images=described_images(tmp_path))
    _, _, entries = read_archive(below.archive)
    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) for entry in entries} == {
        (0, 0, "", "", 0)
    }
    assert all(entry.mode == 0o755 for entry in entries)


def test_a_root_file_system_keeps_links_modes_and_leaves_devices_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "first").write_text("program")
    (tree / "bin" / "first").chmod(0o4755)
    (tree / "bin" / "second").hardlink_to(tree / "bin" / "first")
    (tree / "bin" / "third").symlink_to("first")
    os.mkfifo(tree / "bin" / "pipe")
    target = tmp_path / "image.tar"
    write_archive(
        target,
        tree=tree,
        keep_owners=True,
        parent=None,
        names=["a:1"],
        config=Config(),
        architecture="amd64",
    )
    _, _, entries = read_archive(target)
    assert [(entry.name, entry.type, entry.linkname) for entry in entries] == [
        ("bin", tarfile.DIRTYPE, ""),
        ("bin/first", tarfile.REGTYPE, ""),
        ("bin/second", tarfile.LNKTYPE, "bin/first"),
        ("bin/third", tarfile.SYMTYPE, "first"),
    ]
    assert entries[1].mode == 0o4755
    assert {entry.uid for entry in entries} == {os.getuid()}


def test_a_second_build_builds_nothing(tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    first = built_images(images=described_images(tmp_path))
    times = [image.archive.stat().st_mtime_ns for image in first]
    again = built_images(images=described_images(tmp_path))
    assert again == first
    assert [image.archive.stat().st_mtime_ns for image in again] == times


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    write_descriptions(
        tmp_path, above='names = ["a:1"]\nfrom = "below"\n[files]\n"/a" = "greeting"\n'
    )
    images = described_images(tmp_path)
    assert images[1].key
    (tmp_path / "above" / "greeting").unlink()
    with pytest.raises(FileNotFoundError):
        built_images(images=images)
    left = sorted(path.name for path in (cache / "modelfleet" / "images").iterdir())
    assert left == ["above.lock", f"below-{images[0].key}", "below.lock"]


# --- What a machine lacks


def test_a_bare_machine_lacks_what_the_descriptions_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built, "search_path", lambda: str(tmp_path))
    missing = [part for part in missing_requirements() if part != "root"]
    assert missing == [builder.file for builder in BUILDERS], "each has a package to install"


def test_nothing_is_missing_for_what_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian = 'names = ["below:1"]\n[debian]\npackages = []\n'
    write_descriptions(tmp_path, below=debian)
    images = described_images(tmp_path)
    monkeypatch.setattr(built, "search_path", lambda: str(tmp_path))
    assert "debootstrap" in missing_requirements(images)
    archive_path(images[0]).parent.mkdir(parents=True)
    archive_path(images[0]).touch()
    assert missing_requirements(images) == ()


# --- A root file system


def test_lists_caches_logs_and_the_mirror_are_taken_out(tmp_path: Path) -> None:
    gone = [
        "etc/apt/sources.list",
        "etc/hostname",
        "etc/resolv.conf",
        "var/lib/apt/lists/mirror_dists_main",
        "var/cache/apt/archives/a.deb",
        "var/log/bootstrap.log",
        "usr/share/doc/a/changelog.gz",
        "debootstrap/debootstrap.log",
    ]
    kept = ["etc/passwd", "usr/share/doc/a/copyright", "var/lib/dpkg/status"]
    for name in (*gone, *kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    clean(tmp_path)
    assert [name for name in gone if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert (tmp_path / "var/log").is_dir()
